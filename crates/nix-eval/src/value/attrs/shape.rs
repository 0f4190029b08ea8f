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
pub(super) const INTERN_LIMIT: usize = 64;
const SHARED: u64 = 1;
/// The places are those of two other shapes, which the words at the address of the places name.
const MERGED: u64 = 2;
/// How many shapes lie below a merged one at most, one below the other: in the flags from this bit on.
const DEPTH: u32 = 8;
const MAX_DEPTH: u64 = 6;
/// Words of a shape.
const WORDS: usize = 5;

/// Stands for an unknown place in a shape's list of places.
pub(crate) const NO_POSITION: Location =
    Location { file: FileId(u32::MAX), span: Span { start: 0, end: 0 } };

/// Which names a set has.
///
/// Words: number of names; flags; address of the names; address of the places, or of the shapes that have them, or 0;
/// address of the shape with these names and no places, or 0 while nobody asked for it.
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

    /// The places of a shape that is not merged.
    fn positions<'a>(self) -> Option<&'a [Location]> {
        debug_assert!(self.merged().is_none());
        let address = self.0.word(3) as *const Location;
        if address.is_null() {
            return None;
        }
        // SAFETY: as in `names`.
        Some(unsafe { std::slice::from_raw_parts(address, self.len()) })
    }

    /// Where name number `slot` was written, if it is known.
    pub fn position(self, slot: usize) -> Option<Location> {
        if self.merged().is_some() {
            return self.merged_position(self.names()[slot]);
        }
        self.positions().map(|all| all[slot]).filter(|p| *p != NO_POSITION)
    }

    /// The two shapes that have the places of a merged one; the right one counts first.
    #[inline]
    fn merged(self) -> Option<(Shape, Shape)> {
        if self.0.word(1) & MERGED == 0 {
            return None;
        }
        let pair = Cells::at(self.0.word(3) as usize);
        Some((Shape::at(pair.word(0) as usize), Shape::at(pair.word(1) as usize)))
    }

    fn merged_position(self, name: Symbol) -> Option<Location> {
        let mut at = self;
        while let Some((left, right)) = at.merged() {
            if let Some(slot) = right.slot(name) {
                // As deep as the depth says.
                return right.position(slot);
            }
            at = left;
        }
        at.slot(name).and_then(|slot| at.position(slot))
    }

    fn depth(self) -> u64 {
        self.0.word(1) >> DEPTH
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
        let (shape, mut table) = Shape::unwritten(bump, heap, names.len());
        names.iter().for_each(|&name| table.push(name));
        table.finish();
        shape.0.put(1, if shared { SHARED } else { 0 });
        shape.put_positions(bump, heap, positions);
        shape
    }

    /// Room for a new shape of `n` names, which [`Names`] writes.
    fn unwritten(bump: &mut Bump, heap: &Heap, n: usize) -> (Shape, Names) {
        let cells = bump.words(heap, WORDS);
        let table = bump.words(heap, n.div_ceil(2).max(1));
        cells.put(0, n as u64);
        cells.put(2, table.address() as u64);
        (Shape(cells), Names { table, n: 0, low: 0 })
    }

    /// How many names two shapes have together.
    pub(super) fn n_merged(self, right: Shape) -> usize {
        self.len() + right.len() - n_common(self, right)
    }

    /// A new shape of its own with the names of both, and the places of both, those on the right where both have a name.
    /// `n` is [`Shape::n_merged`]; `each` gets where each name is from, in order.
    pub(super) fn merge(
        bump: &mut Bump,
        heap: &Heap,
        (left, right): (Shape, Shape),
        n: usize,
        mut each: impl FnMut(Side),
    ) -> Shape {
        let (shape, mut names) = Shape::unwritten(bump, heap, n);
        union(left, right, |name, side| {
            names.push(name);
            each(side);
        });
        debug_assert_eq!(names.n, n, "as many names as were counted");
        names.finish();
        shape.place(bump, heap, left, right);
        shape
    }

    /// Gives a merged shape its places.
    fn place(self, bump: &mut Bump, heap: &Heap, left: Shape, right: Shape) {
        if left.0.word(3) == 0 && right.0.word(3) == 0 {
            return;
        }
        let depth = 1 + left.depth().max(right.depth());
        if depth <= MAX_DEPTH {
            let pair = bump.words(heap, 2);
            pair.put(0, left.address() as u64);
            pair.put(1, right.address() as u64);
            self.0.put(1, MERGED | depth << DEPTH);
            self.0.put(3, pair.address() as u64);
            return;
        }
        let place = |&name: &Symbol| match right.slot(name) {
            Some(slot) => right.position(slot),
            None => left.slot(name).and_then(|slot| left.position(slot)),
        };
        let places: Vec<Location> =
            self.names().iter().map(|name| place(name).unwrap_or(NO_POSITION)).collect();
        self.put_positions(bump, heap, &places);
    }

    fn put_positions(self, bump: &mut Bump, heap: &Heap, positions: &[Location]) {
        if positions.iter().all(|p| *p == NO_POSITION) {
            return;
        }
        let bytes = size_of_val(positions);
        let table = bump.words(heap, bytes.div_ceil(8));
        // SAFETY: places are plain numbers without padding, asserted below.
        let raw = unsafe { std::slice::from_raw_parts(positions.as_ptr().cast::<u8>(), bytes) };
        table.put_bytes(0, raw);
        self.0.put(3, table.address() as u64);
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
        cells.put(0, self.0.word(0));
        cells.put(1, self.0.word(1) & SHARED);
        cells.put(2, self.0.word(2));
        // Two threads may each make one; either will do.
        self.0.atomic(4).store(cells.address() as u64, Ordering::Release);
        Shape(cells)
    }
}

/// Writes the names of a new shape, two to a word.
struct Names {
    table: Cells,
    n: usize,
    low: u64,
}

impl Names {
    #[inline(always)]
    fn push(&mut self, name: Symbol) {
        if self.n.is_multiple_of(2) {
            self.low = name.0.into();
        } else {
            self.table.put(self.n / 2, self.low | u64::from(name.0) << 32);
        }
        self.n += 1;
    }

    fn finish(self) {
        if self.n % 2 == 1 {
            self.table.put(self.n / 2, self.low);
        }
    }
}

/// Where a name of two shapes together is from, and its number there.
#[derive(Clone, Copy, Debug)]
pub(super) enum Side {
    Left(usize),
    /// Also if both have it.
    Right(usize),
}

/// Goes through the names of two shapes together, in order.
pub(super) fn union(left: Shape, right: Shape, mut each: impl FnMut(Symbol, Side)) {
    let (l, r) = (left.names(), right.names());
    let mut i = 0;
    for (j, &name) in r.iter().enumerate() {
        while let Some(&before) = l.get(i).filter(|&&before| before < name) {
            each(before, Side::Left(i));
            i += 1;
        }
        i += usize::from(l.get(i) == Some(&name));
        each(name, Side::Right(j));
    }
    for (i, &name) in l.iter().enumerate().skip(i) {
        each(name, Side::Left(i));
    }
}

/// How many names two shapes have in common.
fn n_common(left: Shape, right: Shape) -> usize {
    let (few, many) = if left.len() < right.len() { (left, right) } else { (right, left) };
    if few.len() * 16 < many.len() {
        return few.names().iter().filter(|&&name| many.slot(name).is_some()).count();
    }
    let (mut i, mut n) = (0, 0);
    let many = many.names();
    for &name in few.names() {
        while many.get(i).is_some_and(|&other| other < name) {
            i += 1;
        }
        n += usize::from(many.get(i) == Some(&name));
    }
    n
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
