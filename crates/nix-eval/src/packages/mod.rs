//! The derivations that a value holds, as package commands see them: which there are, and what each says of
//! itself.
//!
//! [`Walk`] finds them, in order of their attribute paths; [`Package`] answers questions about one;
//! [`PackageName`] and [`Selector`] compare their names. Nothing here instantiates anything before it is asked
//! for a path.

mod name;
mod package;
mod walk;

pub use self::{
    name::{PackageName, Selector, compare_versions},
    package::{OutputPaths, Package},
    walk::{Failures, Names, Seen, Walk},
};
