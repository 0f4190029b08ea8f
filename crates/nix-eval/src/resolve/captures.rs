//! Words that bodies hold, and how inner bodies come by the words of outer ones.
//!
//! A [`Cell`] is a word that some body has in a slot: an argument, the address of a group, the subject of a
//! `with` or of an `inherit (e)`. Captures are flat: a body that uses a cell of a body further out makes all
//! bodies between capture it too. A group is one cell, however many members are used.

use rustc_hash::FxHashMap;

use super::Resolver;
use crate::ir::{Body, BodyId, Groups, NodeId, Place, Range};

/// A word in a body's frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    /// Which open body has it.
    level: u32,
    place: Place,
    /// Of a group whose members are in the order of their symbols: its number, else [`Groups::NONE`].
    pub(super) group: u32,
    /// The last body that captured it, and where; bodies are told apart by when they were opened.
    seen_by: u32,
    seen_at: u32,
}

/// Above this many captures a body is searched by hash.
const LINEAR: usize = 16;

/// A body that is being resolved.
#[derive(Debug, Default)]
pub(super) struct OpenBody {
    /// Number of its opening, from 1.
    serial: u32,
    /// Cell and its place in the body outside.
    captures: Vec<(u32, Place)>,
    /// Cell to index in `captures`; filled beyond [`LINEAR`].
    index: FxHashMap<u32, u32>,
    /// The next free slot.
    next_slot: u32,
    pub(super) n_locals: u32,
    /// The last list of `with` subjects that was written: number of them, innermost cell, place in `extra`.
    pub(super) withs: Option<(u32, u32, u32)>,
}

impl OpenBody {
    fn find(&self, cell: u32) -> Option<u32> {
        if self.captures.len() <= LINEAR {
            self.captures.iter().position(|&(c, _)| c == cell).map(|i| i as u32)
        } else {
            self.index.get(&cell).copied()
        }
    }

    fn push(&mut self, cell: u32, outer: Place) -> u32 {
        let at = self.captures.len() as u32;
        self.captures.push((cell, outer));
        if self.captures.len() > LINEAR {
            if self.index.is_empty() {
                self.index
                    .extend(self.captures.iter().enumerate().map(|(i, &(c, _))| (c, i as u32)));
            } else {
                self.index.insert(cell, at);
            }
        }
        at
    }
}

impl Resolver<'_> {
    pub(super) fn begin_first_body(&mut self) {
        self.open_body();
        self.reserve_body();
    }

    fn reserve_body(&mut self) -> BodyId {
        let id = BodyId(self.out.bodies.len() as u32);
        let captures = Range { start: 0, len: 0 };
        self.out.bodies.push(Body { root: NodeId(0), captures, n_locals: 0 });
        id
    }

    /// Opens a body inside the one at hand.
    pub(super) fn begin_body(&mut self) -> BodyId {
        self.level += 1;
        self.open_body();
        self.reserve_body()
    }

    fn open_body(&mut self) {
        self.n_opened += 1;
        if self.level == self.bodies.len() {
            self.bodies.push(OpenBody::default());
        }
        let body = &mut self.bodies[self.level];
        body.serial = self.n_opened;
        body.captures.clear();
        body.index.clear();
        body.next_slot = 0;
        body.n_locals = 0;
        body.withs = None;
    }

    /// Closes the innermost body and writes down what it captures.
    pub(super) fn close_body(&mut self) -> Range {
        let start = self.out.extra.len() as u32;
        let body = &self.bodies[self.level];
        // Most capture a word or two: without a call.
        for &(_, outer) in &body.captures {
            self.out.extra.push(outer.0);
        }
        self.level -= 1;
        Range { start, len: body.captures.len() as u32 }
    }

    /// A fresh slot of the innermost body. Slots are given back in reverse order.
    pub(super) fn new_slot(&mut self) -> u32 {
        let body = &mut self.bodies[self.level];
        let slot = body.next_slot;
        body.next_slot += 1;
        body.n_locals = body.n_locals.max(body.next_slot);
        slot
    }

    /// Gives the last `n` slots back.
    pub(super) fn free_slots(&mut self, n: u32) {
        self.bodies[self.level].next_slot -= n;
    }

    pub(super) fn new_cell(&mut self, place: Place) -> u32 {
        let cell = self.cells.len() as u32;
        self.cells.push(Cell {
            level: self.level as u32,
            place,
            group: Groups::NONE,
            seen_by: 0,
            seen_at: 0,
        });
        cell
    }

    /// Numbers the group in a cell, whose members are in the order of their symbols.
    pub(super) fn number_group(&mut self, cell: u32) -> u32 {
        let group = self.out.groups.len;
        self.out.groups.len += 1;
        self.cells[cell as usize].group = group;
        group
    }

    /// Where the innermost body finds a word.
    #[inline]
    pub(super) fn place(&mut self, cell: u32) -> Place {
        let known = self.cells[cell as usize];
        if known.level as usize == self.level {
            return known.place;
        }
        if known.seen_by == self.bodies[self.level].serial {
            return Place::captured(known.seen_at);
        }
        self.capture(cell)
    }

    fn capture(&mut self, cell: u32) -> Place {
        let owner = self.cells[cell as usize].level as usize;
        let mut level = self.level;
        let mut place = loop {
            if level == owner {
                break self.cells[cell as usize].place;
            }
            if let Some(at) = self.bodies[level].find(cell) {
                break Place::captured(at);
            }
            level -= 1;
        };
        // Past the budget the walk stops at its next step, and what is made until then is not used.
        let steps = self.level - level;
        self.captures_left = self.captures_left.saturating_sub(steps);
        // Many steps at once bring the next poll nearer.
        self.countdown = self.countdown.saturating_sub(steps as u32 / 8).max(1);
        if self.captures_left == 0 {
            return place;
        }
        while level < self.level {
            level += 1;
            place = Place::captured(self.bodies[level].push(cell, place));
        }
        let serial = self.bodies[self.level].serial;
        let known = &mut self.cells[cell as usize];
        known.seen_by = serial;
        known.seen_at = place.index();
        place
    }
}
