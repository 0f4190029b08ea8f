//! The older strategy: the paths that most others need come first, one layer each.

use nix_formats::store_path::StorePath;

use super::Reach;
use crate::graph::Graph;

/// Orders the paths of a graph by popularity, each as a group of its own.
///
/// For a set of children C, `contest(C)[d] = [d ∈ C] + Σ (contest(children(c))[d] + 1)` over
/// those c of C that reach d; the popularity of d is `contest(roots)[d]`. Equal ones are ordered
/// by name and hash part. Cost: paths times references.
pub fn popularity(graph: &Graph) -> Vec<Vec<StorePath>> {
    let reach = Reach::new(graph);
    let mut is_root = vec![true; reach.len()];
    for child in reach.children.iter().flatten() {
        is_root[*child] = false;
    }
    let roots: Vec<usize> = (0..reach.len()).filter(|&node| is_root[node]).collect();
    let mut scored: Vec<(u128, usize)> = Vec::new();
    // Counts grow with the number of ways through the graph; at the top they stop growing.
    let mut below = vec![0u128; reach.len()];
    for target in 0..reach.len() {
        let contest = |children: &[usize], below: &[u128]| {
            children.iter().fold(0u128, |sum, &child| {
                let own = u128::from(child == target);
                let deeper = if reach.deps[child].contains(target) {
                    below[child].saturating_add(1)
                } else {
                    0
                };
                sum.saturating_add(own).saturating_add(deeper)
            })
        };
        for &node in &reach.order {
            below[node] = contest(&reach.children[node], &below);
        }
        scored.push((contest(&roots, &below), target));
    }
    scored.sort_by_key(|&(score, node)| (std::cmp::Reverse(score), reach.name_key(node)));
    scored.iter().map(|&(_, node)| reach.to_paths(&[node])).collect()
}

/// Keeps the first groups and merges the rest into the last of `n`, which must be at least 1.
pub fn limit(mut groups: Vec<Vec<StorePath>>, n: usize) -> Vec<Vec<StorePath>> {
    if groups.len() > n {
        let rest = groups.split_off(n.saturating_sub(1)).into_iter().flatten().collect();
        groups.push(rest);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{WORKED_EXAMPLE, graph, show_groups};
    use expect_test::expect;
    use std::collections::BTreeSet;

    #[test]
    fn the_example_of_the_specification() {
        let graph = graph(WORKED_EXAMPLE);
        let kept: BTreeSet<_> = graph
            .objects()
            .map(|(path, _)| path.clone())
            .filter(|path| !matches!(path.name(), "customisation" | "base-json"))
            .collect();
        let groups = popularity(&graph.part(&kept));
        expect![[r#"
            libidn2
            glibc
            openssl
            tzdata
            zlib
            conf
            python
            app
        "#]]
        .assert_eq(&show_groups(&groups));
        expect![[r#"
            libidn2
            glibc
            openssl
            tzdata zlib conf python app
        "#]]
        .assert_eq(&show_groups(&limit(groups, 4)));
    }

    #[test]
    fn the_second_check_of_the_specification() {
        let graph = graph("A 1 -> B G; B 1 -> C E; C 1 -> D E; D 1 -> F; E 1 -> F; F 1; G 1");
        expect![[r#"
            F
            E
            D
            C
            B
            G
            A
        "#]]
        .assert_eq(&show_groups(&popularity(&graph)));
    }

    #[test]
    fn more_ways_than_a_number_holds_do_not_wrap() {
        let mut text = "p0 1;".to_owned();
        for level in 0..140 {
            let (a, b, below) = (2 * level + 1, 2 * level + 2, 2 * level);
            let extra = if level == 0 { String::new() } else { format!(" p{}", below - 1) };
            text += &format!("p{a} 1 -> p{below}{extra};p{b} 1 -> p{below}{extra};");
        }
        let groups = popularity(&graph(&text));
        assert_eq!(groups.len(), 281);
        assert_eq!(groups[0][0].name(), "p0");
    }
}
