//! The store directory as a value, never a constant: it is part of every store path's hash.

use std::fmt;
use std::sync::Arc;

use crate::store_path::{HASH_LEN, StorePath, StorePathError};

/// The directory that all store paths of one store lie in, as written in them.
///
/// Shape: absolute and canonical: begins with `/`, no empty, `.` or `..` component, no `/` at the
/// end, no NUL, not the root. Cheap to clone. Where the objects really lie is the store's affair.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreDir(Arc<str>);

/// The directory that binary caches and published packages are made for.
const DEFAULT: &str = "/nix/store";

/// A directory that cannot be a store directory.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("store directory {0:?} is not an absolute path in canonical form")]
pub struct StoreDirError(pub String);

impl StoreDir {
    /// The store directory `text`.
    ///
    /// # Errors
    /// `text` is not absolute and canonical, or is the root.
    pub fn new(text: &str) -> Result<StoreDir, StoreDirError> {
        let canonical = text.strip_prefix('/').is_some_and(|rest| {
            !rest.contains('\0') && rest.split('/').all(|part| !matches!(part, "" | "." | ".."))
        });
        if canonical { Ok(StoreDir(text.into())) } else { Err(StoreDirError(text.to_owned())) }
    }

    /// The directory's text, without `/` at the end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The full path of an object: directory, `/`, base name.
    #[must_use]
    pub fn display(&self, path: &StorePath) -> String {
        let base_name = path.base_name();
        let mut text = String::with_capacity(self.0.len() + 1 + base_name.len());
        text.push_str(&self.0);
        text.push('/');
        text.push_str(base_name);
        text
    }

    /// The store path that `text` spells, exactly: nothing may follow the name.
    ///
    /// # Errors
    /// `text` is not in this directory, lies deeper in it, or its base name is no store path.
    pub fn parse(&self, text: &str) -> Result<StorePath, StorePathError> {
        StorePath::from_base_name(self.strip(text)?)
    }

    /// The store path that `text` begins with, and what follows: empty, or `/` and more.
    ///
    /// # Errors
    /// `text` is not in this directory or its first component there is no store path.
    pub fn split<'a>(&self, text: &'a str) -> Result<(StorePath, &'a str), StorePathError> {
        let inside = self.strip(text)?;
        let (base_name, rest) = inside.split_at(inside.find('/').unwrap_or(inside.len()));
        Ok((StorePath::from_base_name(base_name)?, rest))
    }

    /// Says whether `text` lies below the store directory; not whether it names an object.
    #[must_use]
    pub fn contains(&self, text: &str) -> bool {
        self.strip(text).is_ok_and(|rest| !rest.is_empty())
    }

    fn strip<'a>(&self, text: &'a str) -> Result<&'a str, StorePathError> {
        text.strip_prefix(&*self.0).and_then(|rest| rest.strip_prefix('/')).ok_or_else(|| {
            StorePathError::NotInStore { text: text.to_owned(), store_dir: self.0.to_string() }
        })
    }

    /// Length of the directory, `/` and the hash part, in bytes: where `-` stands in a full path.
    #[must_use]
    pub fn hash_end(&self) -> usize {
        self.0.len() + 1 + HASH_LEN
    }
}

impl Default for StoreDir {
    /// `/nix/store`.
    fn default() -> StoreDir {
        StoreDir(DEFAULT.into())
    }
}

impl fmt::Debug for StoreDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreDir({:?})", &*self.0)
    }
}

impl fmt::Display for StoreDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_absolute_directories_are_taken() {
        for text in ["/nix/store", "/x", "/home/me/.local/share/a b"] {
            assert_eq!(StoreDir::new(text).map(|dir| dir.to_string()), Ok(text.to_owned()));
        }
        for text in
            ["", "/", "nix/store", "/nix/store/", "/nix//store", "/nix/./s", "/a/../b", "//a"]
        {
            assert!(StoreDir::new(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_path_is_parsed_exactly_and_split_from_what_follows() {
        let dir = StoreDir::default();
        let text = "/nix/store/qa1w9gdfrba6jl2r57mb3c43863gqywp-hello.txt";
        let path = dir.parse(text).expect("parses");
        assert_eq!(dir.display(&path), text);
        assert_eq!(dir.split(&format!("{text}/a/b")), Ok((path.clone(), "/a/b")));
        assert_eq!(dir.split(text), Ok((path, "")));
        assert!(dir.parse(&format!("{text}/a")).is_err());
        assert!(dir.parse(&text.replace("/nix", "/gnu")).is_err());
        assert!(dir.parse("/nix/store").is_err());
        assert!(dir.parse("/nix/storeqa1w9gdfrba6jl2r57mb3c43863gqywp-hello.txt").is_err());
        assert!(
            dir.contains("/nix/store/x") && !dir.contains("/nix/store/") && !dir.contains("/nix")
        );
    }
}
