//! Fetchers: files, archives and repositories from elsewhere.
//!
//! What may be fetched is decided here, fetching itself is the host's.

use nix_eval::{
    Error,
    builtins::{Builtin, Example, Run},
    error::{self, Class},
    host::{FetchRequest, Fetched, GitFacts, GitRequest, NixPath},
    machine::{Coerce, Machine},
    value::{AttrsBuilder, ContextBuilder, ContextElement, ContextId, Value, View},
};
use nix_formats::{
    hash::{Hash, HashAlgo},
    store_path::check_name,
};

use crate::{
    fetch::is_allowed,
    http::{base_name, file_path},
};

pub(super) const FETCH: &[Builtin] = &[
    Builtin {
        name: "fetchurl",
        params: &["arg"],
        doc: "The store path of the file at a URL. *arg* is the URL or a set of `url`, `sha256` (of the file) and \
              `name`. Without a hash the answer is kept for `tarball-ttl` seconds.",
        examples: &[Example {
            source: "builtins.fetchurl { }",
            shows: "error: 'url' argument required",
        }],
        run: Run::One(fetch_url),
    },
    Builtin {
        name: "fetchTarball",
        params: &["args"],
        doc: "The store path of the unpacked archive at a URL, without its single top directory. *args* is the URL \
              or a set of `url`, `sha256` (of the NAR) and `name`, which is `source` by default.",
        examples: &[Example {
            source: r#"fetchTarball { url = "file:///x"; colour = 1; }"#,
            shows: "error: unsupported argument 'colour' to 'fetchTarball'",
        }],
        run: Run::One(fetch_tarball),
    },
    Builtin {
        name: "fetchGit",
        params: &["args"],
        doc: "The tree of a git repository. *args* is a URL, a path, or a set of `url`, `name`, `rev`, `ref`, \
              `shallow`, `allRefs`, `submodules` (whether their trees are part of it) and `exportIgnore` (whether \
              files that are marked so are left out, as they are unless `submodules` is set). Of a work tree with \
              changes, the tracked files as they lie.",
        examples: &[Example {
            source: r#"fetchGit { url = "/x"; colour = 1; }"#,
            shows: "error: unsupported argument 'colour' to 'fetchGit'",
        }],
        run: Run::One(fetch_git),
    },
    Builtin {
        name: "fetchMercurial",
        params: &["args"],
        doc: "Not supported: always an error.",
        examples: &[Example {
            source: r#"fetchMercurial "https://host/x""#,
            shows: "error: 'fetchMercurial' is not supported; fetch an archive of the repository with 'fetchTarball'",
        }],
        run: Run::One(fetch_mercurial),
    },
];

fn fetch_url(m: &mut Machine, args: Value) -> Result<Value, Error> {
    fetch(m, "fetchurl", false, args)
}

fn fetch_tarball(m: &mut Machine, args: Value) -> Result<Value, Error> {
    fetch(m, "fetchTarball", true, args)
}

fn fetch_mercurial(_: &mut Machine, _: Value) -> Result<Value, Error> {
    Err(Error::new(
        Class::Feature,
        "'fetchMercurial' is not supported; fetch an archive of the repository with 'fetchTarball'",
    ))
}

fn unsupported(name: &[u8], who: &str) -> Error {
    let name = String::from_utf8_lossy(name);
    error::argument(format!("unsupported argument '{name}' to '{who}'"))
}

fn fetch(m: &mut Machine, who: &str, unpack: bool, args: Value) -> Result<Value, Error> {
    let args = m.force(args)?;
    let (mut url, mut hash, mut name) = (None, None, None);
    if let View::Attrs(attrs) = args.view() {
        let symbols = m.symbol_table();
        for (attr, value) in attrs.iter_by_name(&symbols) {
            let key = symbols.name(attr);
            let what =
                format!("the `{}` attribute passed to '{who}'", String::from_utf8_lossy(key));
            match key {
                b"url" => url = Some(m.force_string_no_context(value, &what)?.to_text()),
                b"sha256" => {
                    let text = m.force_string_no_context(value, &what)?.to_text();
                    hash = parse_hash(m, &text)?;
                }
                b"name" => name = Some(m.force_string_no_context(value, &what)?.to_text()),
                other => return Err(unsupported(other, who)),
            }
        }
    } else {
        let what = format!("the argument of '{who}'");
        url = Some(m.force_string_no_context(args, &what)?.to_text());
    }
    let url = url.ok_or_else(|| error::argument("'url' argument required"))?;
    let url = match url.strip_prefix("channel:") {
        Some(channel) => format!("https://channels.nixos.org/{channel}/nixexprs.tar.xz"),
        None => url,
    };
    let name = name.unwrap_or_else(|| match unpack {
        true => "source".to_owned(),
        false => base_name(&url).to_owned(),
    });
    check_name(&name).map_err(|e| {
        error::format(format!("invalid store object name: {e}")).hint("give a `name`")
    })?;
    check_uri(m, &url)?;
    if m.options().pure_eval && hash.is_none() {
        return Err(Error::new(
            Class::Restricted,
            format!("in pure evaluation mode, '{who}' requires a 'sha256' argument"),
        ));
    }
    let fetched = ask(m, FetchRequest { url, name, unpack, hash, git: None })?;
    Ok(object(m, &fetched))
}

/// A hash; the empty text stands for one that is not known yet, and matches nothing.
fn parse_hash(m: &Machine, text: &str) -> Result<Option<Hash>, Error> {
    if text.is_empty() {
        let zero = Hash::sha256([0; 32]);
        m.warn(format!("found empty hash, assuming '{}'", zero.to_sri()).as_bytes());
        return Ok(Some(zero));
    }
    Hash::parse(text, Some(HashAlgo::Sha256)).map(Some).map_err(|e| error::format(e.to_string()))
}

fn ask(m: &mut Machine, request: FetchRequest) -> Result<Fetched, Error> {
    let host = m.host_arc();
    let fetched = host.fetch(&request, &m.host_cx())?;
    m.allow_path(host.store_dir().display(&fetched.path).as_bytes());
    Ok(fetched)
}

fn object(m: &mut Machine, fetched: &Fetched) -> Value {
    let text = m.store_dir().display(&fetched.path);
    let context = m.contexts().one(ContextElement::Opaque(fetched.path.clone()));
    m.new_string(text.as_bytes(), context)
}

/// Refuses what restricted evaluation may not fetch.
fn check_uri(m: &mut Machine, url: &str) -> Result<(), Error> {
    if !m.options().restrict_eval || is_allowed(&m.options().allowed_uris, url) {
        return Ok(());
    }
    let path = if url.starts_with('/') {
        Some(url.as_bytes().to_vec())
    } else if url.starts_with("file://") {
        file_path(url).map(|p| p.into_os_string().into_encoded_bytes())
    } else {
        None
    };
    match path {
        Some(path) => {
            let path = nix_eval::value::canonicalise(&path);
            m.check_readable(&NixPath::root(path))
        }
        None => Err(Error::new(
            Class::Restricted,
            format!(
                "access to URI '{url}' is forbidden in restricted mode; see the setting 'allowed-uris'"
            ),
        )),
    }
}

fn fetch_git(m: &mut Machine, args: Value) -> Result<Value, Error> {
    const WHO: &str = "fetchGit";
    let args = m.force(args)?;
    let mut url = None;
    let mut name = "source".to_owned();
    let mut hash = None;
    let mut git = GitRequest::default();
    let mut export_ignore = None;
    if let View::Attrs(attrs) = args.view() {
        let symbols = m.symbol_table();
        for (attr, value) in attrs.iter_by_name(&symbols) {
            let key = symbols.name(attr);
            let text = String::from_utf8_lossy(key);
            let what = format!("the `{text}` attribute passed to '{WHO}'");
            match key {
                b"url" => url = Some(location(m, value)?),
                b"name" => name = m.force_string_no_context(value, &what)?.to_text(),
                b"rev" => {
                    let rev = m.force_string_no_context(value, &what)?.to_text();
                    // An empty text is no commit.
                    git.rev = Some(rev).filter(|rev| !rev.is_empty());
                }
                b"ref" => {
                    git.reference = Some(m.force_string_no_context(value, &what)?.to_text());
                }
                b"narHash" => {
                    let text = m.force_string_no_context(value, &what)?.to_text();
                    hash = parse_hash(m, &text)?;
                }
                b"shallow" => git.shallow = m.force_bool(value, &what)?,
                b"allRefs" => git.all_refs = m.force_bool(value, &what)?,
                b"submodules" => git.submodules = m.force_bool(value, &what)?,
                b"exportIgnore" => export_ignore = Some(m.force_bool(value, &what)?),
                b"lfs" | b"verifyCommit" => {
                    if m.force_bool(value, &what)? {
                        return Err(not_supported(&format!("{text} = true")));
                    }
                }
                b"publicKey" | b"publicKeys" | b"keytype" => return Err(not_supported(&text)),
                other => return Err(unsupported(other, WHO)),
            }
        }
    } else {
        url = Some(location(m, args)?);
    }
    let url = url.ok_or_else(|| error::argument("'url' argument required"))?;
    check_name(&name).map_err(|e| error::format(format!("invalid store object name: {e}")))?;
    check_uri(m, &url)?;
    if m.options().pure_eval && git.rev.is_none() && hash.is_none() {
        return Err(Error::new(
            Class::Restricted,
            "in pure evaluation mode, 'fetchGit' requires a 'rev' argument",
        ));
    }
    if git.submodules && export_ignore == Some(true) {
        return Err(error::argument(
            "`exportIgnore` and `submodules` cannot be used together with 'fetchGit'",
        ));
    }
    git.keep_ignored = !export_ignore.unwrap_or(!git.submodules);
    git.allowed_uris = m.options().restrict_eval.then(|| m.options().allowed_uris.clone());
    let submodules = git.submodules;
    let request = FetchRequest { url, name, unpack: true, hash, git: Some(git) };
    let shown = request.url.clone();
    let fetched = ask(m, request)?;
    let Some(facts) = fetched.git.clone() else {
        return Err(Error::new(Class::Store, "the host fetched no git repository"));
    };
    if facts.is_dirty {
        m.warn(format!("Git tree '{shown}' is dirty").as_bytes());
    }
    Ok(git_value(m, &fetched, &facts, submodules))
}

fn not_supported(what: &str) -> Error {
    Error::new(
        Class::Feature,
        format!("`{what}` is not supported by 'fetchGit'; use a fixed-output derivation"),
    )
}

/// A URL, or the absolute text of a path.
fn location(m: &mut Machine, value: Value) -> Result<String, Error> {
    let value = m.force(value)?;
    if let View::Path(_) = value.view() {
        let mut context = ContextBuilder::new();
        return Ok(m.coerce_to_path(value, &mut context)?.to_text());
    }
    let mut context = ContextBuilder::new();
    let text = m.coerce_to_string(value, Coerce::PATH_TEXT, &mut context)?.to_text();
    m.realise_context(context.finish(m.contexts()))?;
    Ok(text)
}

const NO_REV: &str = "0000000000000000000000000000000000000000";

fn git_value(m: &mut Machine, fetched: &Fetched, facts: &GitFacts, submodules: bool) -> Value {
    let rev = facts.rev.as_deref().filter(|_| !facts.is_dirty).unwrap_or(NO_REV);
    let path = object(m, fetched);
    let mut attrs = m.attrs_builder(10);
    push(m, &mut attrs, "outPath", path);
    let mut text = |m: &mut Machine, name: &str, text: &str| {
        let value = m.new_string(text.as_bytes(), ContextId::NONE);
        push(m, &mut attrs, name, value);
    };
    text(m, "rev", rev);
    text(m, "shortRev", &rev[..7]);
    text(m, "narHash", &fetched.hash.to_sri());
    text(m, "lastModifiedDate", &compact_date(facts.last_modified));
    if let Some(rev) = facts.rev.as_deref().filter(|_| facts.is_dirty) {
        text(m, "dirtyRev", &format!("{rev}-dirty"));
        text(m, "dirtyShortRev", &format!("{}-dirty", &rev[..7]));
    }
    let n_commits = i64::try_from(facts.n_commits.unwrap_or(0)).unwrap_or(i64::MAX);
    let n_commits = m.new_int(n_commits);
    push(m, &mut attrs, "revCount", n_commits);
    let last_modified = m.new_int(facts.last_modified);
    push(m, &mut attrs, "lastModified", last_modified);
    push(m, &mut attrs, "submodules", Value::bool(submodules));
    m.finish_attrs(attrs)
}

fn push(m: &Machine, attrs: &mut AttrsBuilder, name: &str, value: Value) {
    attrs.push(m.symbol(name), value, None);
}

/// `YYYYMMDDhhmmss` in UTC.
fn compact_date(seconds: i64) -> String {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days are counted from 1 March of year 0, so that leap days come last in their year.
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(compact_date(0), "19700101000000");
        assert_eq!(compact_date(1_577_934_245), "20200102030405");
        assert_eq!(compact_date(951_782_399), "20000228235959");
        assert_eq!(compact_date(951_782_400), "20000229000000");
        assert_eq!(compact_date(-1), "19691231235959");
    }
}
