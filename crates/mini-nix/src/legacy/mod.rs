//! Commands named as in C++ Nix.

pub(crate) mod build;
pub(crate) mod env;
pub(crate) mod instantiate;
pub(crate) mod store;
