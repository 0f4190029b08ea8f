//! What stops an evaluation: limits, and a token that anybody may pull.
//!
//! Steps are counted deterministically (one for each call and each forced thunk). The other limits and the
//! token are looked at every 1,024 steps and on slow paths of allocation.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// How much an evaluation may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of heap, and of what lies beside it: programs, names, contexts, failures, and what builtins need while
    /// they work. By the evaluator's own account; native stacks and texts that are given to the embedder are not in it.
    pub heap_bytes: u64,
    /// Bytes of native stack beyond what the calling thread has.
    pub stack_bytes: u64,
    /// Nested calls (`max-call-depth`).
    pub call_depth: u32,
    /// Calls and forced thunks, counted from the start of a request.
    pub steps: u64,
    /// Time for one request.
    pub deadline: Option<Duration>,
    /// Bytes of one string.
    pub string_bytes: u64,
    /// Elements of one list.
    pub list_items: u64,
    /// Imported files.
    pub imports: u32,
    /// Files open at the same time.
    pub open_files: u32,
}

impl Default for Limits {
    /// Generous limits for programs that are trusted.
    fn default() -> Limits {
        Limits {
            heap_bytes: 64 << 30,
            stack_bytes: 256 << 20,
            call_depth: 10_000,
            steps: u64::MAX,
            deadline: None,
            string_bytes: 16 << 30,
            list_items: 1 << 30,
            imports: 1_000_000,
            open_files: 256,
        }
    }
}

impl Limits {
    /// Limits for programs from strangers: 512 MiB of heap, 50 million steps, five seconds.
    pub fn untrusted() -> Limits {
        Limits {
            heap_bytes: 512 << 20,
            stack_bytes: 64 << 20,
            call_depth: 10_000,
            steps: 50_000_000,
            deadline: Some(Duration::from_secs(5)),
            string_bytes: 64 << 20,
            list_items: 4 << 20,
            imports: 1_000,
            open_files: 64,
        }
    }
}

/// Which limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[expect(missing_docs, reason = "named like the fields of `Limits`, which are documented")]
pub enum LimitKind {
    HeapBytes,
    StackBytes,
    CallDepth,
    Steps,
    Deadline,
    StringBytes,
    ListItems,
    Imports,
    OpenFiles,
}

/// Stops the evaluation that it belongs to; clones are the same token.
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// A token that nobody has pulled.
    pub fn new() -> CancelToken {
        CancelToken::default()
    }
    /// Asks to stop. Safe in a signal handler.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
    /// Takes the request back, so that the evaluator can be used again.
    pub fn reset(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
    /// Whether somebody asked to stop.
    #[inline]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Steps between two looks at clock and token.
pub(crate) const POLL_EVERY: u32 = 1024;

/// Counts what one request uses.
#[derive(Debug)]
pub(crate) struct Meter {
    /// Steps until the next look.
    pub(crate) left: u32,
    /// Steps between two looks: [`POLL_EVERY`], or one when somebody watches every step.
    every: u32,
    /// Steps of earlier looks.
    pub(crate) steps: u64,
    pub(crate) until: Option<Instant>,
    pub(crate) cancel: CancelToken,
    pub(crate) limits: Limits,
}

impl Meter {
    pub(crate) fn new(limits: Limits, cancel: CancelToken) -> Meter {
        Meter { left: POLL_EVERY, every: POLL_EVERY, steps: 0, until: None, cancel, limits }
    }

    /// Begins a request: the deadline counts from now.
    pub(crate) fn start(&mut self, limits: Limits) {
        self.limits = limits;
        self.go_on(0);
        self.until = limits.deadline.map(|time| Instant::now() + time);
    }

    /// Looks at every step.
    pub(crate) fn look_always(&mut self) {
        self.every = 1;
        self.left = 1;
    }

    /// Takes over a count of steps.
    pub(crate) fn go_on(&mut self, steps: u64) {
        self.steps = steps;
        self.left = self.every;
    }

    /// Steps since the start of the request.
    pub(crate) fn total(&self) -> u64 {
        self.steps + u64::from(self.every - self.left.min(self.every))
    }

    /// The look that is due every [`POLL_EVERY`] steps.
    pub(crate) fn look(&mut self) -> Option<Result<LimitKind, ()>> {
        let steps = self.total();
        self.go_on(steps);
        if self.cancel.is_cancelled() {
            return Some(Err(()));
        }
        if self.steps > self.limits.steps {
            return Some(Ok(LimitKind::Steps));
        }
        match self.until {
            Some(until) if Instant::now() > until => Some(Ok(LimitKind::Deadline)),
            _ => None,
        }
    }
}
