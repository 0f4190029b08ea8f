//! Output paths of a derivation: filling them in, and checking those that were given.

use std::fmt;
use std::sync::Arc;

use super::hash_modulo::{Modulo, ModuloCache, ModuloError, hash_modulo};
use super::{Derivation, Output, fixed_path};
use crate::placeholder::output_placeholder;
use crate::store_path::{StoreDir, StorePath};

/// Computes the output paths of `drv`, and sets its outputs and the variables named like them.
///
/// Input-addressed outputs (and [`Output::Deferred`], which says "not filled in yet" here) get
/// their path, or are deferred if an input is. The variable of an output whose path is not known
/// before the build is empty if deferred, else the output's placeholder.
///
/// # Errors
/// See [`hash_modulo`]; or an output's name makes no store path.
pub fn fill_output_paths<E>(
    dir: &StoreDir,
    drv: &mut Derivation,
    cache: &ModuloCache,
    load: &mut dyn FnMut(&StorePath) -> Result<Arc<Derivation>, E>,
) -> Result<(), ModuloError<E>> {
    // What is hashed has the variables, blank.
    for name in drv.outputs.keys() {
        drv.env.insert(name.clone().into_bytes(), Vec::new());
    }
    let modulo = hash_modulo(dir, drv, true, cache, load)?;
    for (name, output) in &mut drv.outputs {
        let value = match output {
            Output::Fixed { ca } => {
                let path = fixed_path(dir, &drv.name, name, ca).map_err(ModuloError::Path)?;
                dir.display(&path)
            }
            Output::Floating { .. } | Output::Impure { .. } => output_placeholder(name),
            Output::InputAddressed(_) | Output::Deferred => match modulo {
                Modulo::Plain(hash) => {
                    let path =
                        dir.make_output_path(name, &hash, &drv.name).map_err(ModuloError::Path)?;
                    let text = dir.display(&path);
                    *output = Output::InputAddressed(path);
                    text
                }
                // A derivation of mixed outputs; `check_shape` refuses it.
                Modulo::Fixed(_) | Modulo::Deferred => {
                    *output = Output::Deferred;
                    String::new()
                }
            },
        };
        drv.env.insert(name.clone().into_bytes(), value.into_bytes());
    }
    Ok(())
}

/// Computes what stands for `drv` where it is an input, and remembers it under `drv_path`.
///
/// Whoever writes a derivation calls this, so that no `.drv` file is read back only to be hashed.
///
/// # Errors
/// See [`hash_modulo`].
pub fn remember<E>(
    dir: &StoreDir,
    drv_path: &StorePath,
    drv: &Derivation,
    cache: &ModuloCache,
    load: &mut dyn FnMut(&StorePath) -> Result<Arc<Derivation>, E>,
) -> Result<Modulo, ModuloError<E>> {
    if let Some(modulo) = cache.lookup(drv_path) {
        return Ok(modulo);
    }
    let modulo = hash_modulo(dir, drv, false, cache, load)?;
    cache.insert(drv_path.clone(), modulo);
    Ok(modulo)
}

/// Why the output paths of a derivation are not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputPathError<E> {
    /// The right paths could not be computed.
    Modulo(ModuloError<E>),
    /// An output has another path than follows from the derivation.
    Path {
        /// The output's name.
        output: String,
        /// The path given, if any.
        found: Option<StorePath>,
        /// The right path, if it can be known before a build.
        expected: Option<StorePath>,
    },
    /// The variable named like an output does not hold its path.
    Variable {
        /// The output's name.
        output: String,
        /// The right path.
        expected: StorePath,
    },
}

/// Checks that all output paths of `drv` follow from it, and that variables named like outputs
/// hold them: what a store asks of a derivation that it takes.
///
/// # Errors
/// The first output that is wrong; or see [`hash_modulo`].
pub fn check_output_paths<E>(
    dir: &StoreDir,
    drv: &Derivation,
    cache: &ModuloCache,
    load: &mut dyn FnMut(&StorePath) -> Result<Arc<Derivation>, E>,
) -> Result<(), OutputPathError<E>> {
    let modulo = hash_modulo(dir, drv, true, cache, load).map_err(OutputPathError::Modulo)?;
    for (name, output) in &drv.outputs {
        let found = drv.output_path(dir, name);
        let expected = match (output, modulo) {
            (Output::InputAddressed(_) | Output::Deferred, Modulo::Plain(hash)) => Some(
                dir.make_output_path(name, &hash, &drv.name)
                    .map_err(|error| OutputPathError::Modulo(ModuloError::Path(error)))?,
            ),
            (Output::InputAddressed(_), _) => None,
            _ => found.clone(),
        };
        if found != expected {
            return Err(OutputPathError::Path { output: name.clone(), found, expected });
        }
        if let Some(expected) = expected {
            let value = drv.env.get(name.as_bytes());
            if value.is_none_or(|value| *value != dir.display(&expected).as_bytes()) {
                return Err(OutputPathError::Variable { output: name.clone(), expected });
            }
        }
    }
    Ok(())
}

impl<E: fmt::Display> fmt::Display for OutputPathError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |path: &Option<StorePath>| {
            path.as_ref().map_or("none".to_owned(), |path| format!("'{path}'"))
        };
        match self {
            OutputPathError::Modulo(error) => error.fmt(f),
            OutputPathError::Path { output, found, expected } => write!(
                f,
                "output '{output}' has path {}, but the derivation makes {}",
                text(found),
                text(expected)
            ),
            OutputPathError::Variable { output, expected } => {
                write!(f, "environment variable '{output}' does not hold output path '{expected}'")
            }
        }
    }
}

impl<E: fmt::Display + fmt::Debug> std::error::Error for OutputPathError<E> {}
