//! Thunks: one atomic word, then what the suspended code needs.
//!
//! The word is the value itself once its low three bits are not zero. Otherwise its top 16 bits say what
//! the thunk is and the rest is an address or a number:
//!
//! | top bits | state | low 48 bits | words that follow |
//! |---|---|---|---|
//! | 0 | suspended code | address of its [`super::code::Code`] | captures |
//! | 1 | suspended call | number of arguments × 8 | function, arguments |
//! | 2 | running | worker × 8 | as before |
//! | 3 | failed | number of the failure × 8 | as before |
//!
//! A worker claims a thunk by swapping *running* in, publishes by a release store, and then nobody reads
//! the following words again. With one worker the swap is a plain store.

use std::sync::atomic::Ordering;

use super::{THUNK, Value};
use crate::heap::Cells;

const KIND: u32 = 48;
const LOW: u64 = (1 << KIND) - 1;

/// A thunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Thunk(pub(crate) Cells);

/// What a thunk's word says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// Finished.
    Done(Value),
    /// Suspended code: address of its `Code`.
    Code(usize),
    /// Suspended call with this many arguments.
    Call(usize),
    /// Being forced.
    Running,
    /// Failed; the number of its failure.
    Failed(u32),
}

/// Answer to an attempt to run a thunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Claim {
    /// It is ours to run; the word to restore if we cannot.
    Ours(u64),
    /// Somebody was faster: look again.
    Lost,
}

impl Thunk {
    /// The word of suspended code.
    #[inline(always)]
    pub(crate) const fn code_word(address: usize) -> u64 {
        address as u64
    }
    /// The word of a suspended call.
    #[inline(always)]
    pub(crate) const fn call_word(n_args: usize) -> u64 {
        1 << KIND | (n_args as u64) << 3
    }
    const fn running_word(worker: u32) -> u64 {
        2 << KIND | (worker as u64) << 3
    }
    const fn failed_word(failure: u32) -> u64 {
        3 << KIND | (failure as u64) << 3
    }

    #[inline(always)]
    pub(crate) fn state_word(self) -> u64 {
        self.0.atomic(0).load(Ordering::Acquire)
    }

    /// Where it lies, as what tells it from others.
    pub(crate) fn address(self) -> usize {
        self.0.address()
    }

    /// What a state word means.
    #[inline(always)]
    pub(crate) fn state_of(word: u64) -> State {
        if word & super::TAG != 0 {
            return State::Done(Value(word));
        }
        match word >> KIND {
            0 => State::Code((word & LOW) as usize),
            1 => State::Call(((word & LOW) >> 3) as usize),
            2 => State::Running,
            _ => State::Failed(((word & LOW) >> 3) as u32),
        }
    }

    pub(crate) fn state(self) -> State {
        Thunk::state_of(self.state_word())
    }

    /// Takes the thunk to run it, if its word still is `seen`.
    #[inline(always)]
    pub(crate) fn claim(self, seen: u64, worker: u32, alone: bool) -> Claim {
        let cell = self.0;
        if alone {
            cell.atomic(0).store(Thunk::running_word(worker), Ordering::Relaxed);
            return Claim::Ours(seen);
        }
        let running = Thunk::running_word(worker);
        match cell.atomic(0).compare_exchange(seen, running, Ordering::Acquire, Ordering::Acquire) {
            Ok(_) => Claim::Ours(seen),
            Err(_) => Claim::Lost,
        }
    }

    /// Finishes a thunk that we run.
    #[inline(always)]
    pub(crate) fn publish(self, value: Value) {
        debug_assert!(!value.is_thunk());
        self.0.atomic(0).store(value.0, Ordering::Release);
    }

    /// Makes a thunk that we run fail from now on.
    pub(crate) fn fail(self, failure: u32) {
        self.0.atomic(0).store(Thunk::failed_word(failure), Ordering::Release);
    }

    /// Gives a thunk that we run back, so that it can be tried again.
    pub(crate) fn restore(self, word: u64) {
        self.0.atomic(0).store(word, Ordering::Release);
    }

    /// The words after the state.
    #[inline(always)]
    pub(crate) fn rest(self) -> Cells {
        self.0.skip(1)
    }

    /// Whether somebody is forcing it now.
    pub fn is_running(self) -> bool {
        self.state() == State::Running
    }

    /// Whether forcing it has failed.
    pub fn has_failed(self) -> bool {
        matches!(self.state(), State::Failed(_))
    }

    /// The thunk as a value.
    pub fn value(self) -> Value {
        Value::tagged(self.0, THUNK)
    }
}
