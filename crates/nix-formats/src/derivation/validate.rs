//! What makes the parts of a derivation a derivation.

use std::mem::discriminant;

use super::{Derivation, Output};
use crate::content_address::CaMethod;
use crate::hash::HashAlgo;
use crate::store_path::{NameError, StorePath, check_name};

/// Which rule the parts of a derivation break.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// The name, or an output's name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Nothing comes out.
    #[error("a derivation needs at least one output")]
    NoOutput,
    /// Outputs whose paths follow from different things.
    #[error("all outputs of a derivation must be of one kind, but '{0}' and '{1}' are not")]
    MixedOutputs(String, String),
    /// A fixed output that is not alone, or not called `out`.
    #[error("a fixed-output derivation must have a single output called 'out', but it has '{0}'")]
    FixedOutput(String),
    /// An input derivation of which nothing is used.
    #[error("no output of input derivation '{0}' is used")]
    UnusedInput(StorePath),
    /// An input derivation that is none.
    #[error("input derivation '{0}' does not end in '.drv'")]
    NoDerivation(StorePath),
    /// The system cannot be written.
    #[error("system {0:?} contains a quote or a backslash")]
    System(String),
}

impl Derivation {
    /// Checks what does not need other derivations: names; at least one output, all of one kind;
    /// a fixed one alone and called `out`; every input used.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check_shape(&self) -> Result<(), ShapeError> {
        check_name(&self.name)?;
        let mut outputs = self.outputs.iter();
        let (first_name, first) = outputs.next().ok_or(ShapeError::NoOutput)?;
        check_name(first_name)?;
        if matches!(first, Output::Fixed { .. }) {
            let names = [first_name].into_iter().chain(self.outputs.keys().nth(1));
            if let Some(name) = names.into_iter().find(|name| *name != "out") {
                return Err(ShapeError::FixedOutput(name.clone()));
            }
        }
        for (name, output) in outputs {
            check_name(name)?;
            if discriminant(output) != discriminant(first) || algo(output) != algo(first) {
                return Err(ShapeError::MixedOutputs(first_name.clone(), name.clone()));
            }
        }
        for (path, names) in &self.input_drvs {
            if !path.is_derivation() {
                return Err(ShapeError::NoDerivation(path.clone()));
            }
            if names.is_empty() {
                return Err(ShapeError::UnusedInput(path.clone()));
            }
            names.iter().try_for_each(|name| check_name(name))?;
        }
        if self.system.contains(['"', '\\']) {
            return Err(ShapeError::System(self.system.clone()));
        }
        Ok(())
    }
}

/// The method and algorithm that outputs must share.
fn algo(output: &Output) -> Option<(CaMethod, HashAlgo)> {
    match output {
        Output::InputAddressed(_) | Output::Fixed { .. } | Output::Deferred => None,
        Output::Floating { method, algo } | Output::Impure { method, algo } => {
            Some((*method, *algo))
        }
    }
}
