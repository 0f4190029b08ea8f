//! Builtins that need a store.
//!
//! They find it behind the host, as a [`StoreHost`](crate::host::StoreHost); with another host they are errors.

mod attributes;
mod derivation;
mod fetch;
mod path;
mod session;
mod to_file;

use nix_eval::builtins::Builtin;

/// All tables, for `EngineOptions::builtins`.
pub const BUILTINS: &[&[Builtin]] = &[
    derivation::DERIVATION,
    fetch::FETCH,
    path::PATH,
    to_file::TO_FILE,
    crate::host_tools::BUILTINS,
];

#[cfg(test)]
mod tests;
