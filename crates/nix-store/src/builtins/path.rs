//! `path` and `filterSource`: file trees become store objects.

use std::path::Path;

use nix_eval::{
    Error,
    builtins::{Builtin, Example, Run},
    error::{self, Class},
    host::{Addition, FileType, HostError, NixPath},
    machine::Machine,
    value::{ContextElement, ContextId, Value},
};
use nix_formats::{
    hash::{Hash, HashAlgo},
    store_path::{FileMethod, StorePath, check_name},
};

use super::session::store_host;
use crate::{
    add::TreeSource,
    error::StoreError,
    host::StoreHost,
    sys::{EntryType, FsTree},
};

pub(super) const PATH: &[Builtin] = &[
    Builtin {
        name: "filterSource",
        params: &["predicate", "path"],
        doc: "The store path of a copy of *path* without the entries for which *predicate* is false. It is called \
              with the absolute path of an entry, as a string, and what `readDir` says of it.",
        examples: &[Example {
            source: "builtins.filterSource 1 ./.",
            shows: "error: expected a function but found an integer: 1",
        }],
        run: Run::Two(filter_source),
    },
    Builtin {
        name: "path",
        params: &["args"],
        doc: "The store path of a copy of `path`, called `name`, filtered by `filter` as `filterSource` does. With \
              `recursive = false` it must be a file and is hashed as such; with `sha256` the hash is checked.",
        examples: &[Example {
            source: "builtins.path { path = /etc; colour = 1; }",
            shows: "error: unsupported argument 'colour' to 'builtins.path'",
        }],
        run: Run::One(path),
    },
];

/// What is to be added.
struct Wanted {
    path: NixPath,
    name: String,
    filter: Option<Value>,
    method: FileMethod,
    hash: Option<Hash>,
}

fn base_name(path: &NixPath) -> String {
    let base = path.text.rsplit(|&b| b == b'/').next().unwrap_or_default();
    String::from_utf8_lossy(base).into_owned()
}

fn filter_source(m: &mut Machine, predicate: Value, path: Value) -> Result<Value, Error> {
    let path = m.coerce_to_real_path(path)?;
    let filter = m.force_function(predicate, "the first argument of 'builtins.filterSource'")?;
    let name = base_name(&path);
    add(m, Wanted { path, name, filter: Some(filter), method: FileMethod::Nar, hash: None })
}

fn path(m: &mut Machine, args: Value) -> Result<Value, Error> {
    let args = m.force_attrs(args, "the argument of 'builtins.path'")?;
    let (mut path, mut name, mut filter, mut hash) = (None, None, None, None);
    let mut method = FileMethod::Nar;
    let symbols = m.symbol_table();
    for (attr, value) in args.iter_by_name(&symbols) {
        match symbols.name(attr) {
            b"path" => path = Some(m.coerce_to_real_path(value)?),
            b"name" => {
                let what = "the `name` attribute passed to 'builtins.path'";
                name = Some(m.force_string_no_context(value, what)?.to_text());
            }
            b"filter" => {
                let what = "the `filter` attribute passed to 'builtins.path'";
                filter = Some(m.force_function(value, what)?);
            }
            b"recursive" => {
                let what = "the `recursive` attribute passed to 'builtins.path'";
                method = match m.force_bool(value, what)? {
                    true => FileMethod::Nar,
                    false => FileMethod::Flat,
                };
            }
            b"sha256" => {
                let what = "the `sha256` attribute passed to 'builtins.path'";
                let text = m.force_string_no_context(value, what)?.to_text();
                let parsed = Hash::parse(&text, Some(HashAlgo::Sha256));
                hash = Some(parsed.map_err(|e| error::format(e.to_string()))?);
            }
            other => {
                let other = String::from_utf8_lossy(other);
                return Err(error::argument(format!(
                    "unsupported argument '{other}' to 'builtins.path'"
                )));
            }
        }
    }
    let path =
        path.ok_or_else(|| error::required_attr("path", "the first argument to 'builtins.path'"))?;
    let name = name.unwrap_or_else(|| base_name(&path));
    add(m, Wanted { path, name, filter, method, hash })
}

fn add(m: &mut Machine, wanted: Wanted) -> Result<Value, Error> {
    check_name(&wanted.name)
        .map_err(|e| error::format(format!("invalid store object name: {e}")))?;
    let asked = m.host_arc();
    let host = store_host(&*asked)?;
    let dir = m.store_dir();
    let expected = match &wanted.hash {
        Some(hash) => Some(
            dir.make_fixed_path(&wanted.name, wanted.method, hash, &Default::default(), false)
                .map_err(|e| error::argument(e.to_string()))?,
        ),
        None => None,
    };
    if let Some(expected) = &expected
        && asked.is_valid(expected)?
    {
        return Ok(object_value(m, expected.clone()));
    }
    m.check_readable(&wanted.path)?;
    if m.metadata(&wanted.path, false)?.is_none() {
        return Err(HostError::not_found(&wanted.path).into());
    }
    let added = match wanted.filter {
        None if wanted.method == FileMethod::Nar => {
            let object = Addition { name: &wanted.name, path: &wanted.path };
            asked.add_to_store(&object, &m.host_cx())?
        }
        None => {
            if asked.is_recorded() {
                asked.read_file(&wanted.path, &m.host_cx())?;
            }
            let tree = host.tree(&wanted.path)?;
            add_tree(host, &wanted, &*tree)?
        }
        Some(filter) => add_filtered(m, host, &wanted, filter)?,
    };
    if let Some(expected) = expected
        && expected != added
    {
        return Err(Error::new(
            Class::Store,
            format!(
                "store path mismatch in (possibly filtered) path added from '{}': expected '{}', got '{}'",
                wanted.path.to_text(),
                dir.display(&expected),
                dir.display(&added)
            ),
        ));
    }
    Ok(object_value(m, added))
}

fn object_value(m: &mut Machine, path: StorePath) -> Value {
    let text = m.store_dir().display(&path);
    m.allow_path(text.as_bytes());
    let context = m.contexts().one(ContextElement::Opaque(path));
    m.new_string(text.as_bytes(), context)
}

fn add_filtered(
    m: &mut Machine,
    host: &StoreHost,
    wanted: &Wanted,
    filter: Value,
) -> Result<StorePath, Error> {
    let real = host.locate(&wanted.path.to_os_path());
    note_entry(m, &wanted.path)?;
    // An error of the language ends the walk as an error of the store, and is put in its place below.
    let mut failure = None;
    let added = {
        let (failure, real) = (&mut failure, &real);
        let tree = FsTree::filtered(real.clone(), |entry: &Path, kind: EntryType| {
            let mut text = wanted.path.text.clone();
            let below = entry.strip_prefix(real).unwrap_or(entry).as_os_str().as_encoded_bytes();
            if !below.is_empty() {
                if text.last() != Some(&b'/') {
                    text.push(b'/');
                }
                text.extend_from_slice(below);
            }
            let answer = ask(m, filter, &text, kind).and_then(|wants| {
                if wants {
                    note_entry(m, &NixPath { accessor: wanted.path.accessor, text })?;
                }
                Ok(wants)
            });
            answer.map_err(|e| {
                *failure = Some(e);
                StoreError::invalid("a filter failed".to_owned())
            })
        });
        add_tree(host, wanted, &tree)
    };
    added.map_err(|e| failure.unwrap_or_else(|| e.into()))
}

fn add_tree(
    host: &StoreHost,
    wanted: &Wanted,
    tree: &dyn TreeSource,
) -> Result<StorePath, HostError> {
    Ok(host.add_tree(&wanted.name, tree, wanted.method, HashAlgo::Sha256)?)
}

/// Tells a host that records what is read of a filtered tree: of a directory the names, of the rest all.
fn note_entry(m: &mut Machine, path: &NixPath) -> Result<(), Error> {
    let host = m.host_arc();
    if !host.is_recorded() {
        return Ok(());
    }
    let cx = m.host_cx();
    match host.metadata(path, false, &cx)? {
        Some(found) if found.file_type == FileType::Directory => drop(host.read_dir(path, &cx)?),
        _ => drop(host.would_add(&Addition { name: "entry", path }, &cx)?),
    }
    Ok(())
}

/// Whether the predicate wants an entry.
fn ask(m: &mut Machine, filter: Value, path: &[u8], kind: EntryType) -> Result<bool, Error> {
    m.poll()?;
    let path = m.new_string(path, ContextId::NONE);
    let kind = m.new_text(match kind {
        EntryType::Regular => "regular",
        EntryType::Directory => "directory",
        EntryType::Symlink => "symlink",
        EntryType::Special => "unknown",
    });
    let answer = m.call(filter, &[path, kind])?;
    m.force_bool(answer, "the return value of the path filter function")
}
