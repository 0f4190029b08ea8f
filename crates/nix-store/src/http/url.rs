//! The little of URLs that fetching needs.

use std::ffi::OsString;
use std::net::IpAddr;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// The scheme in lower case, if the text begins with one.
pub fn scheme(url: &str) -> Option<String> {
    let (scheme, _) = url.split_once(':')?;
    let mut bytes = scheme.bytes();
    let ok = bytes.next().is_some_and(|b| b.is_ascii_alphabetic())
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    ok.then(|| scheme.to_ascii_lowercase())
}

/// What stands between `//` and the path.
fn authority(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    Some(rest.split(['/', '?', '#']).next().unwrap_or(rest))
}

/// The host in lower case, without port and brackets.
pub(super) fn host(url: &str) -> Option<String> {
    let authority = authority(url)?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.split(':').next().unwrap_or(host),
    };
    Some(host.to_ascii_lowercase())
}

/// Whether the host is a link-local address: there live the secrets of cloud machines.
pub(super) fn is_link_local(url: &str) -> bool {
    match host(url).and_then(|h| h.parse::<IpAddr>().ok()) {
        Some(IpAddr::V4(ip)) => ip.is_link_local(),
        Some(IpAddr::V6(ip)) => {
            ip.is_unicast_link_local() || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_link_local())
        }
        None => false,
    }
}

/// The URL without a password, for messages.
pub fn redacted(url: &str) -> String {
    let Some(authority) = authority(url) else { return url.to_owned() };
    match authority.rsplit_once('@') {
        Some((user, host)) if user.contains(':') => {
            let name = user.split(':').next().unwrap_or(user);
            url.replacen(authority, &format!("{name}:***@{host}"), 1)
        }
        _ => url.to_owned(),
    }
}

/// The last component of the path: the name that a fetched file gets by default.
pub fn base_name(url: &str) -> &str {
    let path = url.trim_end_matches('/');
    path.rsplit('/').next().unwrap_or(path)
}

/// The address that `target`, absolute or relative, means on the page at `url`.
pub fn resolve(url: &str, target: &str) -> String {
    let target = target.split('#').next().unwrap_or(target);
    if scheme(target).is_some() {
        return target.to_owned();
    }
    let (Some(scheme), Some(authority)) = (url.split_once("://"), authority(url)) else {
        return target.to_owned();
    };
    let scheme = scheme.0;
    if let Some(rest) = target.strip_prefix("//") {
        return format!("{scheme}://{rest}");
    }
    let after = &url[scheme.len() + 3 + authority.len()..];
    let path = after.split(['?', '#']).next().unwrap_or(after);
    if target.starts_with('?') {
        return format!("{scheme}://{authority}{path}{target}");
    }
    let joined = if target.starts_with('/') {
        target.to_owned()
    } else {
        let parent = path.rfind('/').map_or("", |end| &path[..end]);
        format!("{parent}/{target}")
    };
    let (path, query) = match joined.find('?') {
        Some(at) => joined.split_at(at),
        None => (&joined[..], ""),
    };
    let mut parts = Vec::new();
    for part in path.split('/').skip(1) {
        match part {
            "." => {}
            ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    if path.ends_with("/.") || path.ends_with("/..") {
        parts.push("");
    }
    format!("{scheme}://{authority}/{}{query}", parts.join("/"))
}

/// The path of a `file` URL, percent signs decoded; `None` if it names another host or no absolute path.
pub fn file_path(url: &str) -> Option<PathBuf> {
    let (_, rest) = url.split_once(':')?;
    let path = match rest.strip_prefix("//") {
        Some(rest) => {
            &rest[rest.find('/').filter(|&n| matches!(&rest[..n], "" | "localhost"))?..]
        }
        None => rest,
    };
    let path = path.split(['?', '#']).next().unwrap_or(path);
    if !path.starts_with('/') {
        return None;
    }
    let bytes = path.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).and_then(|h| std::str::from_utf8(h).ok());
        match hex.and_then(|h| u8::from_str_radix(h, 16).ok()) {
            Some(byte) if bytes[at] == b'%' => {
                decoded.push(byte);
                at += 3;
            }
            _ => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    if decoded.contains(&0) {
        return None;
    }
    Some(PathBuf::from(OsString::from_vec(decoded)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirect_targets_resolve_like_links_of_a_page() {
        let at = "https://host:1/a/b?q";
        assert_eq!(resolve(at, "c"), "https://host:1/a/c");
        assert_eq!(resolve(at, "../c?x=/../y"), "https://host:1/c?x=/../y");
        assert_eq!(resolve(at, "/c"), "https://host:1/c");
        assert_eq!(resolve(at, "//other/c"), "https://other/c");
        assert_eq!(resolve(at, "http://x/#frag"), "http://x/");
        assert_eq!(resolve("http://host", "c"), "http://host/c");
        assert_eq!(resolve(at, "?z"), "https://host:1/a/b?z");
    }

    #[test]
    fn file_urls_have_no_host() {
        assert_eq!(file_path("file:///a%20b/c"), Some("/a b/c".into()));
        assert_eq!(file_path("file://localhost/a"), Some("/a".into()));
        assert_eq!(file_path("file:/a"), Some("/a".into()));
        assert_eq!(file_path("file://host/a"), None);
        assert_eq!(file_path("file:a"), None);
        assert_eq!(file_path("file:///a%00"), None);
        assert_eq!(file_path("file:///a%zz"), Some("/a%zz".into()));
    }

    #[test]
    fn link_local_addresses_are_known_in_every_spelling() {
        assert!(is_link_local("http://169.254.169.254/x"));
        assert!(is_link_local("http://[fe80::1]:80/x"));
        assert!(is_link_local("http://u@[::ffff:169.254.1.1]/x"));
        assert!(!is_link_local("http://127.0.0.1/x"));
    }

    #[test]
    fn messages_do_not_show_passwords() {
        assert_eq!(redacted("https://me:pw@host/x@y"), "https://me:***@host/x@y");
        assert_eq!(redacted("https://host/x"), "https://host/x");
    }

    #[test]
    fn base_names_are_the_last_component() {
        assert_eq!(base_name("https://h/a/b.tar.gz"), "b.tar.gz");
        assert_eq!(base_name("https://h/a/"), "a");
    }
}
