//! Where packages come from: an expression, a folder of expressions, or the manifest of a profile.

use std::{collections::BTreeSet, path::Path};

use clap::ArgMatches;
use nix_eval::{Handle, error, value::Value};

use crate::{args, exit::Failure, files, open, open::Session};

/// Expressions in a folder; C++ Nix has the same limit.
const MAX_EXPRESSIONS: usize = 1024;
/// Folders in folders. Links may lead in circles.
const MAX_FOLDERS: usize = 64;

/// What `-f` names, else `~/.nix-defexpr`.
///
/// # Errors
/// Nothing there, or what the evaluation says.
pub(super) fn available(session: &Session, matches: &ArgMatches) -> Result<Handle, Failure> {
    let path = match args::many(matches, "file").pop() {
        Some(word) => files::path_of(session, &word)?,
        None => {
            let home = std::env::var("HOME").unwrap_or_default();
            let default = Path::new(&home).join(".nix-defexpr");
            if !default.exists() {
                return Err(Failure::new(format!(
                    "there is no '{}': say which expression to list with '-f FILE'",
                    default.display()
                )));
            }
            open::nix_path(&default)
        }
    };
    let text = String::from_utf8_lossy(&path.text).into_owned();
    let folder = Path::new(&text);
    session.look_at(&path);
    session.look_at(&path.join(b"default.nix"));
    if path.accessor.0 != 0 || !folder.is_dir() || is_expression(folder) {
        return session.evaluator.import(&path).map_err(|e| session.failure(&e));
    }
    session.keep_nothing("a folder of expressions");
    let mut found = Vec::new();
    collect(folder, 0, &mut BTreeSet::new(), &mut found)?;
    let set = session.evaluator.handle(|m| {
        let import = m.builtin("import").ok_or_else(|| error::argument("there is no 'import'"))?;
        let mut set = m.attrs_builder(found.len() + 1);
        set.push(m.symbol("_combineChannels"), Value::EMPTY_LIST, None);
        for (name, path) in &found {
            let path = m.new_text(path);
            let v = m.delay_call(import, &[path]);
            set.push(m.symbol(name), v, None);
        }
        Ok(m.finish_attrs(set))
    });
    set.map_err(|e| session.failure(&e))
}

fn is_expression(path: &Path) -> bool {
    path.is_file() || path.join("default.nix").exists()
}

/// Names and paths of the expressions below a folder; folders without `default.nix` are entered.
fn collect(
    folder: &Path,
    depth: usize,
    names: &mut BTreeSet<String>,
    found: &mut Vec<(String, String)>,
) -> Result<(), Failure> {
    let wrong = |e| Failure::new(format!("cannot read the folder '{}': {e}", folder.display()));
    let mut entries = BTreeSet::new();
    for entry in std::fs::read_dir(folder).map_err(wrong)? {
        entries.insert(entry.map_err(wrong)?.file_name());
    }
    for name in entries {
        let path = folder.join(&name);
        // The manifest of a profile is no collection; a link that leads nowhere is none either.
        let (Some(name), Some(text)) = (name.to_str(), path.to_str()) else { continue };
        if name == "manifest.nix" || !path.exists() {
            continue;
        }
        let is_nix = name.ends_with(".nix");
        if is_expression(&path) && (path.is_dir() || is_nix) {
            let name = name.strip_suffix(".nix").unwrap_or(name);
            if !names.insert(name.to_owned()) {
                eprintln!("warning: name collision in input Nix expressions, skipping '{text}'");
                continue;
            }
            if names.len() >= MAX_EXPRESSIONS {
                let folder = folder.display();
                return Err(Failure::new(format!(
                    "too many Nix expressions in directory '{folder}'"
                )));
            }
            found.push((name.to_owned(), text.to_owned()));
        } else if path.is_dir() && depth < MAX_FOLDERS {
            collect(&path, depth + 1, names, found)?;
        }
    }
    Ok(())
}

/// The manifest of the profile that `-p`, `NIX_PROFILE` or the home directory names; `None` if it has none.
///
/// # Errors
/// A profile of another kind, or what the evaluation says.
pub(super) fn installed(
    session: &Session,
    matches: &ArgMatches,
) -> Result<Option<Handle>, Failure> {
    let named = args::many(matches, "profile").pop();
    let named = named.or_else(|| std::env::var("NIX_PROFILE").ok().filter(|p| !p.is_empty()));
    let profile = named
        .unwrap_or_else(|| format!("{}/.nix-profile", std::env::var("HOME").unwrap_or_default()));
    let folder = Path::new(&profile);
    if folder.join("manifest.json").exists() {
        return Err(Failure::new(format!(
            "the profile '{profile}' was made by 'nix profile', which has no manifest that can be queried"
        )));
    }
    let manifest = folder.join("manifest.nix");
    if !manifest.exists() {
        return Ok(None);
    }
    let root = session.evaluator.import(&open::nix_path(&manifest));
    root.map(Some).map_err(|e| session.failure(&e))
}
