//! A regular expression as a graph of states, for the backtracker.

use super::{
    RegexError,
    ere::{ByteSet, Ere},
};

/// Most states of one expression; libstdc++ has the same limit.
pub(super) const MAX_STATES: usize = 100_000;

/// Most repeats of parts that can match the empty text; each takes two bits of [`Counters`].
const MAX_COUNTERS: u8 = 64;

/// Number of a state.
pub(super) type StateId = u32;

/// How often each nullable repeat was entered at the present position: 0, 1 or 2, in two bits each.
pub(super) type Counters = u128;

/// One state.
#[derive(Clone, Copy, Debug)]
pub(super) enum State {
    Byte {
        byte: u8,
        next: StateId,
    },
    Any {
        next: StateId,
    },
    /// Index into [`Program::sets`].
    Set {
        set: u32,
        next: StateId,
    },
    Start {
        next: StateId,
    },
    End {
        next: StateId,
    },
    /// A group begins: its number.
    Open {
        group: u32,
        next: StateId,
    },
    /// A group ends.
    Close {
        group: u32,
        next: StateId,
    },
    /// Tries `more`; only if that fails, `next`. `branch` numbers the states where a choice is made.
    Repeat {
        more: StateId,
        next: StateId,
        counter: Option<u8>,
        branch: u32,
    },
    /// Tries both and takes the longer match, the first of equals.
    Alternate {
        first: StateId,
        second: StateId,
        branch: u32,
    },
    Accept,
}

/// All states of an expression.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) states: Vec<State>,
    pub(super) sets: Vec<ByteSet>,
    pub(super) start: StateId,
    /// Number of branching states.
    pub(super) n_branches: u32,
    /// Number of groups, the whole not counted.
    pub(super) n_groups: u32,
}

impl Program {
    /// Lays out an expression.
    ///
    /// # Errors
    /// [`RegexError::TooBig`] beyond [`MAX_STATES`].
    pub(super) fn new(ere: &Ere, n_groups: u32) -> Result<Program, RegexError> {
        let mut compiler = Compiler {
            states: vec![State::Accept],
            sets: Vec::new(),
            n_branches: 0,
            n_counters: 0,
            steps: 0,
        };
        let start = compiler.compile(ere, 0)?;
        Ok(Program {
            states: compiler.states,
            sets: compiler.sets,
            start,
            n_branches: compiler.n_branches,
            n_groups,
        })
    }
}

struct Compiler {
    states: Vec<State>,
    sets: Vec<ByteSet>,
    n_branches: u32,
    n_counters: u8,
    steps: usize,
}

impl Compiler {
    fn push(&mut self, state: State) -> StateId {
        self.states.push(state);
        (self.states.len() - 1) as StateId
    }

    fn branch(&mut self) -> u32 {
        self.n_branches += 1;
        self.n_branches - 1
    }

    /// A repeat whose `more` is set later.
    fn repeat(&mut self, body: &Ere, next: StateId) -> Result<StateId, RegexError> {
        let counter = if body.is_nullable() {
            if self.n_counters == MAX_COUNTERS {
                return Err(RegexError::TooBig);
            }
            self.n_counters += 1;
            Some(self.n_counters - 1)
        } else {
            None
        };
        let branch = self.branch();
        Ok(self.push(State::Repeat { more: next, next, counter, branch }))
    }

    fn set_more(&mut self, repeat: StateId, body: StateId) {
        if let State::Repeat { more, .. } = &mut self.states[repeat as usize] {
            *more = body;
        }
    }

    /// The first state of `ere` followed by `next`. Recursion is bounded by `ere::MAX_DEPTH`.
    fn compile(&mut self, ere: &Ere, next: StateId) -> Result<StateId, RegexError> {
        self.steps += 1;
        if self.states.len() > MAX_STATES || self.steps > MAX_STATES {
            return Err(RegexError::TooBig);
        }
        Ok(match ere {
            Ere::Empty => next,
            Ere::Start => self.push(State::Start { next }),
            Ere::End => self.push(State::End { next }),
            Ere::Byte(byte) => self.push(State::Byte { byte: *byte, next }),
            Ere::Any => self.push(State::Any { next }),
            Ere::Set(set) => {
                let index = self.sets.iter().rposition(|known| known == &**set);
                let set = index.unwrap_or_else(|| {
                    self.sets.push((**set).clone());
                    self.sets.len() - 1
                });
                self.push(State::Set { set: set as u32, next })
            }
            Ere::Group(group, body) => {
                let close = self.push(State::Close { group: *group, next });
                let body = self.compile(body, close)?;
                self.push(State::Open { group: *group, next: body })
            }
            Ere::Concat(parts) => {
                let mut next = next;
                for part in parts.iter().rev() {
                    next = self.compile(part, next)?;
                }
                next
            }
            Ere::Alternate(parts) => {
                let (last, before) = parts.split_last().expect("alternations have two parts");
                let mut second = self.compile(last, next)?;
                for part in before.iter().rev() {
                    let first = self.compile(part, next)?;
                    let branch = self.branch();
                    second = self.push(State::Alternate { first, second, branch });
                }
                second
            }
            Ere::Repeat { min, max, body } => {
                let mut next = next;
                let mut n_copies = *min;
                match max {
                    None => {
                        let repeat = self.repeat(body, next)?;
                        let first = self.compile(body, repeat)?;
                        self.set_more(repeat, first);
                        // `a+` shares its body with the loop, as libstdc++ does; `a{1,}` has a copy,
                        // which no match can tell.
                        (next, n_copies) = if *min == 1 { (first, 0) } else { (repeat, *min) };
                    }
                    Some(max) => {
                        let end = next;
                        for _ in *min..*max {
                            let repeat = self.repeat(body, end)?;
                            let first = self.compile(body, next)?;
                            self.set_more(repeat, first);
                            next = repeat;
                        }
                    }
                }
                for _ in 0..n_copies {
                    next = self.compile(body, next)?;
                }
                next
            }
        })
    }
}
