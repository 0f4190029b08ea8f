//! Building one derivation: sandbox, environment, log, outputs.

mod build_dir;
mod checks;
mod differ;
mod environment;
pub mod error;
pub mod events;
pub mod internal;
mod log;
pub(crate) mod one;
mod outputs;
mod process;
mod request;
pub mod sandbox;
pub mod settings;
pub mod starter;
mod structured_attrs;

pub use error::{BuildError, BuildFailure, FailureKind, FailureReport};
pub use events::{Event, Events, Level, NoEvents};
pub use internal::{InternalBuild, InternalBuilder, InternalBuilders};
pub use one::log_path;
pub use settings::{BuildSettings, SandboxMode, SandboxPath};
