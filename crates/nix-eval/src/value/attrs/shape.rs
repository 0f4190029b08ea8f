//! Shapes: the names of a set, with the places where they were written.
//!
//! A set literal owns its shape. Shapes made at run time are interned up to 64 names, so that sets that
//! are built alike share one; larger ones belong to the set they were made for. Shapes lie in the heap
//! and live as long as it.

use std::{
    hash::Hasher,
    sync::{Mutex, atomic::Ordering},
};

use hashbrown::HashTable;
use rustc_hash::FxHasher;

use crate::{
    heap::{Bump, Cells, Heap},
    source::{FileId, Location, Span},
    symbol::Symbol,
};

/// Shapes with more names are not interned.
const INTERN_LIMIT: usize = 64;
const SHARED: u64 = 1;
/// Words of a shape.
const WORDS: usize = 5;

/// Stands for an unknown place in a shape's list of places.
pub(crate) const NO_POSITION: Location =
    Location { file: FileId(u32::MAX), span: Span { start: 0, end: 0 } };

/// Which names a set has.
///
/// Words: number of names; flags; address of the names; address of the places or 0; address of the shape with
/// these names and no places, or 0 while nobody asked for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape(Cells);

impl Shape {
    #[inline(always)]
    pub(crate) fn at(address: usize) -> Shape {
        Shape(Cells::at(address))
    }

    #[inline(always)]
    pub(crate) fn address(self) -> usize {
        self.0.address()
    }

    /// Number of names.
    #[inline(always)]
    pub fn len(self) -> usize {
        self.0.word(0) as usize
    }

    /// Whether there are no names.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The names in order of `Symbol`, none twice.
    #[inline(always)]
    pub fn names<'a>(self) -> &'a [Symbol] {
        let address = self.0.word(2) as *const Symbol;
        // SAFETY: the address is that of `len` symbols in the same heap, written before the shape was.
        unsafe { std::slice::from_raw_parts(address, self.len()) }
    }

    fn positions<'a>(self) -> Option<&'a [Location]> {
        let address = self.0.word(3) as *const Location;
        if address.is_null() {
            return None;
        }
        // SAFETY: as in `names`.
        Some(unsafe { std::slice::from_raw_parts(address, self.len()) })
    }

    /// Where name number `slot` was written, if it is known.
    pub fn position(self, slot: usize) -> Option<Location> {
        self.positions().map(|all| all[slot]).filter(|p| *p != NO_POSITION)
    }

    /// Whether other sets may have this very shape, so that plans about it are worth keeping.
    pub(crate) fn is_shared(self) -> bool {
        self.0.word(1) & SHARED != 0
    }

    /// The number of a name.
    #[inline]
    pub fn slot(self, name: Symbol) -> Option<usize> {
        let names = self.names();
        if names.len() <= 8 {
            return names.iter().position(|&n| n == name);
        }
        // Without branches on the comparison: the path through the table is input, so unpredictable.
        let mut base = 0;
        let mut size = names.len();
        while size > 1 {
            let half = size / 2;
            base = if names[base + half] <= name { base + half } else { base };
            size -= half;
        }
        (names[base] == name).then_some(base)
    }

    /// A new shape of its own. `names` in order of `Symbol`, none twice; `positions` empty or parallel.
    pub(crate) fn new(
        bump: &mut Bump,
        heap: &Heap,
        names: &[Symbol],
        positions: &[Location],
        shared: bool,
    ) -> Shape {
        debug_assert!(names.is_sorted_by(|a, b| a < b));
        debug_assert!(positions.is_empty() || positions.len() == names.len());
        let cells = bump.words(heap, WORDS);
        let table = bump.words(heap, names.len().div_ceil(2).max(1));
        for (i, pair) in names.chunks(2).enumerate() {
            let high = pair.get(1).map_or(0, |s| s.0 as u64);
            table.put(i, (pair[0].0 as u64) | high << 32);
        }
        cells.put(0, names.len() as u64);
        cells.put(1, if shared { SHARED } else { 0 });
        cells.put(2, table.address() as u64);
        if positions.iter().any(|p| *p != NO_POSITION) {
            let bytes = size_of_val(positions);
            let table = bump.words(heap, bytes.div_ceil(8));
            // SAFETY: places are plain numbers without padding, asserted below.
            let raw = unsafe { std::slice::from_raw_parts(positions.as_ptr().cast::<u8>(), bytes) };
            table.put_bytes(0, raw);
            cells.put(3, table.address() as u64);
        }
        Shape(cells)
    }

    /// The shape with these names and no places; the same one every time.
    pub(crate) fn without_positions(self, bump: &mut Bump, heap: &Heap) -> Shape {
        if self.0.word(3) == 0 {
            return self;
        }
        let known = self.0.atomic(4).load(Ordering::Acquire);
        if known != 0 {
            return Shape::at(known as usize);
        }
        let cells = bump.words(heap, WORDS);
        for word in 0..3 {
            cells.put(word, self.0.word(word));
        }
        // Two threads may each make one; either will do.
        self.0.atomic(4).store(cells.address() as u64, Ordering::Release);
        Shape(cells)
    }
}

const _: () = {
    assert!(size_of::<Location>() == 12 && align_of::<Location>() == 4);
    assert!(size_of::<Symbol>() == 4);
};

/// The interned shapes of an evaluator, with their hashes: shapes lie all over the heap.
#[derive(Default)]
pub(crate) struct Shapes(Mutex<HashTable<(u64, Shape)>>);

impl Shapes {
    /// The shape with these names and places; see [`Shape::new`].
    pub(crate) fn intern(
        &self,
        bump: &mut Bump,
        heap: &Heap,
        names: &[Symbol],
        positions: &[Location],
    ) -> Shape {
        if names.len() > INTERN_LIMIT {
            return Shape::new(bump, heap, names, positions, false);
        }
        let positions = if positions.iter().all(|p| *p == NO_POSITION) { &[] } else { positions };
        let hash = hash(names, positions);
        let mut table = self.0.lock().unwrap_or_else(|e| e.into_inner());
        let same = |&(h, s): &(u64, Shape)| {
            h == hash && s.names() == names && s.positions().unwrap_or(&[]) == positions
        };
        if let Some(&(_, shape)) = table.find(hash, same) {
            return shape;
        }
        let shape = Shape::new(bump, heap, names, positions, true);
        table.insert_unique(hash, (hash, shape), |&(h, _)| h);
        shape
    }

    /// How many shapes are interned.
    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).len()
    }
}

impl std::fmt::Debug for Shapes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shapes({})", self.len())
    }
}

fn hash(names: &[Symbol], positions: &[Location]) -> u64 {
    let mut hasher = FxHasher::default();
    for name in names {
        hasher.write_u32(name.0);
    }
    for position in positions {
        hasher.write_u32(position.file.0);
        hasher.write_u32(position.span.start);
    }
    hasher.finish()
}
