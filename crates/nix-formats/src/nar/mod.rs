//! NAR: Nix's archive of a file tree, one text for one tree.
//!
//! [`Writer`] is told the nodes of a tree and writes; [`Reader`] is asked for the next node. Both
//! hold only the names on the way to where they are, whatever the archive says of itself.

mod read;
mod write;

use std::io;

pub use read::{Event, Limits, Reader};
pub use write::Writer;

/// How many directories may lie in each other.
pub const MAX_DEPTH: usize = 64;
/// Longest name of an entry, in bytes.
pub const MAX_NAME_LEN: usize = 255;
/// Longest target of a symbolic link, in bytes.
pub const MAX_TARGET_LEN: usize = 4095;
/// What C++ Nix puts before a number to tell names apart where the file system does not.
pub const CASE_HACK: &[u8] = b"~nix~case~hack~";

/// Why a stream is not a NAR, or a tree cannot become one.
#[derive(Debug, thiserror::Error)]
pub enum NarError {
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The stream ended in the middle.
    #[error("the NAR ends early, at byte {0}")]
    EndsEarly(u64),
    /// Something else stands here.
    #[error("expected {expected} at byte {at} of the NAR")]
    Expected {
        /// What may stand here.
        expected: &'static str,
        /// Where, in bytes.
        at: u64,
    },
    /// Padding that is not zero.
    #[error("the padding at byte {0} of the NAR is not zero")]
    Padding(u64),
    /// A name or target that is too long.
    #[error("a {what} of {len} bytes at byte {at} of the NAR is longer than {max}")]
    Long {
        /// Name or target.
        what: &'static str,
        /// The claimed length, in bytes.
        len: u64,
        /// The cap, in bytes.
        max: usize,
        /// Where, in bytes.
        at: u64,
    },
    /// The name of an entry is empty, `.` or `..`, or contains `/` or NUL.
    #[error("{0:?} cannot be the name of a directory entry")]
    Name(String),
    /// A name that C++ Nix made up for a file system that does not tell upper from lower case.
    #[error("entry {0:?} has a name with the case hack's suffix")]
    CaseHack(String),
    /// The name of an entry does not come after the one before it.
    #[error("entry {name:?} does not come after {before:?}")]
    Order {
        /// The name.
        name: String,
        /// The one before it.
        before: String,
    },
    /// A symbolic link's target is empty or contains NUL.
    #[error("{0:?} cannot be the target of a symbolic link")]
    Target(String),
    /// Directories lie in each other deeper than allowed.
    #[error("directories are nested deeper than {0}")]
    Depth(usize),
    /// The archive is longer than it may be.
    #[error("the NAR is longer than {0} bytes")]
    TooLong(u64),
    /// Bytes after the end.
    #[error("something follows the NAR")]
    Trailing,
    /// The caller did something out of turn.
    #[error("{0}")]
    Turn(&'static str),
}

/// Checks the name of an entry by itself.
fn check_name(name: &[u8]) -> Result<(), NarError> {
    let wrong = matches!(name, b"" | b"." | b"..") || name.iter().any(|b| matches!(b, b'/' | 0));
    if wrong { Err(NarError::Name(lossy(name))) } else { Ok(()) }
}

/// Checks the target of a symbolic link, its length apart.
fn check_target(target: &[u8]) -> Result<(), NarError> {
    if target.is_empty() || target.contains(&0) {
        return Err(NarError::Target(lossy(target)));
    }
    Ok(())
}

/// Checks that `name` comes after `before`, and remembers it.
fn check_order(before: &mut Option<Vec<u8>>, name: &[u8]) -> Result<(), NarError> {
    match before {
        Some(before) if name <= &before[..] => {
            Err(NarError::Order { name: lossy(name), before: lossy(before) })
        }
        Some(before) => {
            before.clear();
            before.extend_from_slice(name);
            Ok(())
        }
        None => {
            *before = Some(name.to_vec());
            Ok(())
        }
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The strings that archives are made of, as they stand there: length, text, padding. The size of
/// each array is the sum of 8 and the padded length of its strings.
mod token {
    const fn strings<const N: usize>(texts: &[&str]) -> [u8; N] {
        let mut bytes = [0; N];
        let (mut at, mut i) = (0, 0);
        while i < texts.len() {
            let text = texts[i].as_bytes();
            bytes[at] = text.len() as u8;
            let mut j = 0;
            while j < text.len() {
                bytes[at + 8 + j] = text[j];
                j += 1;
            }
            at += 8 + text.len().next_multiple_of(8);
            i += 1;
        }
        assert!(at == N);
        bytes
    }

    pub(super) const MAGIC: [u8; 24] = strings(&["nix-archive-1"]);
    pub(super) const NODE: [u8; 32] = strings(&["(", "type"]);
    pub(super) const REGULAR: [u8; 16] = strings(&["regular"]);
    pub(super) const EXECUTABLE: [u8; 32] = strings(&["executable", ""]);
    pub(super) const CONTENTS: [u8; 16] = strings(&["contents"]);
    pub(super) const SYMLINK: [u8; 32] = strings(&["symlink", "target"]);
    pub(super) const DIRECTORY: [u8; 24] = strings(&["directory"]);
    pub(super) const ENTRY: [u8; 48] = strings(&["entry", "(", "name"]);
    pub(super) const ENTRY_NODE: [u8; 16] = strings(&["node"]);
    pub(super) const END: [u8; 16] = strings(&[")"]);
}

#[cfg(test)]
mod tests;
