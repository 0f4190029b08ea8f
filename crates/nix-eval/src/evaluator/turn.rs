//! One thread at a time runs machines of an evaluator.

use std::{
    sync::{Condvar, Mutex, OnceLock, PoisonError},
    thread::ThreadId,
};

use super::lock;

/// Whose turn it is: one thread at a time runs machines of an evaluator, and may enter again.
#[derive(Default)]
pub(super) struct Turn {
    owner: Mutex<(Option<ThreadId>, u32)>,
    free: Condvar,
    /// Set when a turn ended in a panic: values may be half made.
    panicked: OnceLock<String>,
}

impl Turn {
    pub(super) fn take(&self) -> TurnGuard<'_> {
        let me = std::thread::current().id();
        let mut owner = lock(&self.owner);
        while owner.0.is_some_and(|other| other != me) {
            owner = self.free.wait(owner).unwrap_or_else(PoisonError::into_inner);
        }
        *owner = (Some(me), owner.1 + 1);
        TurnGuard { turn: self, was_panicking: std::thread::panicking() }
    }

    /// Why values cannot be trusted any more, if a turn ended in a panic.
    pub(super) fn panicked(&self) -> Option<&String> {
        self.panicked.get()
    }
}

/// Ends a turn when dropped.
pub(super) struct TurnGuard<'a> {
    turn: &'a Turn,
    was_panicking: bool,
}

impl Drop for TurnGuard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.was_panicking {
            let _ = self.turn.panicked.set("an earlier request panicked".to_owned());
        }
        let mut owner = lock(&self.turn.owner);
        owner.1 -= 1;
        if owner.1 == 0 {
            owner.0 = None;
            self.turn.free.notify_one();
        }
    }
}
