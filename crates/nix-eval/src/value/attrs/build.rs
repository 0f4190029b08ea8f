//! Building a set whose names are known at run time only.

use super::{Attrs, NO_POSITION, Shapes};
use crate::{
    heap::{Bump, Heap},
    source::Location,
    symbol::Symbol,
    value::Value,
};

/// Collects attributes. Of two with the same name the first stays.
#[derive(Debug, Default)]
pub struct AttrsBuilder {
    entries: Vec<(Symbol, Value, Location)>,
    sorted: bool,
}

impl AttrsBuilder {
    pub(crate) fn with_capacity(n: usize) -> AttrsBuilder {
        AttrsBuilder { entries: Vec::with_capacity(n), sorted: true }
    }

    /// Adds an attribute; `value` may be a thunk.
    #[inline]
    pub fn push(&mut self, name: Symbol, value: Value, position: Option<Location>) {
        self.sorted &= self.entries.last().is_none_or(|last| last.0 < name);
        self.entries.push((name, value, position.unwrap_or(NO_POSITION)));
    }

    /// Number of attributes pushed so far, duplicates included.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing was pushed.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn build(mut self, shapes: &Shapes, bump: &mut Bump, heap: &Heap) -> Attrs {
        if !self.sorted {
            self.entries.sort_by_key(|entry| entry.0);
            self.entries.dedup_by_key(|entry| entry.0);
        }
        let names: Vec<Symbol> = self.entries.iter().map(|entry| entry.0).collect();
        let has_positions = self.entries.iter().any(|entry| entry.2 != NO_POSITION);
        let positions: Vec<Location> = if has_positions {
            self.entries.iter().map(|entry| entry.2).collect()
        } else {
            Vec::new()
        };
        let shape = shapes.intern(bump, heap, &names, &positions);
        let attrs = Attrs::alloc(bump, heap, shape);
        for (slot, entry) in self.entries.iter().enumerate() {
            attrs.members().put(slot, entry.1.0);
        }
        attrs
    }
}
