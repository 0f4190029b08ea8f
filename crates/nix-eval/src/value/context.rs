//! String contexts: which store paths a string depends on.
//!
//! Contexts are interned per evaluator: a string holds a number, 0 is the empty context, and equal
//! contexts have equal numbers. Unions are remembered, so joining strings of the same few contexts costs
//! a look-up.

use std::{
    collections::BTreeSet,
    hash::{BuildHasher, Hash},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use hashbrown::HashTable;
use nix_formats::store_path::StorePath;
use rustc_hash::{FxBuildHasher, FxHashMap};

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

/// Elements and sets by number. A set is a stretch of element numbers, ascending; big evaluations make a
/// hundred thousand sets of a hundred elements, so neither is a collection of its own.
#[derive(Default)]
struct Table {
    elements: Vec<ContextElement>,
    /// Numbers of elements, by the element.
    element_numbers: HashTable<u32>,
    /// The members of all sets, one set after the other.
    members: Vec<u32>,
    /// Where each set ends in `members`.
    ends: Vec<usize>,
    /// Numbers of sets, by their members.
    numbers: HashTable<u32>,
    unions: FxHashMap<(u32, u32), u32>,
    /// Room for a set that is being made.
    scratch: Vec<u32>,
}

/// All contexts of an evaluator.
pub struct Contexts {
    table: Mutex<Table>,
    size_bytes: AtomicU64,
}

impl Default for Contexts {
    fn default() -> Contexts {
        let mut table = Table::default();
        // The empty set is number 0.
        table.number(&[]);
        Contexts { table: Mutex::new(table), size_bytes: AtomicU64::new(0) }
    }
}

impl Contexts {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// What they take, in bytes.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes.load(Ordering::Relaxed)
    }

    /// Notes what the table takes after something was added.
    fn measure(&self, table: &Table) {
        self.size_bytes.store(table.size_bytes(), Ordering::Relaxed);
    }

    /// The elements of a context, in order.
    pub fn get(&self, id: ContextId) -> Arc<BTreeSet<ContextElement>> {
        let table = self.table();
        let members = table.set(id.0).iter();
        Arc::new(members.map(|&n| table.elements[n as usize].clone()).collect())
    }

    /// The number of a context.
    pub fn intern(&self, elements: BTreeSet<ContextElement>) -> ContextId {
        let mut table = self.table();
        let mut set: Vec<u32> = elements.into_iter().map(|e| table.element_number(e)).collect();
        set.sort_unstable();
        let n = table.number(&set);
        self.measure(&table);
        ContextId(n)
    }

    /// The number of a context with one element.
    pub fn one(&self, element: ContextElement) -> ContextId {
        let mut table = self.table();
        let n = table.element_number(element);
        let n = table.number(&[n]);
        self.measure(&table);
        ContextId(n)
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
        let mut table = self.table();
        if let Some(&n) = table.unions.get(&key) {
            return ContextId(n);
        }
        let mut joined = std::mem::take(&mut table.scratch);
        merge(table.set(key.0), table.set(key.1), &mut joined);
        let n = table.number(&joined);
        joined.clear();
        table.scratch = joined;
        table.unions.insert(key, n);
        self.measure(&table);
        ContextId(n)
    }

    /// The context that has the elements of all. Only the result becomes a set, not what lies between.
    fn join(&self, ids: &mut Vec<ContextId>) -> ContextId {
        ids.sort_unstable();
        ids.dedup();
        let mut table = self.table();
        let mut joined = std::mem::take(&mut table.scratch);
        for id in ids.iter() {
            joined.extend_from_slice(table.set(id.0));
        }
        joined.sort_unstable();
        joined.dedup();
        let n = table.number(&joined);
        joined.clear();
        table.scratch = joined;
        self.measure(&table);
        ContextId(n)
    }
}

/// Appends the members of two ascending sets to `out`, ascending, each once.
fn merge(mut a: &[u32], mut b: &[u32], out: &mut Vec<u32>) {
    while let ([x, rest_a @ ..], [y, rest_b @ ..]) = (a, b) {
        out.push(*x.min(y));
        if x <= y {
            a = rest_a;
        }
        if y <= x {
            b = rest_b;
        }
    }
    out.extend_from_slice(a);
    out.extend_from_slice(b);
}

fn hash_of(value: &(impl Hash + ?Sized)) -> u64 {
    FxBuildHasher.hash_one(value)
}

impl Table {
    /// An estimate: what the vectors and tables have room for, and the texts of elements.
    fn size_bytes(&self) -> u64 {
        const ELEMENT: usize = size_of::<ContextElement>() + 64;
        const SET: usize = size_of::<usize>() + 5;
        const UNION: usize = size_of::<((u32, u32), u32)>() + 1;
        let sets = self.members.capacity() * 4 + self.ends.capacity() * SET;
        let rest = self.elements.capacity() * ELEMENT + self.unions.capacity() * UNION;
        (sets + rest + self.scratch.capacity() * 4) as u64
    }

    fn set(&self, n: u32) -> &[u32] {
        let n = n as usize;
        let start = n.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.members[start..self.ends[n]]
    }

    fn element_number(&mut self, element: ContextElement) -> u32 {
        let hash = hash_of(&element);
        let elements = &self.elements;
        if let Some(&n) = self.element_numbers.find(hash, |&n| elements[n as usize] == element) {
            return n;
        }
        let n = u32::try_from(elements.len()).expect("there are fewer elements than sets");
        self.elements.push(element);
        let elements = &self.elements;
        self.element_numbers.insert_unique(hash, n, |&n| hash_of(&elements[n as usize]));
        n
    }

    /// The number of a set, given by its members, ascending.
    fn number(&mut self, set: &[u32]) -> u32 {
        let hash = hash_of(set);
        if let Some(&n) = self.numbers.find(hash, |&n| self.set(n) == set) {
            return n;
        }
        let n = self.ends.len() as u32;
        assert!(n < 1 << 24, "an evaluation has fewer than 2^24 different string contexts");
        self.members.extend_from_slice(set);
        self.ends.push(self.members.len());
        let mut numbers = std::mem::take(&mut self.numbers);
        numbers.insert_unique(hash, n, |&n| hash_of(self.set(n)));
        self.numbers = numbers;
        n
    }
}

impl std::fmt::Debug for Contexts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Contexts")
    }
}

/// So many contexts are joined one by one, which is remembered; more of them at once.
const MAX_PAIRWISE: usize = 4;

/// Collects the context of a string that is being made.
///
/// Contexts are joined at the end: a set for each step would take memory and time quadratic in their number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContextBuilder {
    first: ContextId,
    /// Further ones; some may be there more than once.
    more: Vec<ContextId>,
}

impl ContextBuilder {
    /// An empty one.
    pub const fn new() -> ContextBuilder {
        ContextBuilder { first: ContextId::NONE, more: Vec::new() }
    }
    /// Adds a context.
    #[inline]
    pub fn add(&mut self, id: ContextId) {
        if id.is_none() || id == self.first {
            return;
        }
        if self.first.is_none() {
            self.first = id;
        } else {
            self.add_more(id);
        }
    }
    fn add_more(&mut self, id: ContextId) {
        if self.more.last() == Some(&id) {
            return;
        }
        if self.more.len() == self.more.capacity() {
            // A million strings of two contexts need no million places.
            self.more.sort_unstable();
            self.more.dedup();
            self.more.reserve(self.more.len().max(4));
        }
        self.more.push(id);
    }
    /// Adds one element.
    pub fn add_element(&mut self, contexts: &Contexts, element: ContextElement) {
        self.add(contexts.one(element));
    }
    /// Whether nothing was collected.
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }
    /// What was collected.
    #[inline]
    pub fn finish(self, contexts: &Contexts) -> ContextId {
        if self.more.is_empty() { self.first } else { self.join(contexts) }
    }
    fn join(mut self, contexts: &Contexts) -> ContextId {
        if self.more.len() < MAX_PAIRWISE {
            return self.more.iter().fold(self.first, |all, &id| contexts.union(all, id));
        }
        self.more.push(self.first);
        contexts.join(&mut self.more)
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

    #[test]
    fn unions_have_the_elements_of_both_in_order() {
        let contexts = Contexts::default();
        let names = ["d", "b", "c", "a", "e"];
        let ids = names.map(|name| contexts.one(element(name)));
        let left = ids[..3].iter().fold(ContextId::NONE, |all, &id| contexts.union(all, id));
        let right = ids[2..].iter().fold(ContextId::NONE, |all, &id| contexts.union(all, id));
        let all = contexts.union(left, right);
        assert_eq!(*contexts.get(all), BTreeSet::from(names.map(element)));
        assert_eq!(contexts.union(right, left), all);
        assert_eq!(contexts.union(all, ids[0]), all);
        assert_eq!(*contexts.get(left), BTreeSet::from(["b", "c", "d"].map(element)));
        assert!(contexts.get(ContextId::NONE).is_empty());
    }

    #[test]
    fn a_builder_joins_as_unions_do() {
        let contexts = Contexts::default();
        let ids: Vec<_> = (0..9).map(|n| contexts.one(element(&n.to_string()))).collect();
        for n in 0..ids.len() {
            let mut builder = ContextBuilder::new();
            for &id in ids[..n].iter().chain(&ids[..n / 2]) {
                builder.add(ContextId::NONE);
                builder.add(id);
                builder.add(id);
            }
            assert_eq!(builder.is_empty(), n == 0);
            let union = ids[..n].iter().fold(ContextId::NONE, |all, &id| contexts.union(all, id));
            assert_eq!(builder.finish(&contexts), union, "{n}");
        }
    }

    #[test]
    fn a_builder_makes_one_set_of_many() {
        let contexts = Contexts::default();
        let ids: Vec<_> = (0..1_000).map(|n| contexts.one(element(&n.to_string()))).collect();
        let mut builder = ContextBuilder::new();
        for _ in 0..10 {
            ids.iter().for_each(|&id| builder.add(id));
        }
        assert!(builder.more.capacity() <= 4_096, "{} places", builder.more.capacity());
        let joined = builder.finish(&contexts);
        assert_eq!(contexts.get(joined).len(), ids.len());
        let table = contexts.table();
        // The empty set, one for each element, and the joined one.
        assert_eq!((table.ends.len(), table.members.len()), (ids.len() + 2, 2 * ids.len()));
    }
}
