//! Nesting: counted, on a native stack that grows.

use super::{SyntaxError, SyntaxErrorKind};
use crate::source::Span;

/// Native stack that one level may need, with a wide margin.
const RED_ZONE: usize = 64 * 1024;
/// Size of a new piece of stack.
const SEGMENT: usize = 4 * 1024 * 1024;

/// A count of levels against a limit.
#[derive(Debug)]
pub(crate) struct Depth {
    now: u32,
    max: u32,
}

impl Depth {
    pub(crate) fn new(max: u32) -> Depth {
        Depth { now: 0, max }
    }

    /// One level deeper; `false` if that is too deep.
    #[inline]
    pub(crate) fn enter(&mut self) -> bool {
        self.now += 1;
        self.now <= self.max
    }

    #[inline]
    pub(crate) fn leave(&mut self) {
        self.now -= 1;
    }
}

/// Runs `inner` with enough native stack for one level.
#[inline]
pub(crate) fn on_growing_stack<T>(inner: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(RED_ZONE, SEGMENT, inner)
}

#[cold]
pub(crate) fn too_deep(span: Span, max: u32) -> Box<SyntaxError> {
    let message = format!("expressions are nested deeper than {max} levels here");
    Box::new(SyntaxError::new(SyntaxErrorKind::TooDeep, span, message))
}
