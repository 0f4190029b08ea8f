//! `//`: layers for a small right side on a large left one, merge plans otherwise.

use std::sync::atomic::Ordering;

use rustc_hash::FxHashMap;

use super::{
    Attrs, LAYERED, NO_POSITION, Shape, Shapes,
    shape::{INTERN_LIMIT, Side, union},
};
use crate::{
    heap::{Bump, Heap},
    source::Location,
    symbol::Symbol,
    value::Value,
};

/// How many layers a set may have above its flat base.
const MAX_DEPTH: usize = 8;
/// Largest right side that becomes a layer.
const MAX_LAYER: usize = 16;
/// A left side must have this many times the names of the right side to carry a layer.
const MIN_RATIO: usize = 4;
const FROM_RIGHT: u32 = 1 << 31;
const BASE: usize = 1;
const SIZE: usize = 2;
const FLAT: usize = 3;
const VALUES: usize = 4;

/// Merge plans by pair of shapes: which shape results, and where each value comes from.
#[derive(Debug, Default)]
pub(crate) struct Plans {
    plans: FxHashMap<(usize, usize), Plan>,
}

#[derive(Debug)]
struct Plan {
    shape: Shape,
    /// Slots on the left, or on the right with the top bit set.
    sources: Box<[u32]>,
}

impl Plan {
    fn make(left: Shape, right: Shape, shapes: &Shapes, bump: &mut Bump, heap: &Heap) -> Plan {
        let n = left.n_merged(right);
        let mut sources = Vec::with_capacity(n);
        let mut note = |side| match side {
            Side::Left(slot) => sources.push(slot as u32),
            Side::Right(slot) => sources.push(slot as u32 | FROM_RIGHT),
        };
        let shape = if is_large(left, right) {
            Shape::merge(bump, heap, (left, right), n, note)
        } else {
            let (mut names, mut positions) = (Vec::with_capacity(n), Vec::with_capacity(n));
            union(left, right, |name, side| {
                names.push(name);
                let position = match side {
                    Side::Left(slot) => left.position(slot),
                    Side::Right(slot) => right.position(slot),
                };
                positions.push(position.unwrap_or(NO_POSITION));
                note(side);
            });
            shapes.intern(bump, heap, &names, &positions)
        };
        Plan { shape, sources: sources.into() }
    }

    fn run(&self, left: Attrs, right: Attrs, bump: &mut Bump, heap: &Heap) -> Attrs {
        let attrs = Attrs::alloc(bump, heap, self.shape);
        let members = attrs.members();
        for (slot, &source) in self.sources.iter().enumerate() {
            let value = if source & FROM_RIGHT != 0 {
                right.slot((source & !FROM_RIGHT) as usize)
            } else {
                left.slot(source as usize)
            };
            members.put(slot, value.0);
        }
        attrs
    }
}

/// Whether the names of both together are certainly too many for a shape that is interned.
fn is_large(left: Shape, right: Shape) -> bool {
    left.len().max(right.len()) > INTERN_LIMIT
}

/// The attributes of both, where there are too many for a shape that others have as well: nothing is made but the set.
fn merge(left: Attrs, right: (Shape, &[Value]), bump: &mut Bump, heap: &Heap) -> Attrs {
    let (right, values) = right;
    let n = left.top_shape().n_merged(right);
    let cells = bump.any_words(heap, 1 + n);
    let mut at = 0;
    let shape = Shape::merge(bump, heap, (left.top_shape(), right), n, |source| {
        at += 1;
        let value = match source {
            Side::Left(slot) => left.slot(slot),
            Side::Right(slot) => values[slot],
        };
        cells.put(at, value.0);
    });
    cells.put(0, shape.address() as u64);
    Attrs(cells)
}

impl Plans {
    /// The attributes of both, those of `right` where both have one.
    pub(crate) fn update(
        &mut self,
        left: Attrs,
        right: Attrs,
        shapes: &Shapes,
        bump: &mut Bump,
        heap: &Heap,
    ) -> Attrs {
        let n_right = right.len();
        if n_right == 0 {
            return left;
        }
        let n_left = left.len();
        if n_left == 0 {
            return right;
        }
        if n_right <= MAX_LAYER
            && n_left >= 32
            && n_left >= n_right * MIN_RATIO
            && left.depth() < MAX_DEPTH
        {
            let right = right.flatten(shapes, bump, heap);
            return Attrs::layer(left, right, bump, heap);
        }
        let left = left.flatten(shapes, bump, heap);
        let right = right.flatten(shapes, bump, heap);
        let (l, r) = (left.top_shape(), right.top_shape());
        if !(l.is_shared() && r.is_shared()) {
            if is_large(l, r) {
                return merge(left, (r, right.flat_values()), bump, heap);
            }
            return Plan::make(l, r, shapes, bump, heap).run(left, right, bump, heap);
        }
        self.plans
            .entry((l.address(), r.address()))
            .or_insert_with(|| Plan::make(l, r, shapes, bump, heap))
            .run(left, right, bump, heap)
    }
}

impl Attrs {
    fn layer(base: Attrs, top: Attrs, bump: &mut Bump, heap: &Heap) -> Attrs {
        let shape = top.top_shape();
        let cells = bump.zeroed_words(heap, VALUES + shape.len());
        let known = shape.names().iter().filter(|&&name| base.has(name)).count();
        let len = base.len() + shape.len() - known;
        cells.put(0, shape.address() as u64 | LAYERED);
        cells.put(BASE, base.value().0);
        cells.put(SIZE, (len as u64) << 8 | (base.depth() + 1) as u64);
        for (i, value) in top.flat_values().iter().enumerate() {
            cells.put(VALUES + i, value.0);
        }
        Attrs(cells)
    }

    fn depth(self) -> usize {
        if self.is_layered() { (self.0.word(SIZE) & 0xff) as usize } else { 0 }
    }

    pub(super) fn layer_len(self) -> usize {
        (self.0.word(SIZE) >> 8) as usize
    }

    fn base(self) -> Attrs {
        Attrs(Value(self.0.word(BASE)).cells())
    }

    /// The layers from the top down to, not including, the flat base; and the base.
    fn layers(self) -> (Vec<Attrs>, Attrs) {
        let mut layers = Vec::new();
        let mut at = self;
        while at.is_layered() {
            layers.push(at);
            at = at.base();
        }
        (layers, at)
    }

    /// An attribute of a layered set: its value, and the shape that knows its place, under which number.
    #[inline(never)]
    pub(super) fn layered_get(self, name: Symbol) -> Option<(Value, Shape, usize)> {
        let mut at = self;
        while at.is_layered() {
            let shape = at.top_shape();
            if let Some(slot) = shape.slot(name) {
                return Some((Value(at.0.word(VALUES + slot)), shape, slot));
            }
            at = at.base();
        }
        let shape = at.top_shape();
        shape.slot(name).map(|slot| (at.slot(slot), shape, slot))
    }

    /// All attributes of a layered set, in order of `Symbol`.
    pub(super) fn merged(self) -> Vec<(Symbol, Value)> {
        self.entries().into_iter().map(|entry| (entry.name, entry.value)).collect()
    }

    /// The newest attributes of these layers, in order of `Symbol`.
    fn newest(layers: &[Attrs]) -> Vec<Entry> {
        // Overriding names, the newest last, so that a stable sort keeps the newest of equals last.
        let mut over: Vec<Entry> = Vec::new();
        for layer in layers.iter().rev() {
            let shape = layer.top_shape();
            for (slot, &name) in shape.names().iter().enumerate() {
                let value = Value(layer.0.word(VALUES + slot));
                over.push(Entry { name, value, shape, slot });
            }
        }
        over.sort_by_key(|entry| entry.name);
        let mut newest: Vec<Entry> = Vec::with_capacity(over.len());
        for entry in over {
            match newest.last_mut() {
                Some(last) if last.name == entry.name => *last = entry,
                _ => newest.push(entry),
            }
        }
        newest
    }

    fn entries(self) -> Vec<Entry> {
        let (layers, base) = self.layers();
        let shape = base.top_shape();
        let mut all = Vec::with_capacity(self.len());
        let mut over = Attrs::newest(&layers).into_iter().peekable();
        for (slot, &name) in shape.names().iter().enumerate() {
            while let Some(entry) = over.next_if(|entry| entry.name < name) {
                all.push(entry);
            }
            match over.next_if(|entry| entry.name == name) {
                Some(entry) => all.push(entry),
                None => all.push(Entry { name, value: base.slot(slot), shape, slot }),
            }
        }
        all.extend(over);
        all
    }

    /// The same attributes as a flat set; remembered in a layered one.
    pub(crate) fn flatten(self, shapes: &Shapes, bump: &mut Bump, heap: &Heap) -> Attrs {
        if !self.is_layered() {
            return self;
        }
        let known = self.0.atomic(FLAT).load(Ordering::Acquire);
        if known != 0 {
            return Attrs(Value(known).cells());
        }
        let flat = self.flattened(shapes, bump, heap);
        self.0.atomic(FLAT).store(flat.value().0, Ordering::Release);
        flat
    }

    fn flattened(self, shapes: &Shapes, bump: &mut Bump, heap: &Heap) -> Attrs {
        let (layers, base) = self.layers();
        let is_large = base.len() > INTERN_LIMIT;
        let entries = if is_large { Attrs::newest(&layers) } else { self.entries() };
        let names: Vec<Symbol> = entries.iter().map(|entry| entry.name).collect();
        let place = |entry: &Entry| entry.shape.position(entry.slot).unwrap_or(NO_POSITION);
        let positions: Vec<Location> = entries.iter().map(place).collect();
        let values: Vec<Value> = entries.iter().map(|entry| entry.value).collect();
        if is_large {
            let over = Shape::new(bump, heap, &names, &positions, false);
            return merge(base, (over, &values), bump, heap);
        }
        let shape = shapes.intern(bump, heap, &names, &positions);
        Attrs::new(bump, heap, shape, &values)
    }
}

/// An attribute of a layered set, with the shape that knows its place.
struct Entry {
    name: Symbol,
    value: Value,
    shape: Shape,
    slot: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_the_newest() {
        let (heap, shapes) = (Heap::default(), Shapes::default());
        let (mut bump, mut plans) = (Bump::default(), Plans::default());
        let mut expected = std::collections::BTreeMap::new();
        let mut set = None;
        // More merges than places may lie below each other; literals, layers, sets without places.
        for round in 0..60u32 {
            let n = [100, 3, 70, 200][round as usize % 4];
            let names: Vec<Symbol> = (0..n).map(|i| Symbol(i * (1 + round % 3) + round)).collect();
            let place = |i: usize| Location {
                file: crate::source::FileId(round),
                span: crate::source::Span { start: i as u32, end: 0 },
            };
            let positions: Vec<Location> = match round % 5 {
                4 => Vec::new(),
                _ => (0..names.len()).map(place).collect(),
            };
            for (i, &name) in names.iter().enumerate() {
                expected.insert(name, positions.get(i).copied());
            }
            let shape = Shape::new(&mut bump, &heap, &names, &positions, round % 2 == 0);
            let values = vec![Value::TRUE; names.len()];
            let right = Attrs::new(&mut bump, &heap, shape, &values);
            let left = set.unwrap_or(right);
            let all = plans.update(left, right, &shapes, &mut bump, &heap);
            for (&name, &place) in &expected {
                assert_eq!(all.position(name), place, "{name:?} in round {round}");
            }
            let flat = all.flatten(&shapes, &mut bump, &heap);
            let bare = flat.top_shape().without_positions(&mut bump, &heap);
            assert_eq!(bare.names(), flat.top_shape().names());
            assert_eq!(bare.position(0), None);
            set = Some(all);
        }
    }

    #[test]
    fn layers_and_plans_give_what_a_map_gives() {
        let (heap, shapes) = (Heap::default(), Shapes::default());
        let mut bump = Bump::default();
        let mut plans = Plans::default();
        let mut expected = std::collections::BTreeMap::new();
        let mut set = {
            let names: Vec<Symbol> = (0..200).map(|i| Symbol(i * 3)).collect();
            let shape = shapes.intern(&mut bump, &heap, &names, &[]);
            let values: Vec<Value> =
                (0..200).map(|i| Value::small_int(i).expect("small")).collect();
            expected.extend(names.into_iter().zip(values.iter().copied()));
            Attrs::new(&mut bump, &heap, shape, &values)
        };
        for round in 0..40u32 {
            let names: Vec<Symbol> =
                (0..1 + round % 20).map(|i| Symbol(round * 7 + i * 5)).collect();
            let values: Vec<Value> = names
                .iter()
                .map(|n| Value::small_int(i64::from(n.0 + round * 1000)).expect("small"))
                .collect();
            let shape = shapes.intern(&mut bump, &heap, &names, &[]);
            let right = Attrs::new(&mut bump, &heap, shape, &values);
            set = plans.update(set, right, &shapes, &mut bump, &heap);
            expected.extend(names.into_iter().zip(values));
            assert_eq!(set.len(), expected.len());
            assert_eq!(
                set.iter().collect::<Vec<_>>(),
                expected.clone().into_iter().collect::<Vec<_>>()
            );
            for n in 0..700 {
                assert_eq!(set.get(Symbol(n)), expected.get(&Symbol(n)).copied(), "{n}");
            }
        }
    }
}
