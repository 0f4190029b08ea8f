//! Store paths: the names of store objects.

mod make;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::base32;

pub use crate::store_dir::{StoreDir, StoreDirError};
pub use make::{FileMethod, MakePathError, output_path_name};

/// Length of the hash part, in characters.
pub const HASH_LEN: usize = 32;
/// Length of the digest that the hash part spells, in bytes.
pub const HASH_BYTES: usize = 20;
/// Longest name, in bytes: a base name fits a file name of 255 bytes with room for suffixes.
pub const MAX_NAME_LEN: usize = 211;

/// The name of a store object: 20 bytes of hash and a name, without the store directory.
///
/// Shape: the *base name* is 32 digits of Nix's base-32, `-`, and 1 to 211 bytes that
/// [`check_name`] accepts. Equality and order are those of the base name's text, which is also the
/// order of the full paths of one store. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StorePath(Arc<str>);

/// Why a text is not a store path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorePathError {
    /// The text does not begin with the store directory and `/`.
    #[error("path {text:?} is not in the store {store_dir:?}")]
    NotInStore {
        /// The text.
        text: String,
        /// The store directory.
        store_dir: String,
    },
    /// The base name has no room for a hash and a name, or no `-` between them.
    #[error("{0:?} is not a store path: it has no 32 characters of hash, '-' and a name")]
    Shape(String),
    /// The hash part has a wrong digit.
    #[error("store path {0:?} has a character in its hash part that is not of Nix's base-32")]
    HashPart(String),
    /// The name is not allowed.
    #[error("store path {text:?} has a wrong name: {reason}")]
    Name {
        /// The base name.
        text: String,
        /// What is wrong.
        reason: NameError,
    },
}

/// Why a text cannot be the name of a store object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing.
    #[error("the name of a store path must not be empty")]
    Empty,
    /// More than [`MAX_NAME_LEN`] bytes.
    #[error("name {0:?} is longer than {MAX_NAME_LEN} bytes")]
    Long(String),
    /// `.`, `..`, or one of them before the first `-`.
    #[error("name {0:?} must not be '.' or '..', nor begin with '.-' or '..-'")]
    Dots(String),
    /// A character outside the allowed set.
    #[error("name {name:?} contains {found:?}; allowed are letters, digits and \"+-._?=\"")]
    Character {
        /// The name.
        name: String,
        /// The first character that is not allowed.
        found: char,
    },
}

/// Checks that `name` can be the name of a store object.
///
/// # Errors
/// The first rule that it breaks.
pub fn check_name(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.len() > MAX_NAME_LEN {
        return Err(NameError::Long(name.to_owned()));
    }
    if name.starts_with('.') && matches!(name.split('-').next(), Some("." | "..")) {
        return Err(NameError::Dots(name.to_owned()));
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._?=".contains(&byte);
    if !name.bytes().all(allowed) {
        let found = name.chars().find(|&c| !u8::try_from(c).is_ok_and(allowed));
        return Err(NameError::Character {
            name: name.to_owned(),
            found: found.expect("a byte that is not allowed belongs to such a character"),
        });
    }
    Ok(())
}

impl StorePath {
    /// The store path with this digest and name.
    ///
    /// # Errors
    /// The name is not allowed.
    pub fn new(hash: &[u8; HASH_BYTES], name: &str) -> Result<StorePath, NameError> {
        check_name(name)?;
        let mut base_name = base32::encode(hash);
        base_name.reserve_exact(1 + name.len());
        base_name.push('-');
        base_name.push_str(name);
        Ok(StorePath(base_name.into()))
    }

    /// The store path that `base_name` spells.
    ///
    /// # Errors
    /// It has no hash part, a wrong one, or a name that is not allowed.
    pub fn from_base_name(base_name: &str) -> Result<StorePath, StorePathError> {
        let bytes = base_name.as_bytes();
        if bytes.get(HASH_LEN) != Some(&b'-') {
            return Err(StorePathError::Shape(base_name.to_owned()));
        }
        // 32 digits are 160 bits exactly, so each is free.
        if !bytes[..HASH_LEN].iter().all(|&byte| base32::is_digit(byte)) {
            return Err(StorePathError::HashPart(base_name.to_owned()));
        }
        check_name(&base_name[HASH_LEN + 1..])
            .map_err(|reason| StorePathError::Name { text: base_name.to_owned(), reason })?;
        Ok(StorePath(base_name.into()))
    }

    /// The 32 characters of the hash.
    #[must_use]
    pub fn hash_part(&self) -> &str {
        &self.0[..HASH_LEN]
    }

    /// The digest that the hash part spells.
    #[must_use]
    pub fn hash_bytes(&self) -> [u8; HASH_BYTES] {
        let bytes = base32::decode(self.hash_part()).expect("the hash part was checked when made");
        bytes.try_into().expect("32 digits are 20 bytes")
    }

    /// What follows the hash and its `-`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0[HASH_LEN + 1..]
    }

    /// Hash, `-` and name.
    #[must_use]
    pub fn base_name(&self) -> &str {
        &self.0
    }

    /// Says whether the name ends in `.drv`.
    #[must_use]
    pub fn is_derivation(&self) -> bool {
        self.name().ends_with(".drv")
    }
}

impl Hash for StorePath {
    // The name as well: programs make up paths, and many with one hash part would fall into one place.
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.0.as_bytes());
    }
}

impl fmt::Debug for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StorePath({})", &*self.0)
    }
}

impl fmt::Display for StorePath {
    /// The base name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "qa1w9gdfrba6jl2r57mb3c43863gqywp";

    #[test]
    fn names_follow_the_rules() {
        let long = "a".repeat(211);
        for name in ["a", "A-Z+._?=09", ".gitignore", "...", "...-a", ".a-b", "-", "a..", &*long] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        assert_eq!(check_name(""), Err(NameError::Empty));
        assert_eq!(check_name(&"a".repeat(212)), Err(NameError::Long("a".repeat(212))));
        for name in [".", "..", ".-a", "..-a", "..-"] {
            assert_eq!(check_name(name), Err(NameError::Dots(name.into())), "{name}");
        }
        for (name, found) in [("a b", ' '), ("a/b", '/'), ("aä", 'ä'), ("a\0", '\0'), ("~a", '~')]
        {
            assert_eq!(check_name(name), Err(NameError::Character { name: name.into(), found }));
        }
    }

    #[test]
    fn names_count_in_hashes() {
        use std::hash::{BuildHasher, RandomState};
        let hasher = RandomState::new();
        let hashes: std::collections::HashSet<u64> = (0..1_000)
            .map(|n| StorePath::from_base_name(&format!("{HASH}-{n}")).expect("parses"))
            .map(|path| hasher.hash_one(path))
            .collect();
        assert_eq!(hashes.len(), 1_000);
    }

    #[test]
    fn a_base_name_has_parts() {
        let path = StorePath::from_base_name(&format!("{HASH}-a-b.drv")).expect("parses");
        assert_eq!((path.hash_part(), path.name()), (HASH, "a-b.drv"));
        assert!(path.is_derivation());
        assert_eq!(StorePath::new(&path.hash_bytes(), "a-b.drv"), Ok(path));
    }

    #[test]
    fn wrong_base_names_are_refused() {
        use StorePathError::{HashPart, Name, Shape};
        let parse = StorePath::from_base_name;
        for text in ["", "a", HASH, &format!("{HASH}x"), &format!("{}-abc", &HASH[1..]), "ä"] {
            assert!(matches!(parse(text), Err(Shape(_))), "{text}");
        }
        assert!(matches!(parse(&format!("e{}-a", &HASH[1..])), Err(HashPart(_))));
        assert!(matches!(parse(&format!("{}-a", HASH.to_uppercase())), Err(HashPart(_))));
        assert!(matches!(parse(&format!("{HASH}-")), Err(Name { reason: NameError::Empty, .. })));
        assert!(matches!(parse(&format!("{HASH}-a/b")), Err(Name { .. })));
    }

    #[test]
    fn the_order_is_that_of_the_text() {
        let path = |text: &str| StorePath::from_base_name(text).expect("parses");
        assert!(path(&format!("{HASH}-a")) < path(&format!("{HASH}-a-b")));
        assert!(path(&format!("0{}-z", &HASH[1..])) < path(&format!("{HASH}-a")));
    }
}
