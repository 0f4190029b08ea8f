//! Stacks with a weight, stored as the tree of their beginnings.

use std::hash::Hash;

use rustc_hash::FxHashMap;

/// Stacks of `K`.
#[derive(Clone, Debug)]
pub(super) struct Tree<K> {
    /// Node 0 is the empty stack; parents come before their children.
    nodes: Vec<Node<K>>,
    children: FxHashMap<(u32, K), u32>,
}

#[derive(Clone, Debug)]
struct Node<K> {
    parent: u32,
    /// `None` for the empty stack only.
    key: Option<K>,
    nanos: u64,
}

impl<K> Default for Tree<K> {
    fn default() -> Tree<K> {
        let root = Node { parent: 0, key: None, nanos: 0 };
        Tree { nodes: vec![root], children: FxHashMap::default() }
    }
}

impl<K: Copy + Eq + Hash> Tree<K> {
    /// The empty stack.
    pub(super) const ROOT: u32 = 0;

    /// The node of a stack with one more frame.
    pub(super) fn below(&mut self, parent: u32, key: K) -> u32 {
        *self.children.entry((parent, key)).or_insert_with(|| {
            self.nodes.push(Node { parent, key: Some(key), nanos: 0 });
            (self.nodes.len() - 1) as u32
        })
    }

    /// Adds to the time of a stack; gives what it had.
    pub(super) fn add(&mut self, node: u32, nanos: u64) -> u64 {
        let time = &mut self.nodes[node as usize].nanos;
        let before = *time;
        *time += nanos;
        before
    }

    /// Adds the stacks of another tree.
    pub(super) fn merge(&mut self, other: &Tree<K>) {
        let mut here = Vec::with_capacity(other.nodes.len());
        for node in &other.nodes {
            let at = match node.key {
                None => Self::ROOT,
                Some(key) => self.below(here[node.parent as usize], key),
            };
            self.add(at, node.nanos);
            here.push(at);
        }
    }

    /// The stacks that have a time, outermost frame first.
    pub(super) fn all(&self) -> impl Iterator<Item = (Vec<K>, u64)> {
        self.nodes.iter().filter(|node| node.nanos > 0).map(|node| {
            let mut stack = Vec::new();
            let mut at = node;
            while let Some(key) = at.key {
                stack.push(key);
                at = &self.nodes[at.parent as usize];
            }
            stack.reverse();
            (stack, node.nanos)
        })
    }
}
