//! Who waits for whom.
//!
//! A machine that needs a thunk which another one runs waits for it. Waits are known here, so a circle of them is
//! seen: a helper in the circle gives up, which leaves the circle to one machine, who reports it as it always would.

use std::{sync::PoisonError, time::Duration};

// Through the folder above, since `crate::model` compiles this file once more with locks of its own.
use super::{CancelToken, Condvar, Mutex, Thunk, lock};

/// How long a wait lasts before limits and token are looked at again.
const PATIENCE: Duration = Duration::from_millis(2);

/// How a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Waited {
    /// The thunk may have changed.
    Look,
    /// Nothing has changed for a while.
    Patience,
    /// This helper has to give its work back.
    GiveUp,
}

/// The waits of all machines.
#[derive(Default)]
pub(crate) struct Waits {
    table: Mutex<Table>,
    settled: Condvar,
}

/// Who waits for what, by number of machine; the answering machine is 0.
#[derive(Default)]
struct Table {
    waits: Vec<Option<(Thunk, u32)>>,
    /// Pulled to have a helper give up; that of machine 0 is never used.
    tokens: Vec<CancelToken>,
}

impl Table {
    /// A helper that takes part in a circle of waits through machine `me`, which waits for `owner`.
    fn circle(&self, me: u32, owner: u32) -> Option<u32> {
        let mut at = owner;
        // A wait that is over may not be taken back yet, so circles without `me` can be seen: they are bounded.
        for _ in 0..=self.waits.len() {
            if at == me {
                return Some(owner);
            }
            match self.waits.get(at as usize) {
                Some(&Some((thunk, next))) if thunk.runner() == Some(next) => at = next,
                _ => return None,
            }
        }
        None
    }
}

impl Waits {
    /// Nobody waits, of the answering machine and so many helpers.
    pub(super) fn start(&self, n_helpers: u32) {
        let mut table = lock(&self.table);
        table.waits = vec![None; n_helpers as usize + 1];
        table.tokens = (0..=n_helpers).map(|_| CancelToken::new()).collect();
    }

    /// Has all helpers give up.
    pub(super) fn stop(&self) {
        lock(&self.table).tokens.iter().for_each(CancelToken::cancel);
        self.settled.notify_all();
    }

    /// Takes back that a helper has to give up.
    pub(super) fn reset(&self, helper: u32) {
        lock(&self.table).tokens[helper as usize].reset();
    }

    /// The token of a helper.
    pub(super) fn token(&self, helper: u32) -> CancelToken {
        lock(&self.table).tokens[helper as usize].clone()
    }

    /// Tells those who wait that a thunk they wait for is not running any more.
    pub(crate) fn wake(&self) {
        // The lock makes sure that nobody is between a look at the thunk and the wait.
        drop(lock(&self.table));
        self.settled.notify_all();
    }

    /// Waits until a thunk that another machine runs is not running any more, or for a while.
    pub(crate) fn wait(&self, me: u32, thunk: Thunk) -> Waited {
        let mut table = lock(&self.table);
        let how = loop {
            let Some(owner) = thunk.ask_to_be_told() else { break Waited::Look };
            table.waits[me as usize] = Some((thunk, owner));
            if let Some(helper) = table.circle(me, owner) {
                if me != 0 {
                    break Waited::GiveUp;
                }
                table.tokens[helper as usize].cancel();
                self.settled.notify_all();
            }
            let (guard, timeout) =
                self.settled.wait_timeout(table, PATIENCE).unwrap_or_else(PoisonError::into_inner);
            table = guard;
            if me != 0 && table.tokens[me as usize].is_cancelled() {
                break Waited::GiveUp;
            }
            if timeout.timed_out() {
                break Waited::Patience;
            }
        };
        table.waits[me as usize] = None;
        how
    }
}
