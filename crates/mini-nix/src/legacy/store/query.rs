//! Questions about store paths.

use std::{collections::BTreeSet, path::Path};

use clap::ArgMatches;
use nix_formats::store_path::StorePath;
use nix_store::{Closure, LocalStore, Store, StoreError};

use super::QUERIES;
use crate::exit::Failure;

/// The store object that an operand names: a path in the store, or a link that leads to one.
///
/// # Errors
/// When it leads nowhere.
pub(crate) fn follow(store: &LocalStore, text: &str) -> Result<StorePath, Failure> {
    let mut at = std::path::absolute(text)?;
    for _ in 0..64 {
        if let Ok((path, _)) = store.store_dir().split(&at.to_string_lossy()) {
            return Ok(path);
        }
        let real = store.real_store_dir();
        if let Ok(rest) = at.strip_prefix(real)
            && let Some(first) = rest.components().next()
        {
            let name = first.as_os_str().to_string_lossy();
            return StorePath::from_base_name(&name)
                .map_err(|e| Failure::new(format!("'{text}': {e}")));
        }
        match std::fs::read_link(&at) {
            Ok(target) => at = at.parent().unwrap_or(Path::new("/")).join(target),
            Err(_) => break,
        }
    }
    Err(Failure::new(format!("path '{text}' is not in the Nix store")))
}

pub(super) fn query(
    store: &LocalStore,
    matches: &ArgMatches,
    operands: &[String],
) -> Result<u8, Failure> {
    let chosen: Vec<&str> = QUERIES.iter().map(|q| q.0).filter(|n| matches.get_flag(n)).collect();
    let question = match chosen[..] {
        [] => "outputs",
        [one] => one,
        _ => return Err(Failure::usage("mini-nix-store", "only one question can be asked")),
    };
    let fail = |e: StoreError| Failure::new(e);
    let mut paths = Vec::new();
    for operand in operands {
        let path = follow(store, operand)?;
        if (matches.get_flag("use-output") || question == "outputs") && path.is_derivation() {
            paths.extend(outputs(store, &path)?);
        } else {
            paths.push(path);
        }
    }
    let show = |path: &StorePath| println!("{}", store.display(path));
    match question {
        "outputs" => paths.iter().for_each(show),
        "requisites" => {
            let mut closure = Closure::of(store, &paths).map_err(fail)?;
            if matches.get_flag("include-outputs") {
                let mut roots = paths.clone();
                // Outputs can refer to derivations in their turn.
                loop {
                    let n = closure.paths().count();
                    let derivations: Vec<_> =
                        closure.paths().filter(|p| p.is_derivation()).cloned().collect();
                    for derivation in &derivations {
                        for output in outputs(store, derivation)? {
                            if store.is_valid(&output).map_err(fail)? {
                                roots.push(output);
                            }
                        }
                    }
                    closure = Closure::of(store, &roots).map_err(fail)?;
                    if closure.paths().count() == n {
                        break;
                    }
                }
            }
            closure.paths().for_each(show);
        }
        "references" => {
            for path in &paths {
                store.path_info(path).map_err(fail)?.references.iter().for_each(show);
            }
        }
        "referrers" | "referrers-closure" => {
            let mut found = BTreeSet::new();
            let mut todo = paths.clone();
            while let Some(path) = todo.pop() {
                store.path_info(&path).map_err(fail)?;
                if question == "referrers-closure" {
                    found.insert(path.clone());
                }
                for referrer in store.query_referrers(&path).map_err(fail)? {
                    if found.insert(referrer.clone()) && question == "referrers-closure" {
                        todo.push(referrer);
                    }
                }
            }
            found.iter().for_each(show);
        }
        "deriver" => {
            for path in &paths {
                match &store.path_info(path).map_err(fail)?.deriver {
                    Some(drv) => show(drv),
                    None => println!("unknown-deriver"),
                }
            }
        }
        "valid-derivers" => {
            for path in &paths {
                store.query_valid_derivers(path).map_err(fail)?.iter().for_each(show);
            }
        }
        "hash" => {
            for path in &paths {
                println!("{}", store.path_info(path).map_err(fail)?.nar_hash.to_prefixed_nix32());
            }
        }
        "size" => {
            for path in &paths {
                println!("{}", store.path_info(path).map_err(fail)?.nar_size);
            }
        }
        "tree" => {
            let mut seen = BTreeSet::new();
            for path in &paths {
                tree(store, path, &mut seen)?;
            }
        }
        _ => {
            let mut referrers: BTreeSet<StorePath> = BTreeSet::new();
            let mut todo = paths.clone();
            while let Some(path) = todo.pop() {
                if referrers.insert(path.clone()) {
                    todo.extend(store.query_referrers(&path).map_err(fail)?);
                }
            }
            for root in store.find_roots().map_err(fail)? {
                if referrers.contains(&root.path) {
                    println!("{} -> {}", root.link.display(), store.display(&root.path));
                }
            }
        }
    }
    Ok(0)
}

/// The output paths of a derivation, in order of their names.
pub(super) fn outputs(store: &LocalStore, drv: &StorePath) -> Result<Vec<StorePath>, Failure> {
    let drv = store.read_derivation(drv).map_err(Failure::new)?;
    Ok(drv.outputs.keys().filter_map(|o| drv.output_path(store.store_dir(), o)).collect())
}

/// Prints references as a tree; what was shown before is only named.
fn tree(
    store: &LocalStore,
    root: &StorePath,
    seen: &mut BTreeSet<StorePath>,
) -> Result<(), Failure> {
    // Each entry: what to print before the path, what to print before its children.
    let mut todo = vec![(root.clone(), String::new(), String::new())];
    while let Some((path, own, below)) = todo.pop() {
        let info = store.path_info(&path).map_err(Failure::new)?;
        let again = !seen.insert(path.clone());
        println!("{own}{}{}", store.display(&path), if again { " [...]" } else { "" });
        if again {
            continue;
        }
        let children: Vec<_> = info.references.iter().filter(|r| **r != path).collect();
        for (i, child) in children.iter().enumerate().rev() {
            let is_last = i + 1 == children.len();
            let own = format!("{below}{}", if is_last { "└───" } else { "├───" });
            let next = format!("{below}{}", if is_last { "    " } else { "│   " });
            todo.push(((*child).clone(), own, next));
        }
    }
    Ok(())
}
