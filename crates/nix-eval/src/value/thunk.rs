//! Thunks: one atomic word, then what the suspended code needs.
//!
//! The word is the value itself once its low three bits are not zero. Otherwise its top 16 bits say what
//! the thunk is and the rest is an address or a number:
//!
//! | top bits | state | low 48 bits | words that follow |
//! |---|---|---|---|
//! | 0 | suspended code | address of its [`super::code::Code`] | captures |
//! | 1 | suspended call | number of arguments × 8 | function, arguments |
//! | 2 | running | worker × 8; bit 40 if somebody waits | as before |
//! | 3 | failed | number of the failure × 8 | as before |
//! | 4 | element of a mapped collection | its number × 8 | those of other elements, see [`crate::machine`]'s `mapped` |
//!
//! A worker claims a thunk by swapping *running* in, and publishes by a release store. Only who has claimed a thunk reads
//! the words that follow, and nobody claims one that has its value: then the worker that ran it uses them for other
//! objects ([`crate::heap::Bump::give_back`]). With one worker the swap is a plain store.

use std::sync::atomic::Ordering;

// Through the folder above, since `crate::model` compiles this file once more with words of its own.
use super::{Cells, TAG, THUNK, Value};

const KIND: u32 = 48;
const LOW: u64 = (1 << KIND) - 1;
const RUNNING: u64 = 2 << KIND;
/// Set in the word of a running thunk that another worker waits for.
const AWAITED: u64 = 1 << 40;

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
    /// Element with this number of a mapped collection.
    Element(usize),
    /// Being forced by this worker.
    Running(u32),
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
    /// The word of element `index` of a mapped collection.
    #[inline(always)]
    pub(crate) const fn element_word(index: usize) -> u64 {
        4 << KIND | (index as u64) << 3
    }
    const fn running_word(worker: u32) -> u64 {
        RUNNING | (worker as u64) << 3
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
        if word & TAG != 0 {
            return State::Done(Value(word));
        }
        match word >> KIND {
            0 => State::Code((word & LOW) as usize),
            1 => State::Call(((word & LOW) >> 3) as usize),
            2 => State::Running(((word & !AWAITED & LOW) >> 3) as u32),
            4 => State::Element(((word & LOW) >> 3) as usize),
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

    /// Ends our run of a thunk while others may wait for it: stores a value, a failure, or what it was before.
    /// Tells whether somebody waits.
    pub(crate) fn settle(self, word: u64) -> bool {
        let before = self.0.atomic(0).swap(word, Ordering::AcqRel);
        debug_assert!(before >> KIND == 2, "only running thunks are settled");
        before & AWAITED != 0
    }

    /// The word of a thunk that has failed.
    pub(crate) const fn failed_word(number: u32) -> u64 {
        3 << KIND | (number as u64) << 3
    }

    /// Who is forcing it.
    pub(crate) fn runner(self) -> Option<u32> {
        match self.state() {
            State::Running(worker) => Some(worker),
            _ => None,
        }
    }

    /// Marks a thunk as awaited, so that its worker tells when it is settled. Gives that worker, or `None` when
    /// nobody runs it.
    pub(crate) fn ask_to_be_told(self) -> Option<u32> {
        let mut word = self.state_word();
        loop {
            let State::Running(worker) = Thunk::state_of(word) else { return None };
            let marked = word | AWAITED;
            match self.0.atomic(0).compare_exchange(
                word,
                marked,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return Some(worker),
                Err(now) => word = now,
            }
        }
    }

    /// The words after the state.
    #[inline(always)]
    pub(crate) fn rest(self) -> Cells {
        self.0.skip(1)
    }

    /// Whether somebody is forcing it now.
    pub fn is_running(self) -> bool {
        matches!(self.state(), State::Running(_))
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
