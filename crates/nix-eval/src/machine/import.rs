//! Loading files.

use super::Machine;
use crate::{
    error::Error,
    host::NixPath,
    value::{Builtin, Run, Value},
};

/// Loads the function `derivation`, which is written in Nix.
pub(crate) const LOAD_DERIVATION: Builtin = Builtin {
    name: "derivation",
    params: &[],
    doc: "",
    examples: &[],
    run: Run::Constant(load_derivation),
};

fn load_derivation(_: &mut Machine) -> Result<Value, Error> {
    Err(crate::error::cancelled())
}

impl Machine {
    /// The value of a file, evaluated once per session; a directory stands for its `default.nix`.
    ///
    /// # Errors
    /// When there is no such file, it is no program, or its evaluation fails.
    pub fn import(&mut self, path: &NixPath) -> Result<Value, Error> {
        let _ = path;
        Err(crate::error::cancelled())
    }

    /// The value of a file with the attributes of `scope` as variables; not memoised.
    ///
    /// # Errors
    /// As [`Machine::import`].
    pub fn scoped_import(&mut self, scope: Value, path: &NixPath) -> Result<Value, Error> {
        let _ = (scope, path);
        Err(crate::error::cancelled())
    }
}
