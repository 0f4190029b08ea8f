//! The process that a build runs in.
//!
//! Forking out of a threaded program deadlocks, so a build starts in a fresh process with one
//! thread: this program starts itself again under the name [`NAME`] and is told over its standard
//! input what to do.

use super::internal::InternalBuilders;

/// The name (`argv[0]`) under which a program is the starter.
pub const NAME: &str = "mini-nix-starter";

/// Becomes the starter and does not return, if this process was started as one.
///
/// Has to be the first line of `main` of every program that builds: no thread may exist yet and
/// nothing may have been read from standard input.
pub fn run_if_asked(_builders: &InternalBuilders) {}
