//! The clock of a machine that is profiled, and the stack of what it runs.
//!
//! Code that is not profiled must not pay, so nothing tells the sampler when a call or thunk ends. It is told
//! when one begins, with an address in the native stack at that time: whatever began deeper in the stack, or at the
//! same depth, has ended by then. For that all steps end in the slow path of `poll`, by looking every
//! step instead of every 1,024.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::tree::Tree;
use crate::{
    source::FileId,
    value::{Builtin, Run},
};

/// Time between two samples at first.
const PERIOD: u64 = 100_000;
/// Frames of stacks not met before, all together, after which the period doubles: the result stays readable
/// however long an evaluation is. A sample counts for its period, so the shares stay right.
const ROOM: usize = 64 << 10;

/// What runs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Site {
    /// The body at this address.
    Thunk(usize),
    /// The function at this address.
    Function(usize),
    /// The builtin with this name.
    Builtin(&'static str),
    /// The closure with this number.
    Closure(u32),
    /// Reading a source.
    Read(FileId),
}

impl Site {
    /// A call of a builtin.
    #[cold]
    pub(crate) fn of(builtin: &Builtin) -> Site {
        match builtin.run {
            Run::Closure { number, .. } => Site::Closure(number),
            _ => Site::Builtin(builtin.name),
        }
    }
}

/// Something that has begun.
#[derive(Clone, Copy, Debug)]
struct Entry {
    site: Site,
    segment: u32,
    address: usize,
    /// Its place in the tree, once a sample was taken there.
    node: Option<u32>,
}

/// Takes the time of one machine.
#[derive(Debug)]
pub(crate) struct Sampler {
    stack: Vec<Entry>,
    /// Segments of native stack that are in use; a later one is deeper, whatever its addresses are.
    segment: u32,
    /// The last look at the clock.
    since: Instant,
    /// Nanoseconds that no sample stands for yet.
    due: u64,
    period: u64,
    room: usize,
    /// Requests that run inside of the one that it began with.
    n_nested: u32,
    tree: Tree<Site>,
}

impl Sampler {
    fn new(period: u64, room: usize) -> Sampler {
        Sampler {
            stack: Vec::new(),
            segment: 0,
            since: Instant::now(),
            due: 0,
            period,
            room,
            n_nested: 0,
            tree: Tree::default(),
        }
    }

    /// A step at this address of the native stack: ends what ended before it, and begins `site`.
    pub(crate) fn step(&mut self, site: Option<Site>, address: usize) {
        self.look();
        while let Some(top) = self.stack.last()
            && (top.segment > self.segment
                || (top.segment == self.segment && top.address <= address))
        {
            self.stack.pop();
        }
        if let Some(site) = site {
            self.stack.push(Entry { site, segment: self.segment, address, node: None });
        }
    }

    /// Begins `site` inside of all that runs; gives what [`Sampler::leave`] wants.
    pub(crate) fn enter(&mut self, site: Site, address: usize) -> usize {
        self.step(Some(site), address);
        self.stack.len() - 1
    }

    /// Ends what [`Sampler::enter`] began.
    pub(crate) fn leave(&mut self, len: usize) {
        self.look();
        self.stack.truncate(len);
    }

    /// The native stack goes on in another segment.
    pub(crate) fn begin_segment(&mut self) {
        self.segment += 1;
    }

    /// The native stack is back in the segment before.
    pub(crate) fn end_segment(&mut self) {
        self.segment -= 1;
    }

    /// Gives the time since the last look to what is running.
    fn look(&mut self) {
        let now = Instant::now();
        self.due += now.duration_since(self.since).as_nanos() as u64;
        self.since = now;
        if self.due >= self.period {
            let due = self.due - self.due % self.period;
            self.due -= due;
            self.sample(due);
        }
    }

    fn sample(&mut self, nanos: u64) {
        let known = self.stack.iter().rposition(|entry| entry.node.is_some());
        let (mut node, start) = match known {
            Some(at) => (self.stack[at].node.unwrap_or(Tree::<Site>::ROOT), at + 1),
            None => (Tree::<Site>::ROOT, 0),
        };
        for entry in &mut self.stack[start..] {
            node = self.tree.below(node, entry.site);
            entry.node = Some(node);
        }
        if self.tree.add(node, nanos) == 0 {
            match self.room.checked_sub(self.stack.len()) {
                Some(room) => self.room = room,
                None => {
                    self.room = ROOM;
                    self.period = self.period.saturating_mul(2);
                }
            }
        }
    }
}

/// Whether a session is profiled, and what came of it so far.
#[derive(Debug, Default)]
pub(crate) struct Profiling(Mutex<Option<State>>);

#[derive(Debug)]
struct State {
    period: u64,
    /// Frames until the period doubles for the first time.
    room: usize,
    tree: Tree<Site>,
    /// The sampler of a request that waits for code of the embedder.
    lent: Option<Box<Sampler>>,
}

impl Profiling {
    fn with<T>(&self, code: impl FnOnce(&mut Option<State>) -> T) -> T {
        code(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Profiles the requests that begin from now on. With a period, samples stand for that much time each.
    pub(crate) fn start(&self, period: Option<Duration>) {
        let (period, room) = match period {
            Some(period) => (period.as_nanos().clamp(1, 1 << 40) as u64, usize::MAX),
            None => (PERIOD, ROOM),
        };
        let state = State { period, room, tree: Tree::default(), lent: None };
        self.with(|old| *old = Some(state));
    }

    /// Ends it; gives what came of it.
    pub(super) fn take(&self) -> Option<Tree<Site>> {
        self.with(Option::take).map(|state| state.tree)
    }

    /// The sampler of a request that begins, if the session is profiled.
    pub(crate) fn begin(&self) -> Option<Box<Sampler>> {
        self.with(|state| {
            let state = state.as_mut()?;
            match state.lent.take() {
                Some(mut sampler) => {
                    sampler.n_nested += 1;
                    Some(sampler)
                }
                None => Some(Box::new(Sampler::new(state.period, state.room))),
            }
        })
    }

    /// Takes the sampler of a request that ended.
    pub(crate) fn end(&self, mut sampler: Box<Sampler>) {
        sampler.look();
        self.with(|state| {
            let Some(state) = state else { return };
            if sampler.n_nested > 0 {
                sampler.n_nested -= 1;
                state.lent = Some(sampler);
                return;
            }
            let due = sampler.due;
            sampler.sample(due);
            state.tree.merge(&sampler.tree);
        });
    }

    /// Keeps the sampler of a request for those inside of it.
    pub(crate) fn lend(&self, sampler: Option<Box<Sampler>>) {
        if let Some(sampler) = sampler {
            self.with(|state| {
                if let Some(state) = state {
                    state.lent = Some(sampler);
                }
            });
        }
    }

    /// Gives back what was lent.
    pub(crate) fn back(&self) -> Option<Box<Sampler>> {
        self.with(|state| state.as_mut()?.lent.take())
    }
}
