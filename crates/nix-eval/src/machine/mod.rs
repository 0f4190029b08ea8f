//! The machine that runs programs.
//!
//! It walks the resolved program of a file directly (`eval`): a node in strict position gives a value in
//! weak head normal form, a node in operand position gives a value or a thunk without running anything.
//! Running code has a *frame*: local slots on the value stack and captured words in the thunk or function
//! that is being run. Calls in tail position reuse the frame.
//!
//! Builtins see the machine through the methods of `api`, `make`, `files` and `coerce`.
//!
//! # Traps
//! * Values are not rooted anywhere but here; they live as long as the evaluator.
//! * Data is walked with work lists, never by recursion; recursion over programs goes through
//!   `stack`, which counts it.

pub(crate) mod ahead;
mod api;
mod call;
mod coerce;
mod deep;
mod eval;
mod files;
mod force;
mod import;
mod make;
mod mapped;
mod operators;
mod profile;
mod select;
mod sets;
pub(crate) mod stack;

use std::{cell::Cell, sync::Arc};

pub use self::coerce::Coerce;
pub(crate) use self::import::LOAD_DERIVATION;
use self::{
    ahead::Role,
    profile::Begins,
    stack::{NativeStack, ValueStack},
};
use crate::{
    error::Error,
    evaluator::{self, Shared},
    heap::{Bump, Cells},
    limits::{CancelToken, Meter},
    profile::Sampler,
    regex::RegexCache,
    stats::Stats,
    syntax::Reader,
    value::{self, Builtin, Plans, Value},
};

/// What a [`crate::ir::GlobalId`] stands for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Global {
    pub(crate) value: Value,
    pub(crate) builtin: Option<Builtin>,
    /// Whether the builtin forces its first argument before anything else that can be seen.
    pub(crate) eager: bool,
}

/// What a request has used, for requests that are part of others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    pub(crate) steps: u64,
    until: Option<std::time::Instant>,
    depth: u32,
    stack_used: u64,
}

/// Runs programs. One machine works for one thread at a time.
pub struct Machine {
    pub(crate) shared: Arc<Shared>,
    pub(crate) globals: Arc<[Global]>,
    pub(crate) bump: Bump,
    pub(crate) stack: ValueStack,
    pub(crate) native: NativeStack,
    pub(crate) meter: Meter,
    pub(crate) plans: Plans,
    /// By symbol: the string that is its name, or a hole.
    names: Vec<Value>,
    /// Compiled patterns of `match` and `split`.
    pub(crate) regexes: RegexCache,
    /// Memory of the front end, kept from file to file.
    pub(crate) reader: Reader,
    pub(crate) stats: Stats,
    /// Nested calls.
    pub(crate) depth: u32,
    pub(crate) worker: u32,
    /// Takes the time, when this session is profiled.
    sampler: Option<Box<Sampler>>,
    /// Whether no other machine of this evaluator runs.
    pub(crate) alone: bool,
    pub(crate) role: Role,
    /// Steps of this machine when it last offered work to helpers.
    offered_at: u64,
    /// Set in a helper when something happened that only the answering machine may do.
    pub(crate) spoiled: Cell<bool>,
}

/// What an evaluator keeps of a machine between two requests.
pub(crate) struct Parts {
    bump: Bump,
    stack: ValueStack,
    plans: Plans,
    names: Vec<Value>,
    regexes: RegexCache,
    reader: Reader,
    pub(crate) stats: Stats,
}

impl Parts {
    /// `None` when the system refuses the address space.
    pub(crate) fn new() -> Option<Parts> {
        Some(Parts {
            bump: Bump::default(),
            stack: ValueStack::new()?,
            plans: Plans::default(),
            names: Vec::new(),
            regexes: RegexCache::default(),
            reader: Reader::default(),
            stats: Stats::default(),
        })
    }

    /// The same with counters at zero.
    pub(crate) fn fresh(mut self) -> Parts {
        self.stats = Stats::default();
        self.stack.clear();
        self
    }
}

impl Machine {
    pub(crate) fn new(shared: Arc<Shared>, parts: Parts) -> Machine {
        let mut meter = Meter::new(shared.limits(), shared.cancel.clone());
        meter.start(shared.limits());
        let sampler = shared.profiling.begin();
        if sampler.is_some() {
            meter.look_always();
        }
        let is_active = shared.pool.is_active();
        Machine {
            sampler,
            meter,
            globals: shared.globals.get().cloned().unwrap_or_default(),
            shared,
            bump: parts.bump,
            stack: parts.stack,
            native: NativeStack::default(),
            plans: parts.plans,
            names: parts.names,
            regexes: parts.regexes,
            reader: parts.reader,
            stats: parts.stats,
            depth: 0,
            worker: 0,
            alone: !is_active,
            role: Role::Alone,
            offered_at: 0,
            spoiled: Cell::new(false),
        }
    }

    /// A machine that evaluates ahead of the one that answers a request, until its token is pulled.
    pub(crate) fn helper(
        shared: Arc<Shared>,
        parts: Parts,
        number: u32,
        token: CancelToken,
    ) -> Machine {
        let mut machine = Machine::new(shared, parts);
        // Time is the answering machine's business.
        machine.meter.until = None;
        machine.meter.cancel = token;
        machine.worker = number;
        machine.alone = false;
        machine.role = Role::Helper;
        machine
    }

    pub(crate) fn into_parts(mut self) -> Parts {
        self.stats.steps = self.meter.total();
        self.end_profile();
        Parts {
            bump: self.bump,
            stack: self.stack,
            plans: self.plans,
            names: self.names,
            regexes: self.regexes,
            reader: self.reader,
            stats: self.stats,
        }
    }

    /// Zeroed memory of `n` words.
    #[inline(always)]
    pub(crate) fn words(&mut self, n: usize) -> Cells {
        self.bump.words(&self.shared.heap, n)
    }

    /// Memory of `n` words that the caller fills at once.
    #[inline(always)]
    pub(crate) fn any_words(&mut self, n: usize) -> Cells {
        self.bump.any_words(&self.shared.heap, n)
    }

    /// Zeroed memory of `n` words, which may have been used before.
    #[inline(always)]
    pub(crate) fn zeroed_words(&mut self, n: usize) -> Cells {
        self.bump.zeroed_words(&self.shared.heap, n)
    }

    /// What this request has used so far.
    pub(crate) fn progress(&self) -> Progress {
        Progress {
            steps: self.meter.total(),
            until: self.meter.until,
            depth: self.depth,
            stack_used: self.stack_used(),
        }
    }

    /// Takes over what was used of this request elsewhere: by the request that this one is part of, or by
    /// parts of this one.
    pub(crate) fn go_on(&mut self, progress: Progress) {
        self.meter.go_on(progress.steps);
        self.meter.until = progress.until;
    }

    /// Makes this machine's request part of one that is running.
    pub(crate) fn continue_from(&mut self, progress: Progress) {
        self.go_on(progress);
        self.depth = progress.depth;
        self.set_stack_used(progress.stack_used);
    }

    /// Counts one step and looks at limits and token at once.
    ///
    /// # Errors
    /// When a limit was passed or somebody asked to stop.
    pub fn poll_now(&mut self) -> Result<(), Error> {
        self.meter.left -= 1;
        self.look_at(None)
    }

    /// Counts one step, and looks at limits and token when it is time.
    ///
    /// # Errors
    /// When a limit was passed or somebody asked to stop.
    #[inline(always)]
    pub fn poll(&mut self) -> Result<(), Error> {
        self.meter.left -= 1;
        if self.meter.left == 0 { self.look_at(None) } else { Ok(()) }
    }

    /// As [`Machine::poll`], for a step that begins something.
    #[inline(always)]
    fn poll_in<'a>(&mut self, begins: impl FnOnce() -> Begins<'a>) -> Result<(), Error> {
        self.meter.left -= 1;
        if self.meter.left == 0 { self.look_at(Some(begins())) } else { Ok(()) }
    }
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine").field("worker", &self.worker).finish_non_exhaustive()
    }
}

const _: () = {
    const fn is_send<T: Send>() {}
    is_send::<Machine>();
};
