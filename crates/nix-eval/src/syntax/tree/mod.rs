//! What explains and prints programs, and never decides what they mean.
//!
//! [`diagnose`] asks rnix, whose parser recovers after an error, for mistakes beyond the first; rnix and rowan
//! types stay inside this folder. [`parse_text`] prints the desugared tree from our own arena.

mod diagnose;
mod gate;
mod parse_text;

pub use diagnose::{diagnose, mistakes_after};
pub use parse_text::parse_text;
