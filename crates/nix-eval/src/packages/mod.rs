//! The derivations that a value holds, as package commands see them: which there are, and what each says of
//! itself.
//!
//! [`Walk`] finds them, in order of their attribute paths; [`Jobs`] finds them path by path; [`Package`] answers questions about one;
//! [`PackageName`] and [`Selector`] compare their names. Nothing here instantiates anything before it is asked
//! for a path.

mod jobs;
mod name;
mod package;
mod walk;

/// Names in an attribute path. A set may contain itself; without an end a walk would go on for ever.
const MAX_DEPTH: usize = 1000;

pub use self::{
    jobs::{Job, Jobs},
    name::{PackageName, Selector, compare_versions},
    package::{OutputPaths, Package},
    walk::{Failures, Names, Seen, Walk, Wants},
};
