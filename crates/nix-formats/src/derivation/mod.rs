//! Derivations: builds as data, their `.drv` text, and the paths of their outputs.
//!
//! [`Derivation::parse`] and [`Derivation::write`] are inverse on texts in canonical form.
//! Output paths follow from [`hash_modulo`], which needs the input derivations; a [`ModuloCache`]
//! remembers what was computed.

mod hash_modulo;
mod output_paths;
mod parse;
mod validate;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use crate::content_address::{CaMethod, ContentAddress};
use crate::hash::HashAlgo;
use crate::store_path::{MakePathError, StoreDir, StorePath, output_path_name};

pub use hash_modulo::{Modulo, ModuloCache, ModuloError, hash_modulo};
pub use output_paths::{OutputPathError, check_output_paths, fill_output_paths, remember};
pub use parse::{DerivationError, MAX_LEN};
pub use validate::ShapeError;

/// A build as data: what to run, with what, and what comes out.
///
/// Shape: see [`Derivation::check_shape`]. All maps and sets are written in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Derivation {
    /// Name without `.drv`. Not in the text; the file's name says it.
    pub name: String,
    /// Output name → what its path follows from.
    pub outputs: BTreeMap<String, Output>,
    /// Path of an input derivation → the names of its outputs that are used, at least one.
    pub input_drvs: BTreeMap<StorePath, BTreeSet<String>>,
    /// Objects that are used and that no derivation makes.
    pub input_srcs: BTreeSet<StorePath>,
    /// The platform that it must be built on, such as `x86_64-linux`.
    pub system: String,
    /// The program to run, or `builtin:` and a name.
    pub builder: Vec<u8>,
    /// Arguments of the builder, in order.
    pub args: Vec<Vec<u8>>,
    /// Environment variables of the builder, as the derivation gives them.
    pub env: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// What the path of an output follows from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// The derivation itself; this is the path.
    InputAddressed(StorePath),
    /// The hash of the contents, known before the build; the path is computed from it.
    Fixed {
        /// Says what must come out.
        ca: ContentAddress,
    },
    /// The contents, once they are there.
    Floating {
        /// What will be hashed.
        method: CaMethod,
        /// By which algorithm.
        algo: HashAlgo,
    },
    /// The derivation itself, but some input's path is not known before it is built.
    Deferred,
    /// The contents, which may differ from build to build.
    Impure {
        /// What will be hashed.
        method: CaMethod,
        /// By which algorithm.
        algo: HashAlgo,
    },
}

/// The environment variable that holds structured attributes, as JSON.
pub(crate) const STRUCTURED_ATTRS: &[u8] = b"__json";

impl Derivation {
    /// The path of output `output`, if it is known before the build.
    #[must_use]
    pub fn output_path(&self, dir: &StoreDir, output: &str) -> Option<StorePath> {
        match self.outputs.get(output)? {
            Output::InputAddressed(path) => Some(path.clone()),
            Output::Fixed { ca } => fixed_path(dir, &self.name, output, ca).ok(),
            Output::Floating { .. } | Output::Deferred | Output::Impure { .. } => None,
        }
    }

    /// Output name → its path, if known before the build, in the order of the names.
    pub fn output_paths<'a>(
        &'a self,
        dir: &'a StoreDir,
    ) -> impl Iterator<Item = (&'a str, Option<StorePath>)> + 'a {
        self.outputs.keys().map(|name| (name.as_str(), self.output_path(dir, name)))
    }

    /// Says whether the hash of its single output is known before the build.
    #[must_use]
    pub fn is_fixed_output(&self) -> bool {
        matches!(self.outputs.values().next(), Some(Output::Fixed { .. }))
    }

    /// The path of this derivation's `.drv` file: a text object that refers to all inputs.
    ///
    /// # Errors
    /// The name is not allowed.
    pub fn make_drv_path(&self, dir: &StoreDir) -> Result<StorePath, MakePathError> {
        self.make_drv_path_of(dir, &self.write(dir))
    }

    /// Like [`Derivation::make_drv_path`], for a caller that has the text already.
    ///
    /// # Errors
    /// The name is not allowed.
    pub fn make_drv_path_of(
        &self,
        dir: &StoreDir,
        text: &[u8],
    ) -> Result<StorePath, MakePathError> {
        dir.make_text_path(&format!("{}.drv", self.name), text, &self.references())
    }

    /// What the `.drv` file refers to: input derivations and input sources.
    #[must_use]
    pub fn references(&self) -> BTreeSet<StorePath> {
        self.input_drvs.keys().chain(&self.input_srcs).cloned().collect()
    }

    /// The structured attributes, JSON, if it has them.
    #[must_use]
    pub fn structured_attrs(&self) -> Option<&[u8]> {
        self.env.get(STRUCTURED_ATTRS).map(Vec::as_slice)
    }
}

/// The path of a fixed output.
fn fixed_path(
    dir: &StoreDir,
    drv_name: &str,
    output: &str,
    ca: &ContentAddress,
) -> Result<StorePath, MakePathError> {
    dir.make_ca_path(&output_path_name(drv_name, output), ca, &BTreeSet::new(), false)
}

#[cfg(test)]
mod tests;
