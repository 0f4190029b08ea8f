//! Names of packages: name and version, and patterns that choose among them.

use std::cmp::Ordering;

use crate::{
    builtins::versions,
    error::{self, Error},
    machine::Machine,
    regex::{Regex, RegexError},
};

/// A derivation's name in two parts: `apache-httpd-2.0.48` is `apache-httpd` and `2.0.48`.
///
/// The version begins after the first dash that no letter follows; it may be empty.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PackageName<'a> {
    /// All of it.
    pub full: &'a [u8],
    /// What stands before the version.
    pub name: &'a [u8],
    /// The version, without the dash.
    pub version: &'a [u8],
}

impl<'a> PackageName<'a> {
    /// Parts a full name.
    pub fn new(full: &'a [u8]) -> PackageName<'a> {
        let (name, version) = versions::split_name(full);
        PackageName { full, name, version }
    }
}

/// The order of two versions, as `builtins.compareVersions` has it.
pub fn compare_versions(a: &[u8], b: &[u8]) -> Ordering {
    versions::compare(a, b)
}

/// A pattern for packages: `NAME` or `NAME-VERSION`, where `NAME` is a POSIX extended regular expression that
/// must match the whole name, or `*` for all; a version must be equal.
#[derive(Debug)]
pub struct Selector {
    version: Vec<u8>,
    name: Vec<u8>,
    /// `None` for `*`.
    regex: Option<Regex>,
}

impl Selector {
    /// Reads a pattern.
    ///
    /// # Errors
    /// When the name is no regular expression.
    pub fn new(text: &[u8]) -> Result<Selector, RegexError> {
        let parts = PackageName::new(text);
        let regex = if parts.name == b"*" { None } else { Some(Regex::new(parts.name)?) };
        Ok(Selector { version: parts.version.to_vec(), name: parts.name.to_vec(), regex })
    }

    /// The pattern's name part, as it was written.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Whether the pattern is `*`: it fits every package and is content with none.
    pub fn is_all(&self) -> bool {
        self.regex.is_none() && self.version.is_empty()
    }

    /// Whether a package's name fits.
    ///
    /// # Errors
    /// When matching is stopped: a limit was passed, or somebody cancelled.
    pub fn matches(&self, m: &mut Machine, name: PackageName<'_>) -> Result<bool, Error> {
        if !self.version.is_empty() && self.version != name.version {
            return Ok(false);
        }
        let Some(regex) = &self.regex else { return Ok(true) };
        let mut failure = None;
        let mut poll = |_| m.poll().map_err(|e| failure = Some(e)).is_ok();
        match regex.match_whole(name.name, &mut poll) {
            Ok(groups) => Ok(groups.is_some()),
            Err(_) => Err(failure.unwrap_or_else(|| {
                let text = String::from_utf8_lossy(&self.name).into_owned();
                error::argument(format!("the pattern '{text}' needs too much memory"))
            })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Engine, EngineOptions};

    #[track_caller]
    fn check(pattern: &str, name: &str, expected: bool) {
        let selector = Selector::new(pattern.as_bytes()).expect("a pattern");
        let evaluator = Engine::new(EngineOptions::default()).evaluator();
        let fits = evaluator
            .with_machine(|m| selector.matches(m, PackageName::new(name.as_bytes())))
            .expect("decides");
        assert_eq!(fits, expected, "{pattern} {name}");
    }

    #[test]
    fn a_pattern_is_a_regular_expression_for_the_whole_name_and_an_exact_version() {
        check("hello", "hello-2.10", true);
        check("hel", "hello-2.10", false);
        check("hel.*", "hello-2.10", true);
        check("Hello", "hello-2.10", false);
        check("hello-2.10", "hello-2.10", true);
        check("hello-2.1", "hello-2.10", false);
        check("*", "hello-2.10", true);
        check("*-2.10", "hello-2.10", true);
        check("*-2.9", "hello-2.10", false);
        check("(g|m)awk", "gawk-4", true);
    }

    #[test]
    fn a_bad_expression_is_refused() {
        assert!(Selector::new(b"(a").is_err());
        assert!(Selector::new(b"+").is_err());
    }
}
