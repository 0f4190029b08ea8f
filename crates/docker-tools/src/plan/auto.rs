//! The default strategy: large paths get layers of their own, with what only they need.
//!
//! Every path carries a *key*, the set of chosen large paths that it is grouped under; equal keys
//! share a layer. Paths are chosen in the order of their size while the layers last.

use std::collections::{BTreeMap, BTreeSet};

use nix_formats::store_path::StorePath;

use super::{Bits, Reach};
use crate::graph::Graph;

/// A set of chosen nodes, sorted.
type Key = Vec<usize>;

/// Spreads the paths of a graph over at most `budget` layers, which must be at least 1.
///
/// `ignored` paths take part in the decision and are left out of the answer.
///
/// Shape: each layer sorted by name and hash part; layers by the size of their closure, so that
/// a layer follows what it depends on. Cost: milliseconds for thousands of paths.
pub fn auto(graph: &Graph, ignored: &BTreeSet<StorePath>, budget: usize) -> Vec<Vec<StorePath>> {
    let reach = Reach::new(graph);
    let keys = choose(&reach, budget);
    let mut groups: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
    for (node, key) in keys.into_iter().enumerate() {
        groups.entry(key).or_default().push(node);
    }
    let mut layers: Vec<(u64, Key, Vec<usize>)> = Vec::new();
    for (key, mut nodes) in groups {
        // The size is that of the whole group: ignored paths count here too.
        let mut closure = Bits::new(reach.len());
        for &node in &nodes {
            closure.insert(node);
            closure.add_all(&reach.deps[node]);
        }
        let size = closure.iter().map(|node| reach.sizes[node]).sum();
        nodes.retain(|&node| !ignored.contains(reach.paths[node]));
        nodes.sort_by_key(|&node| reach.name_key(node));
        if !nodes.is_empty() {
            layers.push((size, key, nodes));
        }
    }
    // Numbers follow the order of paths, so comparing keys compares lists of paths.
    layers.sort();
    layers.iter().map(|(_, _, nodes)| reach.to_paths(nodes)).collect()
}

fn choose(reach: &Reach<'_>, budget: usize) -> Vec<Key> {
    let mut users = vec![Bits::new(reach.len()); reach.len()];
    for (node, deps) in reach.deps.iter().enumerate() {
        for dep in deps.iter() {
            users[dep].insert(node);
        }
    }
    let mut by_size: Vec<usize> = (0..reach.len()).collect();
    // Of equal sizes the greatest path is first.
    by_size.sort_by_key(|&node| std::cmp::Reverse((reach.sizes[node], node)));
    let mut keys = KeyTable::new(reach.len());
    for path in by_size {
        let mut undo = vec![(path, keys.set(path, vec![path]))];
        for dep in reach.deps[path].iter() {
            let mut key: Key =
                keys.of[dep].iter().copied().filter(|&node| !users[path].contains(node)).collect();
            if !key.iter().any(|&node| reach.deps[path].contains(node)) {
                key.push(path);
                key.sort_unstable();
            }
            undo.push((dep, keys.set(dep, key)));
        }
        if keys.counts.len() > budget {
            for (node, key) in undo.into_iter().rev() {
                keys.set(node, key);
            }
            break;
        }
    }
    keys.of
}

/// The keys of all nodes, and how many nodes have each.
struct KeyTable {
    of: Vec<Key>,
    counts: BTreeMap<Key, usize>,
}

impl KeyTable {
    fn new(n: usize) -> KeyTable {
        let counts = if n == 0 { BTreeMap::new() } else { BTreeMap::from([(Key::new(), n)]) };
        KeyTable { of: vec![Key::new(); n], counts }
    }

    /// Changes the key of a node and gives the old one.
    fn set(&mut self, node: usize, key: Key) -> Key {
        let old = std::mem::replace(&mut self.of[node], key.clone());
        if let Some(count) = self.counts.get_mut(&old) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&old);
            }
        }
        *self.counts.entry(key).or_default() += 1;
        old
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{WORKED_EXAMPLE, graph, show_groups};
    use expect_test::{Expect, expect};

    #[track_caller]
    fn check(text: &str, ignored: &[&str], budget: usize, expected: Expect) {
        let graph = graph(text);
        let ignored = graph
            .objects()
            .map(|(path, _)| path.clone())
            .filter(|path| ignored.contains(&path.name()))
            .collect();
        expected.assert_eq(&show_groups(&auto(&graph, &ignored, budget)));
    }

    #[track_caller]
    fn check_worked(budget: usize, expected: Expect) {
        check(WORKED_EXAMPLE, &["customisation", "base-json"], budget, expected);
    }

    #[test]
    fn the_worked_example_of_the_specification() {
        check_worked(
            2,
            expect![[r#"
            glibc libidn2 openssl python tzdata zlib
            app conf
        "#]],
        );
        check_worked(
            3,
            expect![[r#"
            glibc libidn2
            openssl python tzdata zlib
            app conf
        "#]],
        );
        for budget in [4, 5, 6] {
            check_worked(
                budget,
                expect![[r#"
                    glibc libidn2
                    openssl
                    python tzdata zlib
                    app conf
                "#]],
            );
        }
        check_worked(
            7,
            expect![[r#"
            tzdata
            glibc libidn2
            openssl
            python zlib
            app conf
        "#]],
        );
        check_worked(
            10,
            expect![[r#"
            conf
            libidn2
            tzdata
            glibc
            zlib
            openssl
            python
            app
        "#]],
        );
    }

    #[test]
    fn what_two_unrelated_paths_share_is_a_layer_of_its_own() {
        check(
            "a 10 -> c; b 9 -> c; c 1",
            &[],
            3,
            expect![[r#"
            c
            b
            a
        "#]],
        );
    }

    #[test]
    fn one_layer_holds_everything_and_no_path_makes_no_layer() {
        check(
            "a 10 -> c; b 9 -> c; c 1",
            &[],
            1,
            expect![[r#"
            a b c
        "#]],
        );
        check("", &[], 1, expect![""]);
    }

    #[test]
    fn every_path_is_in_exactly_one_layer() {
        let mut state = 9u64;
        let mut text = String::new();
        for i in 0..200 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            text += &format!("p{i} {}", state >> 50);
            if i > 2 {
                let (left, right) = ((state >> 33) as usize % i, (state >> 20) as usize % i);
                text += &format!(" -> p{left} p{right}");
            }
            text += ";";
        }
        let graph = graph(&text);
        for budget in [1, 2, 5, 50, 300] {
            let layers = auto(&graph, &BTreeSet::new(), budget);
            assert!(layers.len() <= budget);
            let mut paths: Vec<_> = layers.into_iter().flatten().collect();
            paths.sort();
            let all: Vec<_> = graph.objects().map(|(path, _)| path.clone()).collect();
            assert_eq!(paths, all);
        }
    }
}
