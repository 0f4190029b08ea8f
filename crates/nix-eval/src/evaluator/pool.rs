//! The pool of helpers: worker threads that evaluate ahead of the machine that answers a request.
//!
//! The answering machine does what it would do alone, in the same order; what helpers have finished by then it
//! finds finished. So results, errors and what is said do not depend on helpers. A helper that meets an error,
//! or comes to something that others could notice, gives its work back untouched.
//!
//! Work is offered in batches: the answering machine begins at the front of a batch, helpers at the back of the
//! oldest one, so that they meet once and not at every element.
//!
//! A machine that needs a thunk which another one runs waits for it; see [`super::waits`].

use std::{
    collections::VecDeque,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
};

use super::{Shared, Waited, Waits, lock};
use crate::{
    error::Error,
    limits::CancelToken,
    machine::Machine,
    value::{Thunk, Value},
};

/// What a helper does with a value that will be needed.
pub(crate) type Work = Arc<dyn Fn(&mut Machine, Value) -> Result<(), Error> + Send + Sync>;

/// Batches that wait at the same time; what comes on top of them is not worth keeping.
const MAX_BATCHES: usize = 1024;
/// Values that wait in all batches. They are memory that no limit counts: 4 MiB.
const MAX_VALUES: usize = 1 << 19;

/// Values to be evaluated, the next one last.
struct Batch {
    values: Vec<Value>,
    work: Work,
    /// Nested calls where it was offered.
    depth: u32,
}

/// One piece of work.
pub(crate) struct Job {
    pub(crate) value: Value,
    pub(crate) work: Work,
    pub(crate) depth: u32,
}

/// The pool of helpers of a session, while a request runs that has work for them.
#[derive(Default)]
pub(crate) struct Pool {
    active: AtomicBool,
    n_batches: AtomicU32,
    n_values: AtomicUsize,
    work: Mutex<Queue>,
    offered: Condvar,
    waits: Waits,
}

#[derive(Default)]
struct Queue {
    batches: VecDeque<Batch>,
    stop: bool,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    /// Whether helpers run: thunks have to be claimed.
    pub(crate) fn is_active(&self) -> bool {
        self.active.load(Ordering::Acquire)
    }

    /// Starts helpers. The caller is the answering machine of the outermost request.
    pub(crate) fn start(&self, shared: &Arc<Shared>, n_helpers: u32) {
        self.waits.start(n_helpers);
        self.active.store(true, Ordering::Release);
        let mut queue = lock(&self.work);
        for number in 1..=n_helpers {
            let shared = shared.clone();
            let helper = std::thread::Builder::new().name(format!("nix-eval-{number}"));
            // Without a thread the answering machine does everything itself.
            if let Ok(thread) = helper.spawn(move || shared.help(number)) {
                queue.threads.push(thread);
            }
        }
    }

    /// Forgets what is left to do, and ends all helpers; what they were doing is given back.
    pub(crate) fn stop(&self) {
        let threads = {
            let mut queue = lock(&self.work);
            queue.batches.clear();
            self.n_batches.store(0, Ordering::Relaxed);
            self.n_values.store(0, Ordering::Relaxed);
            if !self.is_active() {
                return;
            }
            queue.stop = true;
            std::mem::take(&mut queue.threads)
        };
        self.waits.stop();
        self.offered.notify_all();
        for thread in threads {
            // A helper's panic has been noted by itself.
            let _ = thread.join();
        }
        lock(&self.work).stop = false;
        self.active.store(false, Ordering::Release);
    }

    /// How many values may be offered; 0 when helpers have so much work already that small pieces are not worth
    /// offering. Before there are helpers, new work takes the place of old.
    pub(crate) fn room(&self) -> usize {
        if !self.is_active() {
            return MAX_VALUES;
        }
        if self.n_batches.load(Ordering::Relaxed) as usize >= MAX_BATCHES {
            return 0;
        }
        MAX_VALUES.saturating_sub(self.n_values.load(Ordering::Relaxed))
    }

    /// Offers work: values in the order in which they will be needed. It waits until there are helpers; what was offered
    /// last is then the likeliest to be still undone.
    pub(crate) fn offer(&self, values: Vec<Value>, work: Work, depth: u32) {
        let mut queue = lock(&self.work);
        if !self.is_active() {
            let is_full = |queue: &Queue| {
                let n_values = self.n_values.load(Ordering::Relaxed) + values.len();
                queue.batches.len() >= MAX_BATCHES || n_values > MAX_VALUES
            };
            while is_full(&queue)
                && let Some(old) = queue.batches.pop_front()
            {
                self.n_values.fetch_sub(old.values.len(), Ordering::Relaxed);
            }
        }
        if queue.stop || queue.batches.len() >= MAX_BATCHES {
            return;
        }
        self.n_values.fetch_add(values.len(), Ordering::Relaxed);
        queue.batches.push_back(Batch { values, work, depth });
        self.n_batches.store(queue.batches.len() as u32, Ordering::Relaxed);
        drop(queue);
        self.offered.notify_all();
    }

    /// The next piece of work for a helper; `None` when it is time to end.
    pub(crate) fn next(&self, helper: u32) -> Option<Job> {
        let mut queue = lock(&self.work);
        loop {
            if queue.stop {
                return None;
            }
            while let Some(batch) = queue.batches.front_mut() {
                match batch.values.pop() {
                    Some(value) => {
                        self.n_values.fetch_sub(1, Ordering::Relaxed);
                        let job = Job { value, work: batch.work.clone(), depth: batch.depth };
                        // A token that was pulled for the last job does not count for this one. It is reset while nobody
                        // can say stop: one that is pulled to end everything stays pulled.
                        self.waits.reset(helper);
                        return Some(job);
                    }
                    None => {
                        queue.batches.pop_front();
                        self.n_batches.store(queue.batches.len() as u32, Ordering::Relaxed);
                    }
                }
            }
            queue = self.offered.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The token of a helper.
    pub(crate) fn token(&self, helper: u32) -> CancelToken {
        self.waits.token(helper)
    }

    /// Tells those who wait that a thunk they wait for is not running any more.
    pub(crate) fn wake(&self) {
        self.waits.wake();
    }

    /// Waits until a thunk that another machine runs is not running any more, or for a while.
    pub(crate) fn wait(&self, me: u32, thunk: Thunk) -> Waited {
        self.waits.wait(me, thunk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_there_are_helpers_new_work_takes_the_place_of_old() {
        let pool = Pool::default();
        let work: Work = Arc::new(|_, _| Ok(()));
        let value = |n: usize| Value::small_int(n as i64).expect("small");
        let offer = |n: usize, size: usize| pool.offer(vec![value(n); size], work.clone(), 0);
        let waiting = || -> Vec<Value> {
            lock(&pool.work).batches.iter().filter_map(|b| b.values.first().copied()).collect()
        };
        // Too many values.
        for n in 0..10 {
            offer(n, MAX_VALUES / 4);
            assert_eq!(pool.room(), MAX_VALUES);
        }
        assert_eq!(waiting(), [6, 7, 8, 9].map(value));
        offer(10, MAX_VALUES);
        assert_eq!(waiting(), [value(10)]);
        // Too many batches.
        for n in 0..MAX_BATCHES + 5 {
            offer(n, 1);
        }
        assert_eq!(waiting().len(), MAX_BATCHES);
        assert_eq!(waiting().last(), Some(&value(MAX_BATCHES + 4)));
        pool.stop();
        assert_eq!((waiting(), pool.n_values.load(Ordering::Relaxed)), (Vec::new(), 0));
    }
}
