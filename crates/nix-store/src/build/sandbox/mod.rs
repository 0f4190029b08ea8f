//! What separates a builder from the machine.

pub(crate) mod mounts;
pub(crate) mod namespaces;
pub(crate) mod plan;
pub(crate) mod seccomp;
pub mod shell;
pub(crate) mod system;
