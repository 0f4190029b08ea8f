//! What separates a builder from the machine.

pub(crate) mod mounts;
pub(crate) mod namespaces;
pub(crate) mod seccomp;
pub(crate) mod system;
