//! Why the store could not do what it was asked.
//!
//! Every sentence names the place (a store path, a file) and, where there is one, the remedy.
//! [`StoreError::Io`] adds the remedy for the three faults people meet most: a full disk, a
//! read-only file system and missing permission.

use std::io;
use std::path::{Path, PathBuf};

/// Why a store operation failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A system call failed; `action` is a verb phrase such as `create the file`.
    #[error("cannot {action} '{}': {source}{}", path.display(), remedy(source))]
    Io {
        /// What was tried, as a verb phrase.
        action: &'static str,
        /// The file it was tried on.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// The store does not have an object that was asked for.
    #[error("path '{path}' is not valid{}", needed(needed_by))]
    NotValid {
        /// Full logical path.
        path: String,
        /// Full logical path of the object that refers to it, if one does.
        needed_by: Option<String>,
    },
    /// SQLite failed.
    #[error("the store's database '{}' failed: {source}{}", path.display(), database_remedy(source))]
    Database {
        /// The database file.
        path: PathBuf,
        /// What SQLite answered.
        source: rusqlite::Error,
    },
    /// The database holds a row that does not parse.
    #[error(
        "the store's database has a damaged entry for '{path}': {reason}; run `mini-nix-store --verify`"
    )]
    DamagedEntry {
        /// The path column of the row.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The schema file names a version that this program does not know.
    #[error("the store at '{}' has schema version {found}, but this program only knows version 10", path.display())]
    Schema {
        /// The `schema` file.
        path: PathBuf,
        /// What it says.
        found: String,
    },
    /// Writing was asked of a store that was opened for reading.
    #[error("cannot {action}: the store '{}' is read-only; make it writable or use another one with `--store DIR`", store.display())]
    ReadOnly {
        /// What was tried, as a verb phrase.
        action: &'static str,
        /// The physical store directory.
        store: PathBuf,
    },
    /// Contents do not have the hash that was promised.
    #[error("hash mismatch in '{path}':\n  specified: {expected}\n     got:    {got}")]
    HashMismatch {
        /// Store path, URL or file.
        path: String,
        /// As it was specified (SRI).
        expected: String,
        /// Of the contents (SRI).
        got: String,
    },
    /// Something about a path, a name or a reference breaks a rule of the store.
    #[error("{0}")]
    Invalid(String),
    /// An archive is broken or breaks a limit.
    #[error("'{place}' is not a usable archive: {reason}")]
    Archive {
        /// File, URL or store path.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Objects refer to each other in a circle.
    #[error("the references of '{path}' form a cycle through '{through}'")]
    Cycle {
        /// One object of the cycle.
        path: String,
        /// Another one (or the same).
        through: String,
    },
    /// An object cannot be deleted because it is still needed.
    #[error(
        "cannot delete path '{path}' since it is still alive; `mini-nix-store -q --roots` shows what keeps it"
    )]
    StillAlive {
        /// Full logical path.
        path: String,
    },
    /// Something could not be fetched.
    #[error("cannot fetch '{url}': {reason}")]
    Fetch {
        /// What was fetched.
        url: String,
        /// Why not, with the remedy if there is one.
        reason: String,
    },
    /// A callback (a source filter) asked to stop; the caller holds the reason.
    #[error("stopped by the source filter")]
    Stopped,
}

impl StoreError {
    /// A failed system call on `path`.
    pub fn io(action: &'static str, path: impl AsRef<Path>, source: impl Into<io::Error>) -> Self {
        Self::Io { action, path: path.as_ref().to_owned(), source: source.into() }
    }

    /// A broken rule, as a sentence.
    pub fn invalid(sentence: impl Into<String>) -> Self {
        Self::Invalid(sentence.into())
    }

    /// The error number of the system, if a system call failed.
    pub fn raw_os_error(&self) -> Option<i32> {
        match self {
            Self::Io { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }

    /// Whether the disk (or a quota) is full.
    pub fn is_full_disk(&self) -> bool {
        match self {
            Self::Database { source, .. } => {
                source.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
            }
            _ => matches!(self.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT)),
        }
    }
}

fn needed(needed_by: &Option<String>) -> String {
    match needed_by {
        Some(path) => format!(" (needed by '{path}')"),
        None => String::new(),
    }
}

fn database_remedy(source: &rusqlite::Error) -> &'static str {
    match source.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => "; free some disk space and try again",
        Some(rusqlite::ErrorCode::SystemIoFailure) => {
            "; is the disk full or failing? See `df` and the system's log"
        }
        Some(rusqlite::ErrorCode::ReadOnly | rusqlite::ErrorCode::CannotOpen) => {
            "; make it writable, or use another store with `--store DIR`"
        }
        Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
            "; restore it from a copy, or make a new store and import its objects"
        }
        _ => "",
    }
}

fn remedy(source: &io::Error) -> &'static str {
    match source.raw_os_error() {
        Some(libc::ENOSPC) => {
            "; free some disk space (`mini-nix-store --gc` deletes what nothing needs) and try again"
        }
        Some(libc::EDQUOT) => "; your disk quota is used up",
        Some(libc::EROFS) => "; use a store on a writable file system with `--store DIR`",
        Some(libc::EACCES | libc::EPERM) => {
            "; use a store that you own with `--store DIR`, or run as its owner"
        }
        Some(libc::EMFILE | libc::ENFILE) => {
            "; too many files are open: raise the limit (`ulimit -n`) or lower `--max-jobs`"
        }
        _ => "",
    }
}
