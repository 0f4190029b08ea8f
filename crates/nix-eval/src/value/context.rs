//! String contexts: which store paths a string depends on.
//!
//! Contexts are interned per evaluator: a string holds a number, 0 is the empty context, and equal
//! contexts have equal numbers. Unions are remembered, so joining strings of the same few contexts costs
//! a look-up.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex},
};

use nix_formats::store_path::StorePath;

/// What a string depends on.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum ContextElement {
    /// A store object itself.
    Opaque(StorePath),
    /// An output of a derivation.
    Built {
        /// Path of the derivation.
        drv: StorePath,
        /// Name of the output.
        output: String,
    },
    /// A derivation with all that it refers to.
    DrvDeep(StorePath),
}

/// Number of an interned context; 0 is the empty one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Default)]
pub struct ContextId(pub u32);

impl ContextId {
    /// No context.
    pub const NONE: ContextId = ContextId(0);

    /// Whether this is the empty context.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

#[derive(Default)]
struct Table {
    sets: Vec<Arc<BTreeSet<ContextElement>>>,
    numbers: HashMap<Arc<BTreeSet<ContextElement>>, u32>,
    unions: HashMap<(u32, u32), u32>,
}

/// All contexts of an evaluator.
pub struct Contexts(Mutex<Table>);

impl Default for Contexts {
    fn default() -> Contexts {
        let empty = Arc::new(BTreeSet::new());
        let mut table = Table::default();
        table.numbers.insert(empty.clone(), 0);
        table.sets.push(empty);
        Contexts(Mutex::new(table))
    }
}

impl Contexts {
    /// The elements of a context, in order.
    pub fn get(&self, id: ContextId) -> Arc<BTreeSet<ContextElement>> {
        let table = self.0.lock().unwrap_or_else(|e| e.into_inner());
        table.sets[id.0 as usize].clone()
    }

    /// The number of a context.
    pub fn intern(&self, elements: BTreeSet<ContextElement>) -> ContextId {
        let mut table = self.0.lock().unwrap_or_else(|e| e.into_inner());
        ContextId(table.number(elements))
    }

    /// The number of a context with one element.
    pub fn one(&self, element: ContextElement) -> ContextId {
        self.intern(BTreeSet::from([element]))
    }

    /// The context that has the elements of both.
    #[inline]
    pub fn union(&self, a: ContextId, b: ContextId) -> ContextId {
        if a == b || b.0 == 0 {
            return a;
        }
        if a.0 == 0 {
            return b;
        }
        self.union_slow(a, b)
    }

    fn union_slow(&self, a: ContextId, b: ContextId) -> ContextId {
        let key = (a.0.min(b.0), a.0.max(b.0));
        let mut table = self.0.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(&n) = table.unions.get(&key) {
            return ContextId(n);
        }
        let (left, right) = (&table.sets[key.0 as usize], &table.sets[key.1 as usize]);
        let joined = left.union(right).cloned().collect();
        let n = table.number(joined);
        table.unions.insert(key, n);
        ContextId(n)
    }
}

impl Table {
    fn number(&mut self, elements: BTreeSet<ContextElement>) -> u32 {
        if let Some(&n) = self.numbers.get(&elements) {
            return n;
        }
        let n = self.sets.len() as u32;
        assert!(n < 1 << 24, "an evaluation has fewer than 2^24 different string contexts");
        let set = Arc::new(elements);
        self.sets.push(set.clone());
        self.numbers.insert(set, n);
        n
    }
}

impl std::fmt::Debug for Contexts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Contexts")
    }
}

/// Collects the context of a string that is being made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContextBuilder {
    id: ContextId,
}

impl ContextBuilder {
    /// An empty one.
    pub fn new() -> ContextBuilder {
        ContextBuilder::default()
    }
    /// Adds a context.
    #[inline]
    pub fn add(&mut self, contexts: &Contexts, id: ContextId) {
        self.id = contexts.union(self.id, id);
    }
    /// Adds one element.
    pub fn add_element(&mut self, contexts: &Contexts, element: ContextElement) {
        self.id = contexts.union(self.id, contexts.one(element));
    }
    /// What was collected.
    pub fn finish(self) -> ContextId {
        self.id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(name: &str) -> ContextElement {
        let base = format!("{}-{name}", "0".repeat(32));
        ContextElement::Opaque(StorePath::from_base_name(&base).unwrap())
    }

    #[test]
    fn equal_contexts_have_equal_numbers() {
        let contexts = Contexts::default();
        let (a, b) = (contexts.one(element("a")), contexts.one(element("b")));
        assert_ne!(a, b);
        assert_eq!(contexts.union(a, b), contexts.union(b, a));
        assert_eq!(contexts.union(a, ContextId::NONE), a);
        assert_eq!(
            contexts.intern(BTreeSet::from([element("b"), element("a")])),
            contexts.union(a, b)
        );
    }
}
