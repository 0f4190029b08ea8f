//! What explains and prints programs, and never decides what they mean.
//!
//! [`SyntaxTree`] is rnix's tree of a text, whose parser recovers after a mistake; [`diagnose`] looks there for
//! mistakes beyond the first. rnix and rowan types stay inside this folder. [`parse_text`] prints the desugared
//! tree from our own arena.

mod diagnose;
mod gate;
mod lossless;
mod parse_text;

pub use diagnose::{diagnose, mistakes_after};
pub use gate::{Bounds, Refusal};
pub use lossless::{Parsed, SyntaxEvent, SyntaxKind, SyntaxTree};
pub use parse_text::parse_text;
