//! Nesting: counted, on a native stack that grows.

use super::{SyntaxError, SyntaxErrorKind};
use crate::source::Span;

/// Native stack that one level may need, with a wide margin.
const RED_ZONE: usize = 64 * 1024;
/// Size of a new piece of stack.
const SEGMENT: usize = 4 * 1024 * 1024;

/// A count of levels against a limit, and where the native stack gets tight.
#[derive(Debug)]
pub(crate) struct Depth {
    now: u32,
    max: u32,
    /// Below this address a level wants a new piece of stack.
    floor: usize,
}

impl Depth {
    pub(crate) fn new(max: u32) -> Depth {
        Depth { now: 0, max, floor: floor() }
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

    /// Whether the native stack is too small for one level.
    #[inline(always)]
    pub(crate) fn is_tight(&self) -> bool {
        here() < self.floor
    }
}

/// Roughly where the native stack ends now.
#[inline(always)]
fn here() -> usize {
    let mark = 0u8;
    (&raw const mark).addr()
}

/// See [`Depth::floor`].
fn floor() -> usize {
    match stacker::remaining_stack() {
        Some(left) => here().saturating_sub(left) + RED_ZONE,
        None => usize::MAX,
    }
}

/// Runs `inner` on a new piece of native stack; `depth` finds the count in `state`.
#[cold]
#[inline(never)]
pub(crate) fn on_new_stack<S, T>(
    state: &mut S,
    depth: fn(&mut S) -> &mut Depth,
    inner: impl FnOnce(&mut S) -> T,
) -> T {
    let outside = depth(state).floor;
    let result = stacker::grow(SEGMENT, || {
        depth(state).floor = floor();
        inner(state)
    });
    depth(state).floor = outside;
    result
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
