//! Attribute sets: a shape (which names) and values.
//!
//! | object | words |
//! |---|---|
//! | flat | shape; one value for each name of the shape |
//! | layered | shape of the top layer + 1; set below; number of names × 256 + depth; flat form or 0; values of the top layer |
//!
//! A layered set is what `//` makes of a small right side and a large left side. Names of a shape are in
//! order of `Symbol`; byte order of names is made where it can be seen.

mod build;
mod layers;
mod shape;

pub use self::{build::AttrsBuilder, shape::Shape};
pub(crate) use self::{
    layers::Plans,
    shape::{NO_POSITION, Shapes},
};
use super::{ATTRS, Value};
use crate::{
    heap::{Bump, Cells, Heap},
    source::Location,
    symbol::{Symbol, Symbols},
};

const LAYERED: u64 = 1;

/// An attribute set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attrs(pub(crate) Cells);

impl Attrs {
    /// A new flat set whose values the caller puts in place.
    #[inline(always)]
    pub(crate) fn alloc(bump: &mut Bump, heap: &Heap, shape: Shape) -> Attrs {
        let cells = bump.any_words(heap, 1 + shape.len());
        cells.put(0, shape.address() as u64);
        Attrs(cells)
    }

    /// A new flat set.
    pub(crate) fn new(bump: &mut Bump, heap: &Heap, shape: Shape, values: &[Value]) -> Attrs {
        debug_assert!(shape.len() == values.len());
        let attrs = Attrs::alloc(bump, heap, shape);
        for (i, v) in values.iter().enumerate() {
            attrs.0.put(1 + i, v.0);
        }
        attrs
    }

    /// The first word: identifies the shape of a flat set, and is not that of any flat set otherwise.
    #[inline(always)]
    pub(crate) fn shape_word(self) -> u64 {
        self.0.word(0)
    }

    #[inline(always)]
    pub(crate) fn is_layered(self) -> bool {
        self.shape_word() & LAYERED != 0
    }

    /// Shape of a flat set or of the top layer.
    #[inline(always)]
    pub(crate) fn top_shape(self) -> Shape {
        Shape::at((self.shape_word() & !LAYERED) as usize)
    }

    /// The shape, if the set is flat.
    pub fn shape(self) -> Option<Shape> {
        if self.is_layered() { None } else { Some(self.top_shape()) }
    }

    /// The values of a flat set, in order of its shape.
    #[inline(always)]
    pub(crate) fn flat_values<'a>(self) -> &'a [Value] {
        debug_assert!(!self.is_layered());
        self.values_at(1)
    }

    /// Address of the first value of a flat set: the group of a `rec` set.
    #[inline(always)]
    pub(crate) fn members(self) -> Cells {
        self.0.skip(1)
    }

    fn values_at<'a>(self, offset: usize) -> &'a [Value] {
        let words = self.0.skip(offset).slice(self.top_shape().len());
        // SAFETY: `Value` is a transparent word.
        unsafe { &*(std::ptr::from_ref(words) as *const [Value]) }
    }

    /// Value number `slot` of a flat set.
    #[inline(always)]
    pub(crate) fn slot(self, slot: usize) -> Value {
        Value(self.0.word(1 + slot))
    }

    /// Number of attributes.
    pub fn len(self) -> usize {
        if self.is_layered() { self.layer_len() } else { self.top_shape().len() }
    }

    /// Whether it is `{ }`.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The value of an attribute, which may be a thunk.
    #[inline]
    pub fn get(self, name: Symbol) -> Option<Value> {
        if self.is_layered() {
            return self.layered_get(name).map(|(v, ..)| v);
        }
        self.top_shape().slot(name).map(|slot| self.slot(slot))
    }

    /// Whether there is such an attribute.
    pub fn has(self, name: Symbol) -> bool {
        self.get(name).is_some()
    }

    /// Where an attribute was written, if it is known.
    pub fn position(self, name: Symbol) -> Option<Location> {
        if self.is_layered() {
            return self.layered_get(name).and_then(|(_, shape, slot)| shape.position(slot));
        }
        let shape = self.top_shape();
        shape.slot(name).and_then(|slot| shape.position(slot))
    }

    /// All attributes in order of `Symbol`. The order is not that of the names' bytes.
    pub fn iter<'a>(self) -> AttrsIter<'a> {
        if self.is_layered() {
            return AttrsIter { merged: Some(self.merged().into_iter()), ..AttrsIter::default() };
        }
        AttrsIter {
            names: self.top_shape().names().iter(),
            values: self.flat_values().iter(),
            merged: None,
        }
    }

    /// All attributes in byte order of their names.
    pub fn iter_by_name(self, symbols: &Symbols) -> std::vec::IntoIter<(Symbol, Value)> {
        let mut all: Vec<(&[u8], Symbol, Value)> =
            self.iter().map(|(name, value)| (symbols.name(name), name, value)).collect();
        all.sort_unstable_by(|a, b| a.0.cmp(b.0));
        all.into_iter().map(|(_, name, value)| (name, value)).collect::<Vec<_>>().into_iter()
    }

    /// Names in order of `Symbol`.
    pub fn names(self) -> Vec<Symbol> {
        self.iter().map(|(name, _)| name).collect()
    }

    /// The set as a value.
    #[inline(always)]
    pub fn value(self) -> Value {
        Value::tagged(self.0, ATTRS)
    }
}

/// Attributes of a set in order of `Symbol`.
#[derive(Debug, Default)]
pub struct AttrsIter<'a> {
    names: std::slice::Iter<'a, Symbol>,
    values: std::slice::Iter<'a, Value>,
    merged: Option<std::vec::IntoIter<(Symbol, Value)>>,
}

impl Iterator for AttrsIter<'_> {
    type Item = (Symbol, Value);

    fn next(&mut self) -> Option<(Symbol, Value)> {
        match &mut self.merged {
            Some(merged) => merged.next(),
            None => Some((*self.names.next()?, *self.values.next()?)),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let n = self.merged.as_ref().map_or(self.names.len(), |m| m.len());
        (n, Some(n))
    }
}

impl ExactSizeIterator for AttrsIter<'_> {}
