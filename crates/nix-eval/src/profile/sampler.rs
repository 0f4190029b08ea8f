//! The clock of a machine that is profiled, and the stack of what it runs.
//!
//! Code that is not profiled must not pay, so nothing tells the sampler when a call or thunk ends. It is told when
//! one begins: all steps end in the slow path of `poll`, by looking every step instead of every 1,024. What has ended by
//! then shows: a thunk is not running any more; a call was deeper than calls nest now, or a call in tail position takes
//! its place, at the same address of the native stack. Only builtins, which are few, say that they end.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::tree::Tree;
use crate::{
    source::FileId,
    value::{Builtin, Run, State, Thunk},
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

/// How long something runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    /// As long as the thunk is running.
    Settled(Thunk),
    /// As long as more calls are nested than this.
    Depth(u32),
    /// Until [`Sampler::leave`].
    Left,
}

/// Something that has begun.
#[derive(Clone, Copy, Debug)]
struct Entry {
    site: Site,
    until: Until,
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

    /// A step at this address of the native stack, where so many calls are nested: ends what ended before it, and
    /// begins something.
    pub(crate) fn step(&mut self, begins: Option<(Site, Until)>, address: usize, depth: u32) {
        self.look();
        self.end_finished(depth);
        let Some((site, until)) = begins else { return };
        // A call in tail position.
        while let Some(top) = self.stack.last()
            && matches!((top.until, until), (Until::Depth(_), Until::Depth(_)))
            && top.segment == self.segment
            && top.address == address
        {
            self.stack.pop();
        }
        self.stack.push(Entry { site, until, segment: self.segment, address, node: None });
    }

    /// Ends the last that runs until it is left. What it did after its last step is its own, not of what it called.
    pub(crate) fn leave(&mut self) {
        let at = self.stack.iter().rposition(|entry| matches!(entry.until, Until::Left));
        self.stack.truncate(at.map_or(0, |at| at + 1));
        self.look();
        self.stack.pop();
    }

    fn end_finished(&mut self, depth: u32) {
        while let Some(top) = self.stack.last()
            && match top.until {
                Until::Settled(thunk) => {
                    !matches!(Thunk::state_of(thunk.state_word()), State::Running(_))
                }
                Until::Depth(d) => depth <= d,
                Until::Left => false,
            }
        {
            self.stack.pop();
        }
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
pub(crate) struct Profiling(Mutex<Option<Gathered>>);

#[derive(Debug)]
struct Gathered {
    period: u64,
    /// Frames until the period doubles for the first time.
    room: usize,
    tree: Tree<Site>,
    /// The sampler of a request that waits for code of the embedder.
    lent: Option<Box<Sampler>>,
}

impl Profiling {
    fn with<T>(&self, code: impl FnOnce(&mut Option<Gathered>) -> T) -> T {
        code(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Profiles the requests that begin from now on. With a period, samples stand for that much time each.
    pub(crate) fn start(&self, period: Option<Duration>) {
        let (period, room) = match period {
            Some(period) => (period.as_nanos().clamp(1, 1 << 40) as u64, usize::MAX),
            None => (PERIOD, ROOM),
        };
        let state = Gathered { period, room, tree: Tree::default(), lent: None };
        self.with(|old| *old = Some(state));
    }

    /// Whether requests are profiled.
    pub(crate) fn is_on(&self) -> bool {
        self.with(|state| state.is_some())
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
