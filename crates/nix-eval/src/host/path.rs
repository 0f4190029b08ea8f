//! Paths, and what lies there.

use std::path::PathBuf;

use crate::value::AccessorId;

/// A path of the language outside the heap: which tree, and an absolute canonical text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct NixPath {
    /// Which tree; 0 is the host's file system.
    pub accessor: AccessorId,
    /// Absolute and canonical; bytes, not necessarily UTF-8.
    pub text: Vec<u8>,
}

impl NixPath {
    /// A path in the host's file system.
    pub fn root(text: impl Into<Vec<u8>>) -> NixPath {
        NixPath { accessor: AccessorId(0), text: text.into() }
    }

    /// The text, with invalid UTF-8 replaced.
    pub fn to_text(&self) -> String {
        String::from_utf8_lossy(&self.text).into_owned()
    }

    /// The path `name` below this one.
    #[must_use]
    pub fn join(&self, name: &[u8]) -> NixPath {
        let mut text = self.text.clone();
        if text.last() != Some(&b'/') {
            text.push(b'/');
        }
        text.extend_from_slice(name);
        NixPath { accessor: self.accessor, text: crate::value::canonicalise(&text) }
    }

    /// As a path of the operating system. Only sensible for the host's file system.
    pub fn to_os_path(&self) -> PathBuf {
        use std::os::unix::ffi::OsStrExt;
        PathBuf::from(std::ffi::OsStr::from_bytes(&self.text))
    }
}

/// What lies at a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileType {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// Anything else.
    Unknown,
}

impl FileType {
    /// What `readDir` says.
    pub const fn name(self) -> &'static str {
        match self {
            FileType::Regular => "regular",
            FileType::Directory => "directory",
            FileType::Symlink => "symlink",
            FileType::Unknown => "unknown",
        }
    }

    pub(super) fn of(kind: std::fs::FileType) -> FileType {
        if kind.is_file() {
            FileType::Regular
        } else if kind.is_dir() {
            FileType::Directory
        } else if kind.is_symlink() {
            FileType::Symlink
        } else {
            FileType::Unknown
        }
    }
}

/// Facts about a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Metadata {
    /// What it is.
    pub file_type: FileType,
    /// Size in bytes of a regular file.
    pub size_bytes: u64,
    /// Whether the owner may execute it.
    pub is_executable: bool,
}
