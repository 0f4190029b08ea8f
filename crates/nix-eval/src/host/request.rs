//! What hosts are asked for beside files, and what they bring.

use nix_formats::{hash::Hash, store_path::StorePath};

use super::NixPath;
use crate::limits::CancelToken;

/// Who asks.
#[derive(Clone, Debug, Default)]
pub struct HostCx {
    /// Pulled when the answer is not wanted any more.
    pub cancel: CancelToken,
}

/// A source tree to be added to the store as it is: links kept, only the executable bit kept.
#[derive(Clone, Copy, Debug)]
pub struct Addition<'a> {
    /// Name of the store object.
    pub name: &'a str,
    /// What to add.
    pub path: &'a NixPath,
}

/// What a fetcher is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchRequest {
    /// Where from.
    pub url: String,
    /// Name of the store object.
    pub name: String,
    /// Whether to unpack an archive.
    pub unpack: bool,
    /// What it must hash to.
    pub hash: Option<Hash>,
    /// The URL is that of a git repository, and this of it is wanted.
    pub git: Option<GitRequest>,
}

impl FetchRequest {
    /// Whether a hash or a commit says what has to come, so that it is the same at any time.
    pub fn is_fixed(&self) -> bool {
        match &self.git {
            None => self.hash.is_some(),
            // A shorter one is looked up.
            Some(git) => git.rev.as_ref().is_some_and(|rev| rev.len() >= 40),
        }
    }
}

/// What is wanted of a git repository. The default is what its `HEAD` leads to; of a directory with a
/// work tree, the files as they lie there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GitRequest {
    /// A commit: 40 or 64 hexadecimal digits.
    pub rev: Option<String>,
    /// A branch, or a full name that begins with `refs/`.
    pub reference: Option<String>,
    /// Whether history may be missing; then it is not counted.
    pub shallow: bool,
    /// Whether to fetch all references, to find the commit in any.
    pub all_refs: bool,
    /// Whether the trees of submodules are part of it, in their places and at the commits recorded for them.
    pub submodules: bool,
    /// Whether files stay that attributes mark `export-ignore`. With submodules they do.
    pub keep_ignored: bool,
    /// Which addresses submodules may have: whole, below one, or by scheme (`x:`). `None` allows all.
    pub allowed_uris: Option<Vec<String>>,
}

/// What is known of a tree that came from a git repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitFacts {
    /// The commit, in hexadecimal digits; for a dirty tree the one it was changed from, if there is one.
    pub rev: Option<String>,
    /// Whether the tree differs from the commit.
    pub is_dirty: bool,
    /// How many commits lead to it; `None` if that was not counted.
    pub n_commits: Option<u64>,
    /// When it was committed, in seconds since 1970.
    pub last_modified: i64,
}

/// What a fetcher brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The store object.
    pub path: StorePath,
    /// Its hash.
    pub hash: Hash,
    /// Answers [`FetchRequest::git`].
    pub git: Option<GitFacts>,
    /// Of something that no hash or commit fixes: until when it may be used without asking again, in seconds since
    /// 1970.
    pub believed_until: Option<u64>,
}

/// Something an evaluation says to its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TraceEvent<'a> {
    /// `builtins.trace`: the text.
    Trace(&'a [u8]),
    /// `builtins.warn` and warnings of our own.
    Warning(&'a [u8]),
    /// Worth knowing, once.
    Note(&'a [u8]),
}
