//! Which store paths share a layer: pure functions from a graph to groups of paths.
//!
//! Every path is in exactly one group; groups are ordered as their layers are, lowest first.

mod auto;
mod popularity;

use std::collections::BTreeMap;

use nix_formats::store_path::StorePath;

pub use auto::auto;
pub use popularity::{limit, popularity};

use crate::graph::Graph;

/// A graph with numbers for paths and all reachabilities.
///
/// Shape: nodes are numbered in the order of their paths.
struct Reach<'a> {
    paths: Vec<&'a StorePath>,
    sizes: Vec<u64>,
    /// Node → nodes that it refers to.
    children: Vec<Vec<usize>>,
    /// Nodes, each after all that it refers to.
    order: Vec<usize>,
    /// Node → everything below it, itself excepted.
    deps: Vec<Bits>,
}

impl<'a> Reach<'a> {
    fn new(graph: &'a Graph) -> Reach<'a> {
        let paths: Vec<&StorePath> = graph.objects().map(|(path, _)| path).collect();
        let numbers: BTreeMap<&StorePath, usize> =
            paths.iter().enumerate().map(|(i, path)| (*path, i)).collect();
        let mut sizes = Vec::new();
        let mut children: Vec<Vec<usize>> = Vec::new();
        for (_, object) in graph.objects() {
            sizes.push(object.nar_size);
            children.push(object.references.iter().map(|path| numbers[path]).collect());
        }
        let order = bottom_up(&children);
        let mut deps = vec![Bits::new(paths.len()); paths.len()];
        for &node in &order {
            let mut below = Bits::new(paths.len());
            for &child in &children[node] {
                below.insert(child);
                below.add_all(&deps[child]);
            }
            below.remove(node);
            deps[node] = below;
        }
        Reach { paths, sizes, children, order, deps }
    }

    fn len(&self) -> usize {
        self.paths.len()
    }

    fn to_paths(&self, nodes: &[usize]) -> Vec<StorePath> {
        nodes.iter().map(|&node| self.paths[node].clone()).collect()
    }

    /// What a path is sorted by inside a layer: the name, then the hash part.
    fn name_key(&self, node: usize) -> (&str, &str) {
        (self.paths[node].name(), self.paths[node].hash_part())
    }
}

/// Orders nodes so that each comes after its children. Cycles, which a store forbids, are cut.
fn bottom_up(children: &[Vec<usize>]) -> Vec<usize> {
    let mut order = Vec::with_capacity(children.len());
    let mut seen = vec![false; children.len()];
    for start in 0..children.len() {
        let mut pending = vec![(start, false)];
        while let Some((node, expanded)) = pending.pop() {
            if expanded {
                order.push(node);
            } else if !std::mem::replace(&mut seen[node], true) {
                pending.push((node, true));
                pending.extend(children[node].iter().map(|&child| (child, false)));
            }
        }
    }
    order
}

/// A set of small numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Bits(Vec<u64>);

impl Bits {
    fn new(n: usize) -> Bits {
        Bits(vec![0; n.div_ceil(64)])
    }

    fn insert(&mut self, i: usize) {
        self.0[i / 64] |= 1 << (i % 64);
    }

    fn remove(&mut self, i: usize) {
        self.0[i / 64] &= !(1 << (i % 64));
    }

    fn contains(&self, i: usize) -> bool {
        self.0[i / 64] >> (i % 64) & 1 == 1
    }

    fn add_all(&mut self, other: &Bits) {
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            *word |= more;
        }
    }

    fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(i, &word)| {
            (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| i * 64 + bit)
        })
    }
}
