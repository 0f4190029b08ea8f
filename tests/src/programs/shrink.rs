//! Makes a program that shows a difference smaller, as long as it still shows it.

use super::ast::{Expr, atom};

/// The smallest program found within `tries` questions to `differs`.
pub(crate) fn shrink(
    mut e: Expr,
    mut tries: usize,
    differs: &mut dyn FnMut(&Expr) -> bool,
) -> Expr {
    let mut size = e.size();
    loop {
        let mut smaller = None;
        'search: for n in 0..size {
            for candidate in candidates(&e, n) {
                if tries == 0 {
                    return e;
                }
                tries -= 1;
                if differs(&candidate) {
                    smaller = Some(candidate);
                    break 'search;
                }
            }
        }
        match smaller {
            Some(found) => {
                e = found;
                size = e.size();
            }
            None => return e,
        }
    }
}

/// Programs with expression `n` replaced by something smaller.
fn candidates(e: &Expr, n: usize) -> Vec<Expr> {
    let mut copy = e.clone();
    let Some(node) = copy.nth_mut(&mut n.clone()) else { return Vec::new() };
    let mut replacements: Vec<Expr> = node.children_mut().into_iter().map(|c| c.clone()).collect();
    // Atoms and the smallest values do not get smaller.
    if !matches!(node, Expr::Atom(_)) {
        for small in ["1", "\"\"", "[ ]", "{ }", "true", "(x: x)"] {
            replacements.push(atom(small));
        }
    }
    let mut shorter = |make: &mut dyn FnMut(&mut Expr, usize) -> bool| {
        for k in 0.. {
            let mut node = node.clone();
            if !make(&mut node, k) {
                break;
            }
            replacements.push(node);
        }
    };
    shorter(&mut |node, k| match node {
        Expr::List(items) => remove(items, k),
        Expr::Call(_, args) if args.len() > 1 => remove(args, k),
        Expr::Set { bindings, .. } | Expr::OldLet(bindings) | Expr::Let(bindings, _) => {
            remove(bindings, k)
        }
        Expr::Str(pieces) | Expr::Indented(pieces) => remove(pieces, k),
        Expr::Path(pieces) if k > 0 => remove(pieces, k),
        Expr::Select(_, _, default) if k == 0 => default.take().is_some(),
        _ => false,
    });
    if let Expr::Set { rec, bindings } = &*node
        && *rec
    {
        replacements.push(Expr::Set { rec: false, bindings: bindings.clone() });
    }
    replacements
        .into_iter()
        .filter_map(|replacement| {
            let mut copy = e.clone();
            *copy.nth_mut(&mut n.clone())? = replacement;
            Some(copy)
        })
        .collect()
}

fn remove<T>(items: &mut Vec<T>, k: usize) -> bool {
    let there = k < items.len();
    if there {
        items.remove(k);
    }
    there
}
