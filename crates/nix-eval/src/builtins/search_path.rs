//! The search path: what `<x>` finds.

use crate::{
    builtins::{Builtin, Example, Run},
    error::{self, Error},
    host::{FetchRequest, NixPath},
    machine::{Coerce, Machine},
    value::{AccessorId, ContextBuilder, Value, View},
};

pub(super) const SEARCH_PATH: &[Builtin] = &[
    Builtin {
        name: "findFile",
        params: &["search-path", "lookup-path"],
        doc: "The first file called *lookup-path* below the entries of *search-path*, a list of `{ path; prefix; }`. `<x>` is `findFile nixPath \"x\"`.",
        examples: &[Example {
            source: r#"builtins.findFile [ ] "x""#,
            shows: "error: file 'x' was not found in the Nix search path (add it using $NIX_PATH or -I)",
        }],
        run: Run::Two(find_file_builtin),
    },
    Builtin {
        name: "nixPath",
        params: &[],
        doc: "The search path: a list of `{ path; prefix; }`. Empty in pure evaluation.",
        examples: &[Example { source: "builtins.isList builtins.nixPath", shows: "true" }],
        run: Run::Constant(nix_path),
    },
];

fn nix_path(m: &mut Machine) -> Result<Value, Error> {
    if m.options().pure_eval {
        return Ok(Value::EMPTY_LIST);
    }
    let entries = m.options().search_path.clone();
    let (path_name, prefix_name) = (m.symbol("path"), m.symbol("prefix"));
    let mut list = Vec::with_capacity(entries.len());
    for entry in entries {
        let path = match &entry.tree {
            Some(tree) => m.new_path(tree),
            None => m.new_text(&entry.path),
        };
        let prefix = m.new_text(&entry.prefix);
        let set = m.new_attrs(&[(path_name, path), (prefix_name, prefix)]);
        list.push(m.evaluated(set));
    }
    Ok(m.new_list(&list))
}

fn find_file_builtin(m: &mut Machine, list: Value, name: Value) -> Result<Value, Error> {
    let list = m.force_list(list, "the first argument of 'builtins.findFile'")?;
    let name = m.force_string_no_context(name, "the second argument of 'builtins.findFile'")?;
    find_file(m, list.value(), name.bytes())
}

/// The part of `name` behind an entry's prefix; `None` if the entry is not for it.
fn rest<'a>(prefix: &[u8], name: &'a [u8]) -> Option<&'a [u8]> {
    if prefix.is_empty() {
        return Some(name);
    }
    let rest = name.strip_prefix(prefix)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix(b"/") }
}

/// Looks `name` up in a list of `{ path; prefix; }`.
///
/// # Errors
/// Class `throw` when nothing is found; when an entry is not of this form.
pub fn find_file(m: &mut Machine, list: Value, name: &[u8]) -> Result<Value, Error> {
    let list = m.force_list(list, "the search path")?;
    let (path_name, prefix_name) = (m.symbol("path"), m.symbol("prefix"));
    for entry in list.iter() {
        m.poll()?;
        let entry = m.force_attrs(entry, "an entry of the search path")?;
        let prefix = match entry.get(prefix_name) {
            Some(prefix) => m.force_string(prefix, "the prefix of an entry")?.bytes().to_vec(),
            None => Vec::new(),
        };
        let path = entry
            .get(path_name)
            .ok_or_else(|| error::required_attr("path", "an entry of the search path"))?;
        let Some(rest) = rest(&prefix, name) else { continue };
        let Some(base) = entry_base(m, path)? else { continue };
        let found = if rest.is_empty() { base } else { below(&base, rest) };
        let exists = match m.metadata(&found, true) {
            Ok(found) => found.is_some(),
            Err(e) if e.class() == error::Class::Restricted && m.options().restrict_eval => false,
            Err(e) => return Err(e),
        };
        if exists {
            return Ok(m.new_path(&found));
        }
    }
    if name.starts_with(b"nix/")
        && let Some(tree) = m.tree_named("nix")
    {
        let text = crate::value::canonicalise(&name[3..]);
        return Ok(m.new_path(&NixPath { accessor: tree, text }));
    }
    if let Some(found) = in_nixlib(m, name) {
        return Ok(found);
    }
    let name = String::from_utf8_lossy(name);
    Err(if m.options().pure_eval {
        error::thrown(format!(
            "cannot look up '<{name}>' in pure evaluation mode (use '--impure' to override)"
        ))
    } else {
        error::thrown(format!(
            "file '{name}' was not found in the Nix search path (add it using $NIX_PATH or -I)"
        ))
    })
}

/// The embedded tree: always as `<nixlib>`, and as `<nixpkgs>` when nothing else provides that.
fn in_nixlib(m: &mut Machine, name: &[u8]) -> Option<Value> {
    let tree = m.tree_named("nixlib")?;
    let (is_nixpkgs, below) = match (rest(b"nixlib", name), rest(b"nixpkgs", name)) {
        (Some(below), _) => (false, below),
        (None, Some(below)) if m.options().use_nixlib => (true, below),
        _ => return None,
    };
    let mut text = b"/".to_vec();
    text.extend_from_slice(below);
    let found = NixPath { accessor: tree, text: crate::value::canonicalise(&text) };
    if !matches!(m.metadata(&found, true), Ok(Some(_))) {
        return None;
    }
    if is_nixpkgs {
        m.note(b"<nixpkgs> is not set; using the built-in nixlib (see docs/nixlib.md)");
    }
    Some(m.new_path(&found))
}

fn below(base: &NixPath, rest: &[u8]) -> NixPath {
    let mut text = base.text.clone();
    text.push(b'/');
    text.extend_from_slice(rest);
    NixPath { accessor: base.accessor, text: crate::value::canonicalise(&text) }
}

/// The directory that an entry stands for; `None` if it cannot be had (which was said).
fn entry_base(m: &mut Machine, path: Value) -> Result<Option<NixPath>, Error> {
    let path = m.force(path)?;
    if let View::Path(path) = path.view() {
        return Ok(Some(NixPath { accessor: path.accessor(), text: path.bytes().to_vec() }));
    }
    let mut context = ContextBuilder::new();
    let text = m.coerce_to_string(path, Coerce::PATH_TEXT, &mut context)?;
    let text = text.to_text();
    m.realise_context(context.finish(m.contexts()))?;
    if let Some(url) = as_url(&text) {
        let request =
            FetchRequest { url, name: "source".to_owned(), unpack: true, hash: None, git: None };
        let host = m.host_arc();
        return match host.fetch(&request, &m.host_cx()) {
            Ok(fetched) => {
                let text = host.store_dir().display(&fetched.path);
                m.allow_path(text.as_bytes());
                Ok(Some(NixPath { accessor: AccessorId(0), text: text.into_bytes() }))
            }
            Err(e) => {
                m.warn(
                    format!(
                        "Nix search path entry '{text}' cannot be downloaded, ignoring: {}",
                        e.message
                    )
                    .as_bytes(),
                );
                Ok(None)
            }
        };
    }
    if !text.starts_with('/') {
        // Entries given on a command line are made absolute there; others are relative to nothing.
        return Err(error::argument(format!("string '{text}' doesn't represent an absolute path")));
    }
    let canonical = crate::value::canonicalise(text.as_bytes());
    Ok(Some(NixPath { accessor: AccessorId(0), text: canonical }))
}

/// The address of a tarball, if the text of a search path entry or of an operand stands for one:
/// `https://x/y.tar.gz`, `channel:nixos-24.05`.
pub fn as_url(text: &str) -> Option<String> {
    if let Some(channel) = text.strip_prefix("channel:") {
        return Some(format!("https://channels.nixos.org/{channel}/nixexprs.tar.xz"));
    }
    let schemes = ["http://", "https://", "file://", "ssh://", "s3://", "git://"];
    schemes.iter().any(|s| text.starts_with(s)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_takes_whole_components() {
        assert_eq!(rest(b"", b"a/b"), Some(b"a/b".as_slice()));
        assert_eq!(rest(b"a", b"a/b"), Some(b"b".as_slice()));
        assert_eq!(rest(b"a", b"a"), Some(b"".as_slice()));
        assert_eq!(rest(b"a", b"ab"), None);
    }

    #[test]
    fn channels_are_tarballs() {
        assert_eq!(as_url("/a/b"), None);
        assert!(as_url("channel:nixos-18.03").is_some_and(|u| u.ends_with("nixexprs.tar.xz")));
    }
}
