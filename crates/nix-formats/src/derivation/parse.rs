//! Reading the text of a derivation.
//!
//! Stricter than C++ Nix in one way: maps and sets must be in order without repetition, so that
//! what was read is written the same and no value is silently dropped.

use std::borrow::Cow;

use super::write::IMPURE;
use super::{Derivation, Output, ShapeError, fixed_path};
use crate::aterm::{AtermError, Reader};
use crate::content_address::{CaMethod, ContentAddressError};
use crate::hash::{Hash, HashError};
use crate::store_path::{
    MakePathError, NameError, StoreDir, StorePath, StorePathError, check_name,
};

/// The longest text that is read, in bytes.
pub const MAX_LEN: usize = 64 << 20;

/// Why a text is not a derivation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DerivationError {
    /// The text is longer than [`MAX_LEN`].
    #[error("the text of the derivation has {0} bytes, more than 64 MiB")]
    Long(usize),
    /// The text is no ATerm, or another than a derivation.
    #[error(transparent)]
    Syntax(#[from] AtermError),
    /// Bytes after the end.
    #[error("something follows the derivation at offset {0}")]
    Trailing(usize),
    /// A form that a later version of Nix uses.
    #[error("the derivation depends on derivations made by builds, which is not supported")]
    Dynamic,
    /// A path is not a store path.
    #[error(transparent)]
    Path(#[from] StorePathError),
    /// The derivation's or an output's name is not allowed.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The items of a map or a set are not in order, or one is there twice.
    #[error("{what} are not in order or repeated at offset {at}")]
    Order {
        /// The map or set.
        what: &'static str,
        /// Behind the first item that is out of order, in bytes.
        at: usize,
    },
    /// The hash algorithm of an output.
    #[error(transparent)]
    Method(#[from] ContentAddressError),
    /// The hash of an output.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// An output has a path, algorithm and hash that do not go together.
    #[error("output '{0}' has a combination of path, hash algorithm and hash that means nothing")]
    Output(String),
    /// The path of a fixed output cannot be made.
    #[error(transparent)]
    MakePath(#[from] MakePathError),
    /// The path of a fixed output does not follow from its hash.
    #[error("output '{output}' has path {found:?}, but its hash makes {expected:?}")]
    FixedPath {
        /// The output's name.
        output: String,
        /// The path in the text.
        found: String,
        /// The path that the hash makes.
        expected: String,
    },
    /// The parts do not make a derivation.
    #[error(transparent)]
    Shape(#[from] ShapeError),
}

impl Derivation {
    /// Reads the text of a `.drv` file whose derivation is called `name`.
    ///
    /// # Errors
    /// The text is not in the form that [`Derivation::write`] gives (escapes may be redundant), a
    /// fixed output's path does not follow from its hash, or [`Derivation::check_shape`] fails.
    pub fn parse(dir: &StoreDir, name: &str, text: &[u8]) -> Result<Derivation, DerivationError> {
        if text.len() > MAX_LEN {
            return Err(DerivationError::Long(text.len()));
        }
        check_name(name)?;
        let mut drv = Derivation { name: name.to_owned(), ..Derivation::default() };
        let mut reader = Reader::new(text);
        let reader = &mut reader;
        if reader.skip("DrvWithVersion(") {
            return Err(DerivationError::Dynamic);
        }
        reader.expect("Derive(")?;

        reader.list(|item| {
            let (name, output) = read_output(item, dir, name)?;
            if drv.outputs.last_key_value().is_some_and(|(last, _)| *last >= name) {
                return Err(DerivationError::Order { what: "outputs", at: item.at() });
            }
            drv.outputs.insert(name, output);
            Ok(())
        })?;
        reader.expect(",")?;

        reader.list(|item| {
            item.expect("(")?;
            let path = read_path(item, dir)?;
            if drv.input_drvs.last_key_value().is_some_and(|(last, _)| *last >= path) {
                return Err(DerivationError::Order { what: "input derivations", at: item.at() });
            }
            item.expect(",")?;
            if item.skip("(") {
                return Err(DerivationError::Dynamic);
            }
            let names = drv.input_drvs.entry(path).or_default();
            item.list(|item| {
                let name = item.text()?;
                if names.last().is_some_and(|last| *last >= name) {
                    return Err(DerivationError::Order { what: "output names", at: item.at() });
                }
                names.insert(name);
                Ok(())
            })?;
            item.expect(")")?;
            Ok(())
        })?;
        reader.expect(",")?;

        reader.list(|item| {
            let path = read_path(item, dir)?;
            if drv.input_srcs.last().is_some_and(|last| *last >= path) {
                return Err(DerivationError::Order { what: "input sources", at: item.at() });
            }
            drv.input_srcs.insert(path);
            Ok(())
        })?;
        reader.expect(",")?;

        drv.system = reader.text()?;
        reader.expect(",")?;
        drv.builder = reader.string()?.into_owned();
        reader.expect(",")?;
        reader.list(|item| {
            drv.args.push(item.string()?.into_owned());
            Ok::<(), DerivationError>(())
        })?;
        reader.expect(",")?;

        reader.list(|item| {
            item.expect("(")?;
            let name = item.string()?.into_owned();
            item.expect(",")?;
            let value = item.string()?.into_owned();
            item.expect(")")?;
            if drv.env.last_key_value().is_some_and(|(last, _)| *last >= name) {
                return Err(DerivationError::Order {
                    what: "environment variables",
                    at: item.at(),
                });
            }
            drv.env.insert(name, value);
            Ok(())
        })?;
        reader.expect(")")?;
        if !reader.is_at_end() {
            return Err(DerivationError::Trailing(reader.at()));
        }
        drv.check_shape()?;
        Ok(drv)
    }
}

/// `("name","path","algo","hash")`
fn read_output(
    reader: &mut Reader<'_>,
    dir: &StoreDir,
    drv_name: &str,
) -> Result<(String, Output), DerivationError> {
    reader.expect("(")?;
    let name = reader.text()?;
    check_name(&name)?;
    reader.expect(",")?;
    let path = reader.text()?;
    reader.expect(",")?;
    let algo = reader.text()?;
    reader.expect(",")?;
    let hash = reader.text()?;
    reader.expect(")")?;

    let output = match (path.as_str(), algo.as_str(), hash.as_str()) {
        ("", "", "") => Output::Deferred,
        (path, "", "") => Output::InputAddressed(dir.parse(path)?),
        (_, "", _) => return Err(DerivationError::Output(name)),
        (path, algo, hash) => {
            let (method, algo) = CaMethod::parse_with_algo(algo)?;
            match (path, hash) {
                ("", "") => Output::Floating { method, algo },
                ("", IMPURE) => Output::Impure { method, algo },
                ("", _) | (_, "") => return Err(DerivationError::Output(name)),
                (path, hash) => {
                    let digest = hex::decode(hash)
                        .ok()
                        .filter(|_| !hash.contains(|c: char| c.is_ascii_uppercase()));
                    let digest = digest.ok_or_else(|| HashError::Base16(hash.to_owned()))?;
                    let ca = method.address(Hash::new(algo, &digest)?);
                    let expected = fixed_path(dir, drv_name, &name, &ca)?;
                    if dir.parse(path)? != expected {
                        return Err(DerivationError::FixedPath {
                            output: name,
                            found: path.to_owned(),
                            expected: dir.display(&expected),
                        });
                    }
                    Output::Fixed { ca }
                }
            }
        }
    };
    Ok((name, output))
}

fn read_path(reader: &mut Reader<'_>, dir: &StoreDir) -> Result<StorePath, DerivationError> {
    let at = reader.at();
    let bytes = reader.string()?;
    let text = match &bytes {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes),
        Cow::Owned(bytes) => std::str::from_utf8(bytes),
    };
    Ok(dir.parse(text.map_err(|_| AtermError::Utf8 { at })?)?)
}
