//! One thread at a time runs machines of an evaluator.

use std::sync::{Mutex, PoisonError};

use super::lock;

/// Whose turn it is: one thread at a time runs machines of an evaluator, and may enter again.
#[derive(Default)]
pub(super) struct Turn {
    owner: Mutex<(Option<std::thread::ThreadId>, u32)>,
    free: std::sync::Condvar,
}

impl Turn {
    pub(super) fn take(&self) -> TurnGuard<'_> {
        let me = std::thread::current().id();
        let mut owner = lock(&self.owner);
        while owner.0.is_some_and(|other| other != me) {
            owner = self.free.wait(owner).unwrap_or_else(PoisonError::into_inner);
        }
        *owner = (Some(me), owner.1 + 1);
        TurnGuard(self)
    }
}

/// Ends a turn when dropped.
pub(super) struct TurnGuard<'a>(&'a Turn);

impl Drop for TurnGuard<'_> {
    fn drop(&mut self) {
        let mut owner = lock(&self.0.owner);
        owner.1 -= 1;
        if owner.1 == 0 {
            owner.0 = None;
            self.0.free.notify_one();
        }
    }
}
