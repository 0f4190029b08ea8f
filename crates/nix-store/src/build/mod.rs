//! Building one derivation: sandbox, environment, log, outputs.

pub mod internal;
pub(crate) mod request;
pub(crate) mod sandbox;
pub mod settings;
pub mod starter;

pub use internal::{InternalBuild, InternalBuilder, InternalBuilders};
pub use settings::{BuildSettings, SandboxMode, SandboxPath};
