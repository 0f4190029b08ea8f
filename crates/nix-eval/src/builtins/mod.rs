//! The builtins of the language.

pub use crate::value::{Builtin, Example, Run};

/// All tables.
pub const ALL: &[&[Builtin]] = &[];
