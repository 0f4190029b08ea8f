//! Addresses and names that users and repositories write, checked before `git` sees them.

use std::path::PathBuf;

use crate::error::StoreError;
use crate::http::{file_path, redacted, scheme};

/// Where a repository is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Location {
    /// On this machine.
    Here(PathBuf),
    /// An address for `git`.
    There(String),
}

/// Takes an address apart; only a short list of schemes is allowed.
pub(super) fn locate(url: &str) -> Result<Location, StoreError> {
    let fail = |reason: String| StoreError::Fetch { url: redacted(url), reason };
    if url.starts_with('/') {
        return Ok(Location::Here(PathBuf::from(url)));
    }
    let plain = url.strip_prefix("git+").unwrap_or(url);
    if let Some((_, _)) = plain.split_once("://") {
        return match scheme(plain).as_deref() {
            Some("file") => file_path(plain)
                .map(Location::Here)
                .ok_or_else(|| fail("a file URL has no host: write file:///absolute/path".into())),
            Some("http" | "https" | "ssh" | "git") => Ok(Location::There(plain.to_owned())),
            other => Err(fail(format!(
                "the scheme '{}' is not allowed for git; use https, http, ssh, git or file",
                other.unwrap_or("")
            ))),
        };
    }
    // `user@host:path`, as people write it for ssh. A second colon would be another helper's syntax.
    match plain.split_once(':') {
        Some((host, path))
            if host.contains('@') && !host.starts_with('-') && !path.starts_with(':') =>
        {
            Ok(Location::There(format!("ssh://{host}/{}", path.trim_start_matches('/'))))
        }
        _ => Err(fail("it is neither a URL nor an absolute path".into())),
    }
}

/// Refuses what is no full name of a commit.
pub(super) fn check_rev(url: &str, rev: &str) -> Result<(), StoreError> {
    if matches!(rev.len(), 40 | 64) && rev.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(());
    }
    let rev = rev.escape_debug();
    Err(StoreError::Fetch {
        url: redacted(url),
        reason: format!("'{rev}' is not a commit; `rev` needs all 40 hexadecimal digits"),
    })
}

/// The full name of a reference.
pub(super) fn full_ref(url: &str, name: &str) -> Result<String, StoreError> {
    let bad = name.is_empty()
        || name.starts_with(['-', '/', '.'])
        || name.ends_with(['/', '.'])
        || name.ends_with(".lock")
        || ["..", "//", "@{", "/."].iter().any(|part| name.contains(part))
        || name.contains(|c: char| c.is_control() || " ~^:?*[\\".contains(c));
    if bad {
        return Err(StoreError::Fetch {
            url: redacted(url),
            reason: format!("'{}' is not a name of a git reference", name.escape_debug()),
        });
    }
    Ok(match name {
        "HEAD" => name.to_owned(),
        _ if name.starts_with("refs/") => name.to_owned(),
        _ => format!("refs/heads/{name}"),
    })
}

/// The address of a submodule. One that begins with `./` or `../` is relative to `parent`, where the
/// repository that holds it came from.
pub(super) fn submodule_address(
    url: &str,
    parent: impl FnOnce() -> Result<Location, StoreError>,
) -> Result<Location, StoreError> {
    let is_relative =
        [".", ".."].contains(&url) || ["./", "../"].iter().any(|start| url.starts_with(start));
    if !is_relative {
        return locate(url);
    }
    let fail = || StoreError::Fetch {
        url: redacted(url),
        reason: "it leads above the root of the address that it is relative to".to_owned(),
    };
    match parent()? {
        Location::Here(mut dir) => {
            for part in url.split('/') {
                match part {
                    "" | "." => {}
                    ".." if dir.pop() => {}
                    ".." => return Err(fail()),
                    name => dir.push(name),
                }
            }
            Ok(Location::Here(dir))
        }
        Location::There(address) => {
            let start = address.find("://").map_or(0, |at| at + 3);
            let root = address[start..].find('/').map_or(address.len(), |at| start + at);
            let (server, path) = address.split_at(root);
            let mut parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
            for part in url.split('/') {
                match part {
                    "" | "." => {}
                    ".." => drop(parts.pop().ok_or_else(fail)?),
                    name => parts.push(name),
                }
            }
            Ok(Location::There(format!("{server}/{}", parts.join("/"))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_submodules_are_relative_to_where_their_parent_came_from() {
        let check = |parent: &str, url: &str, expected: &str| {
            let found = submodule_address(url, || locate(parent));
            let shown = match found {
                Ok(Location::Here(dir)) => dir.display().to_string(),
                Ok(Location::There(address)) => address,
                Err(error) => error.to_string(),
            };
            assert!(shown.contains(expected), "{parent} {url}: {shown}");
        };
        check("https://h:1/a/b.git", "../c", "https://h:1/a/c");
        check("https://h/a/b/", "../../c/d.git", "https://h/c/d.git");
        check("https://h/a", "./c", "https://h/a/c");
        check("https://h/a", "../../c", "above the root");
        check("git@h:a/b", "../c", "ssh://git@h/a/c");
        check("/r/top", "../sub", "/r/sub");
        check("file:///r/top", "../../../x", "above the root");
        check("/r/top", "https://h/x", "https://h/x");
        check("/r/top", "ext::sh -c x", "neither a URL");
        check("/r/top", "--upload-pack=x", "neither a URL");
        check("/r/top", "sub", "neither a URL");
    }
}
