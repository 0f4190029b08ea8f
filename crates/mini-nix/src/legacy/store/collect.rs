//! Collections and checks of a store.

use clap::ArgMatches;
use nix_store::{
    LocalStore, Store, StoreError,
    local::{CollectOptions, Damage, VerifyOptions},
};

use crate::exit::Failure;

pub(super) fn gc(store: &LocalStore, matches: &ArgMatches) -> Result<u8, Failure> {
    let fail = |e: StoreError| Failure::new(e);
    let max_freed = match matches.get_one::<String>("max-freed") {
        Some(text) => Some(text.parse().map_err(|_| {
            Failure::usage(
                "mini-nix-store",
                format!("'--max-freed' is a number of bytes, not '{text}'"),
            )
        })?),
        None => None,
    };
    let options = CollectOptions { max_freed, ..CollectOptions::default() };
    if matches.get_flag("print-roots") {
        for root in store.find_roots().map_err(fail)? {
            println!("{} -> {}", root.link.display(), store.display(&root.path));
        }
    } else if matches.get_flag("print-live") {
        store
            .live_paths(&options)
            .map_err(fail)?
            .iter()
            .for_each(|p| println!("{}", store.display(p)));
    } else if matches.get_flag("print-dead") {
        store
            .dead_paths(&options)
            .map_err(fail)?
            .iter()
            .for_each(|p| println!("{}", store.display(p)));
    } else {
        return collect(store, &options);
    }
    Ok(0)
}

pub(super) fn collect(store: &LocalStore, options: &CollectOptions) -> Result<u8, Failure> {
    let collected = store.collect_garbage(options).map_err(Failure::new)?;
    for path in &collected.deleted {
        println!("{}", path.display());
    }
    let mebibytes = collected.bytes_freed as f64 / f64::from(1 << 20);
    eprintln!("{} store paths deleted, {mebibytes:.2} MiB freed", collected.deleted.len());
    Ok(0)
}

pub(super) fn verify(store: &LocalStore, contents: bool) -> Result<u8, Failure> {
    let options = VerifyOptions { check_contents: contents };
    let damage = store.verify(options, &mut |_| {}).map_err(Failure::new)?;
    for one in &damage {
        eprintln!("error: {}", describe(store, one));
    }
    Ok(u8::from(!damage.is_empty()))
}

/// What is wrong, as a sentence.
fn describe(store: &LocalStore, damage: &Damage) -> String {
    match damage {
        Damage::Database(complaint) => format!("the database is damaged: {complaint}"),
        Damage::Missing { path, needed_by } => {
            let path = store.display(path);
            match needed_by {
                Some(by) => {
                    format!(
                        "path '{path}' disappeared, but it still has valid referrers such as '{}'",
                        store.display(by)
                    )
                }
                None => format!("path '{path}' disappeared, removed from the database"),
            }
        }
        Damage::Modified { path, expected, got } => {
            format!(
                "path '{}' was modified! expected hash '{expected}', got '{got}'",
                store.display(path)
            )
        }
        Damage::Unreadable { path, reason } => {
            format!("cannot read path '{}': {reason}", store.display(path))
        }
        Damage::Link(link) => format!("link '{}' was modified and is removed", link.display()),
    }
}
