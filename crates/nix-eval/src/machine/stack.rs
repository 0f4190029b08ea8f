//! The two stacks of a machine: values, and the native one.
//!
//! Values: arguments, locals and temporaries of running code, in a reserved stretch of address space that
//! gets memory as it is used. Native: [`Machine::near_end`] compares an address with a limit; past it, code
//! goes on in a new segment, counted against a byte budget, so that depth ends in an error and never in an
//! overflow.
#![allow(unsafe_code, reason = "frames are addresses in the value stack")]

use super::Machine;
use crate::{
    error::{self, Error},
    heap::{Cells, Mapping},
    ir::Place,
    limits::LimitKind,
    value::{Value, code::Unit},
};

/// Bytes of address space for a machine's values.
const VALUE_BYTES: usize = 64 << 20;
/// Native stack that must be left when code is entered: hosts and builtins need room as well.
const RED_ZONE: usize = 128 << 10;
const FIRST_SEGMENT: usize = 2 << 20;
const LAST_SEGMENT: usize = 64 << 20;

/// Where running code finds its variables.
#[derive(Clone, Copy)]
pub(crate) struct Frame {
    unit: *const Unit,
    pub(crate) locals: Cells,
    captures: Cells,
}

impl Frame {
    #[inline(always)]
    pub(crate) fn new(unit: &Unit, locals: Cells, captures: Cells) -> Frame {
        Frame { unit, locals, captures }
    }
    /// The file whose code runs.
    #[inline(always)]
    pub(crate) fn unit<'a>(&self) -> &'a Unit {
        // SAFETY: units live as long as their evaluator, and frames do not outlive a request to it.
        unsafe { &*self.unit }
    }
    /// The word at a place.
    #[inline(always)]
    pub(crate) fn get(&self, place: Place) -> Value {
        let cells = if place.is_captured() { self.captures } else { self.locals };
        Value(cells.word(place.index() as usize))
    }
    /// Member `index` of the group at a place.
    #[inline(always)]
    pub(crate) fn member(&self, group: Place, index: u32) -> Value {
        Value(Cells::at(self.get(group).0 as usize).word(index as usize))
    }
    /// Fills a local slot.
    #[inline(always)]
    pub(crate) fn set(&self, slot: u32, value: Value) {
        self.locals.put(slot as usize, value.0);
    }
}

/// A machine's values.
#[derive(Debug)]
pub(crate) struct ValueStack {
    pub(crate) top: usize,
    end: usize,
    mapping: Mapping,
}

impl ValueStack {
    /// `None` when the system refuses the address space.
    pub(crate) fn new() -> Option<ValueStack> {
        let mapping = Mapping::reserve(VALUE_BYTES)?;
        let top = mapping.address();
        Some(ValueStack { top, end: top + mapping.len(), mapping })
    }

    /// Forgets all contents.
    pub(crate) fn clear(&mut self) {
        self.top = self.mapping.address();
    }

    /// Takes `n` slots; their contents are left over from earlier use.
    #[inline(always)]
    pub(crate) fn push(&mut self, n: usize) -> Result<Cells, Error> {
        let at = self.top;
        if self.end - at < n * 8 {
            return Err(stack_full());
        }
        self.top = at + n * 8;
        Ok(Cells::at(at))
    }
}

#[cold]
fn stack_full() -> Error {
    error::limit(LimitKind::StackBytes, VALUE_BYTES as u64)
}

/// Moves `n` words down to `to`.
#[inline(always)]
pub(crate) fn move_words(from: Cells, to: Cells, n: usize) {
    // SAFETY: both lie in the value stack of one machine, `to` below `from`.
    unsafe { std::ptr::copy(from.address() as *const u64, to.address() as *mut u64, n) }
}

/// What is left of the native stack.
#[derive(Debug, Default)]
pub(crate) struct NativeStack {
    /// Going below this address needs a new segment.
    limit: usize,
    /// Bytes of segments in use.
    used: u64,
    n_segments: u32,
}

/// An address in the native stack, where it ends just now.
#[inline(always)]
pub(super) fn here() -> usize {
    let marker = 0u8;
    std::hint::black_box(&raw const marker) as usize
}

impl Machine {
    /// Whether the native stack has to be continued elsewhere before going deeper.
    #[inline(always)]
    pub(crate) fn near_end(&self) -> bool {
        here() < self.native.limit
    }

    /// Whether too little is left of the native stack for code of the embedder.
    pub(crate) fn is_tight(&self) -> bool {
        here() < self.native.limit.saturating_add(RED_ZONE)
    }

    /// Bytes of native stack beyond the thread's own that are in use.
    pub(super) fn stack_used(&self) -> u64 {
        self.native.used
    }

    /// Counts bytes of native stack that others use as used.
    pub(super) fn set_stack_used(&mut self, used: u64) {
        self.native.used = used;
    }

    /// Runs `code` knowing how much stack the current thread has.
    pub(crate) fn on_this_thread<T>(&mut self, code: impl FnOnce(&mut Machine) -> T) -> T {
        let left = stacker::remaining_stack().unwrap_or(256 << 10);
        let limit = (here() + RED_ZONE).saturating_sub(left);
        let before = std::mem::replace(&mut self.native.limit, limit);
        let value = code(self);
        self.native.limit = before;
        value
    }

    /// Runs `code` on a new segment.
    #[cold]
    #[inline(never)]
    pub(crate) fn on_new_segment<T>(
        &mut self,
        code: impl FnOnce(&mut Machine) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let size = (FIRST_SEGMENT << self.native.n_segments.min(8)).min(LAST_SEGMENT);
        let budget = self.meter.limits.stack_bytes;
        if self.native.used + size as u64 > budget {
            return Err(error::limit(LimitKind::StackBytes, budget));
        }
        self.native.used += size as u64;
        self.native.n_segments += 1;
        let before = self.native.limit;
        self.note_segment(true);
        let result = stacker::grow(size, || {
            self.native.limit = (here() + RED_ZONE).saturating_sub(size - (16 << 10));
            code(self)
        });
        self.note_segment(false);
        self.native.limit = before;
        self.native.used -= size as u64;
        self.native.n_segments -= 1;
        result
    }
}
