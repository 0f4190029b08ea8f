//! A backtracker that explores in libstdc++'s order, but remembers what it found.
//!
//! libstdc++ tries every path of an alternation and keeps the longest (the first of equals), and the
//! first successful path of a repeat. What can be reached from a state at a position depends on nothing
//! else but how often the repeats that can match nothing were entered at this very position, so each such
//! question is answered once: the work is linear in states times length of the text, where libstdc++ is
//! exponential. Paths live on an explicit stack; the native one is not used. Nested repeats that can match
//! nothing multiply the questions; they end at a limit, as everything here that grows.

use std::collections::HashMap;

use super::{
    Groups, Poll, Stop,
    program::{Counters, Program, State, StateId},
};

/// Most cells of the memory; four bytes each.
const MAX_CELLS: usize = 1 << 26;

/// Most answers beside those cells, about 200 MB: nested repeats of parts that can be empty ask exponentially many
/// questions.
const MAX_RARE: usize = 3 << 20;

/// Most choices of one path; 48 bytes each.
const MAX_FRAMES: usize = 1 << 22;

/// States between two polls.
const POLL_STEPS: u32 = 4096;

/// A remembered answer: 0 = none yet, 1 = no match, else twice (end + 1) plus which branch was taken.
type Cell = u32;

const UNKNOWN: Cell = 0;
const FAILED: Cell = 1;

/// `end` is below `u32::MAX / 2 - 1`, see [`Backtracker::new`].
fn cell(end: Option<u32>, second: bool) -> Cell {
    end.map_or(FAILED, |end| (end + 1) * 2 + u32::from(second))
}

fn end_of(cell: Cell) -> Option<u32> {
    (cell > FAILED).then(|| cell / 2 - 1)
}

/// What a match must satisfy.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Reach the end of the text.
    Whole,
    /// Begin at the given place.
    Prefix,
    /// The same, and not be empty.
    NonEmpty,
}

/// A branching state whose first branch, or both, are being explored.
struct Frame {
    state: StateId,
    at: u32,
    counters: Counters,
    /// The first branch's answer, once there.
    first: Option<Option<u32>>,
}

/// Matches of one program in one text.
pub(super) struct Backtracker<'a> {
    program: &'a Program,
    text: &'a [u8],
    /// Answers for questions with all counters zero, by branch and position.
    memory: Vec<Cell>,
    /// The others. Questions at the begin of a [`Mode::NonEmpty`] search are kept apart.
    rare: HashMap<(u32, u32, Counters, bool), Cell, rustc_hash::FxBuildHasher>,
    stack: Vec<Frame>,
    steps: u32,
}

impl<'a> Backtracker<'a> {
    /// Prepares for matching in `text`.
    ///
    /// # Errors
    /// [`Stop::Memory`] if the text is too long for the program; [`Stop::Polled`].
    pub(super) fn new(
        program: &'a Program,
        text: &'a [u8],
        poll: Poll<'_>,
    ) -> Result<Backtracker<'a>, Stop> {
        let n_cells = (program.n_branches as usize).saturating_mul(text.len() + 1);
        if n_cells > MAX_CELLS || text.len() >= (u32::MAX / 2 - 2) as usize {
            return Err(Stop::Memory);
        }
        if !poll(n_cells * size_of::<Cell>()) {
            return Err(Stop::Polled);
        }
        Ok(Backtracker {
            program,
            text,
            memory: vec![UNKNOWN; n_cells],
            rare: HashMap::default(),
            stack: Vec::new(),
            steps: 0,
        })
    }

    /// What this takes, in bytes.
    pub(super) fn size_bytes(&self) -> usize {
        const RARE: usize = size_of::<((u32, u32, Counters, bool), Cell)>() + 1;
        let rare = self.rare.capacity() * RARE + self.stack.capacity() * size_of::<Frame>();
        self.memory.len() * size_of::<Cell>() + rare
    }

    /// Where the match that begins at `begin` ends, if there is one. `mode` must stay [`Mode::Whole`], or
    /// never be it, as long as this lives: answers are shared between the other two only.
    pub(super) fn find_end(
        &mut self,
        begin: usize,
        mode: Mode,
        poll: Poll<'_>,
    ) -> Result<Option<usize>, Stop> {
        let search = Search { begin: begin as u32, mode };
        let mut question = Some((self.program.start, search.begin, 0));
        let mut found = None;
        self.stack.clear();
        loop {
            if let Some((state, at, counters)) = question.take() {
                found = self.descend(state, at, counters, search, poll)?;
            }
            let Some(mut frame) = self.stack.pop() else {
                return Ok(found.map(|end: u32| end as usize));
            };
            match (self.program.states[frame.state as usize], frame.first) {
                (State::Repeat { .. }, None) if found.is_some() => {
                    self.remember(&frame, search, cell(found, false))?;
                }
                (State::Repeat { next, .. } | State::Alternate { second: next, .. }, None) => {
                    question = Some((next, frame.at, frame.counters));
                    frame.first = Some(found);
                    self.stack.push(frame);
                }
                (_, Some(first)) => {
                    // Of equals the first; `None` is less than every end.
                    let second = found > first;
                    found = if second { found } else { first };
                    self.remember(&frame, search, cell(found, second))?;
                }
                // Frames are made for branching states only.
                (_, None) => {}
            }
        }
    }

    /// Follows a path to its end, leaving a frame at each choice.
    fn descend(
        &mut self,
        mut state: StateId,
        mut at: u32,
        mut counters: Counters,
        search: Search,
        poll: Poll<'_>,
    ) -> Result<Option<u32>, Stop> {
        loop {
            self.steps += 1;
            if self.steps >= POLL_STEPS {
                self.steps = 0;
                if !poll(self.size_bytes()) {
                    return Err(Stop::Polled);
                }
            }
            match self.step(state, at, search) {
                Step::Go(next) => state = next,
                Step::Consume(next) => (state, at, counters) = (next, at + 1, 0),
                Step::Fail => return Ok(None),
                Step::Accept => return Ok(Some(at)),
                Step::Branch { branch, first, next, counter } => {
                    if counter.is_some_and(|counter| counters >> (2 * counter) & 3 == 2) {
                        state = next;
                        continue;
                    }
                    let known = self.recall(branch, at, counters, search);
                    if known != UNKNOWN {
                        return Ok(end_of(known));
                    }
                    if self.stack.len() == MAX_FRAMES {
                        return Err(Stop::Memory);
                    }
                    self.stack.push(Frame { state, at, counters, first: None });
                    state = first;
                    if let Some(counter) = counter {
                        counters += 1 << (2 * counter);
                    }
                }
            }
        }
    }

    /// One step from a state.
    #[inline]
    fn step(&self, state: StateId, at: u32, search: Search) -> Step {
        let byte = self.text.get(at as usize).copied();
        match self.program.states[state as usize] {
            State::Byte { byte: wanted, next } if byte == Some(wanted) => Step::Consume(next),
            State::Any { next } if byte.is_some() => Step::Consume(next),
            State::Set { set, next }
                if byte.is_some_and(|b| self.program.sets[set as usize].contains(b)) =>
            {
                Step::Consume(next)
            }
            State::Byte { .. } | State::Any { .. } | State::Set { .. } => Step::Fail,
            State::Start { next } if at == 0 => Step::Go(next),
            State::End { next } if byte.is_none() => Step::Go(next),
            State::Start { .. } | State::End { .. } => Step::Fail,
            State::Open { next, .. } | State::Close { next, .. } => Step::Go(next),
            State::Repeat { more, next, counter, branch } => {
                Step::Branch { branch, first: more, next, counter }
            }
            State::Alternate { first, second, branch } => {
                Step::Branch { branch, first, next: second, counter: None }
            }
            State::Accept => match search.mode {
                Mode::Whole if byte.is_some() => Step::Fail,
                Mode::NonEmpty if at == search.begin => Step::Fail,
                _ => Step::Accept,
            },
        }
    }

    /// The memory's cell for a question, or `None` if it is a rare one.
    fn cell_index(
        &self,
        branch: u32,
        at: u32,
        counters: Counters,
        search: Search,
    ) -> Option<usize> {
        (counters == 0 && !search.is_special(at))
            .then(|| branch as usize * (self.text.len() + 1) + at as usize)
    }

    fn recall(&self, branch: u32, at: u32, counters: Counters, search: Search) -> Cell {
        match self.cell_index(branch, at, counters, search) {
            Some(index) => self.memory[index],
            None => {
                let key = (branch, at, counters, search.is_special(at));
                self.rare.get(&key).copied().unwrap_or(UNKNOWN)
            }
        }
    }

    fn remember(&mut self, frame: &Frame, search: Search, cell: Cell) -> Result<(), Stop> {
        let (State::Repeat { branch, .. } | State::Alternate { branch, .. }) =
            self.program.states[frame.state as usize]
        else {
            return Ok(());
        };
        match self.cell_index(branch, frame.at, frame.counters, search) {
            Some(index) => self.memory[index] = cell,
            None if self.rare.len() == MAX_RARE => return Err(Stop::Memory),
            None => {
                let key = (branch, frame.at, frame.counters, search.is_special(frame.at));
                self.rare.insert(key, cell);
            }
        }
        Ok(())
    }

    /// The groups of the match that [`Backtracker::find_end`] found last from `begin` in `mode`.
    pub(super) fn groups(&self, begin: usize, mode: Mode) -> Groups {
        let search = Search { begin: begin as u32, mode };
        let mut groups: Groups = vec![None; self.program.n_groups as usize + 1];
        let mut opened = vec![0; groups.len()];
        let (mut state, mut at, mut counters) = (self.program.start, search.begin, 0);
        loop {
            match self.program.states[state as usize] {
                State::Open { group, .. } => opened[group as usize] = at as usize,
                State::Close { group, .. } => {
                    groups[group as usize] = Some((opened[group as usize], at as usize));
                }
                _ => {}
            }
            match self.step(state, at, search) {
                Step::Go(next) => state = next,
                Step::Consume(next) => (state, at, counters) = (next, at + 1, 0),
                Step::Branch { branch, first, next, counter } => {
                    let spent = counter.is_some_and(|c| counters >> (2 * c) & 3 == 2);
                    if spent || self.recall(branch, at, counters, search) & 1 == 1 {
                        state = next;
                    } else {
                        state = first;
                        if let Some(counter) = counter {
                            counters += 1 << (2 * counter);
                        }
                    }
                }
                Step::Accept | Step::Fail => break,
            }
        }
        groups[0] = Some((begin, at as usize));
        groups
    }
}

/// Where a search began and what it wants.
#[derive(Clone, Copy)]
struct Search {
    begin: u32,
    mode: Mode,
}

impl Search {
    /// Whether answers at this position hold for this search only.
    fn is_special(self, at: u32) -> bool {
        self.mode == Mode::NonEmpty && at == self.begin
    }
}

/// What follows from a state at a position.
enum Step {
    Go(StateId),
    Consume(StateId),
    Branch { branch: u32, first: StateId, next: StateId, counter: Option<u8> },
    Accept,
    Fail,
}
