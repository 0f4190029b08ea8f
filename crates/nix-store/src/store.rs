//! What a store is to its users: valid objects, their facts, and how to add more.
//!
//! A store path is *logical* (`/nix/store/…`, what goes into hashes and contents). Where the
//! object lies on this machine is another question: [`Store::real_path`]. The two differ for
//! stores without root; never open a logical path.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix_formats::content_address::ContentAddress;
use nix_formats::derivation::Derivation;
use nix_formats::hash::{Hash, HashAlgo};
use nix_formats::store_path::{FileMethod, StoreDir, StorePath};

use crate::add::TreeSource;
use crate::error::StoreError;

/// The facts kept about a valid object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathInfo {
    /// The object.
    pub path: StorePath,
    /// SHA-256 of its NAR.
    pub nar_hash: Hash,
    /// Length of its NAR in bytes.
    pub nar_size: u64,
    /// What it refers to; may contain itself.
    pub references: BTreeSet<StorePath>,
    /// The derivation that made it, if known. Need not be valid.
    pub deriver: Option<StorePath>,
    /// When it became valid, in Unix seconds.
    pub registration_time: i64,
    /// Whether it was built here rather than copied from elsewhere.
    pub ultimate: bool,
    /// Signatures, each `key name:base64`.
    pub signatures: Vec<String>,
    /// How the path follows from the contents, if it does.
    pub ca: Option<ContentAddress>,
}

impl PathInfo {
    /// Facts about an object with only the required parts set.
    pub fn new(path: StorePath, nar_hash: Hash, nar_size: u64) -> PathInfo {
        PathInfo {
            path,
            nar_hash,
            nar_size,
            references: BTreeSet::new(),
            deriver: None,
            registration_time: 0,
            ultimate: false,
            signatures: Vec::new(),
            ca: None,
        }
    }
}

/// A set of valid store objects.
///
/// Every method that writes refuses with [`StoreError::ReadOnly`] on a store opened for reading.
pub trait Store: Send + Sync {
    /// The logical store directory, `/nix/store`.
    fn store_dir(&self) -> &StoreDir;

    /// Where the store directory lies on this machine.
    fn real_store_dir(&self) -> &Path;

    /// Where an object lies on this machine. Says nothing about whether it exists.
    fn real_path(&self, path: &StorePath) -> PathBuf {
        self.real_store_dir().join(path.base_name())
    }

    /// Whether the object is registered.
    fn is_valid(&self, path: &StorePath) -> Result<bool, StoreError>;

    /// The facts about an object; `None` if it is not valid.
    fn query_path_info(&self, path: &StorePath) -> Result<Option<Arc<PathInfo>>, StoreError>;

    /// The valid objects that refer to `path`, itself included if it refers to itself.
    fn query_referrers(&self, path: &StorePath) -> Result<BTreeSet<StorePath>, StoreError>;

    /// The valid derivations that have `path` as an output.
    fn query_valid_derivers(&self, path: &StorePath) -> Result<BTreeSet<StorePath>, StoreError>;

    /// Output name → output path of a valid derivation, as far as the paths are known.
    fn query_derivation_outputs(
        &self,
        drv: &StorePath,
    ) -> Result<BTreeMap<String, StorePath>, StoreError>;

    /// The valid object whose path has this 32-character hash part.
    fn query_path_from_hash_part(&self, hash_part: &str) -> Result<Option<StorePath>, StoreError>;

    /// All valid objects.
    fn all_valid_paths(&self) -> Result<BTreeSet<StorePath>, StoreError>;

    /// Adds a text object (`builtins.toFile`, a `.drv`). Does nothing if it is valid already.
    ///
    /// # Errors
    /// If a reference is not valid.
    fn add_text(
        &self,
        name: &str,
        contents: &[u8],
        references: &BTreeSet<StorePath>,
    ) -> Result<StorePath, StoreError>;

    /// Adds a file tree without references. With [`FileMethod::Flat`] it has to be one regular file.
    fn add_tree(
        &self,
        name: &str,
        source: &dyn TreeSource,
        method: FileMethod,
        algo: HashAlgo,
    ) -> Result<StorePath, StoreError>;

    /// Adds an object from its NAR; it becomes visible only after hash and size are checked.
    ///
    /// # Errors
    /// [`StoreError::HashMismatch`] if the NAR is not the one of `info`.
    fn add_nar(&self, info: &PathInfo, nar: &mut dyn Read) -> Result<(), StoreError>;

    /// Registers objects whose files are in place already, all or none of them.
    fn register(&self, infos: &[PathInfo]) -> Result<(), StoreError>;

    /// Reads a valid derivation; remembered, so asking again is cheap.
    fn read_derivation(&self, drv: &StorePath) -> Result<Arc<Derivation>, StoreError>;

    /// Writes the NAR of a valid object.
    fn nar_to(&self, path: &StorePath, sink: &mut dyn Write) -> Result<(), StoreError>;

    /// Keeps an object (valid or about to be) from being collected while this process lives.
    fn add_temp_root(&self, path: &StorePath) -> Result<(), StoreError>;

    /// Tells the collector that the symbolic link `link` (absolute, outside the store) is a root.
    fn add_indirect_root(&self, link: &Path) -> Result<(), StoreError>;

    /// The full logical text of a path.
    fn display(&self, path: &StorePath) -> String {
        self.store_dir().display(path)
    }

    /// The facts about an object that must be valid.
    ///
    /// # Errors
    /// [`StoreError::NotValid`] if it is not.
    fn path_info(&self, path: &StorePath) -> Result<Arc<PathInfo>, StoreError> {
        match self.query_path_info(path)? {
            Some(info) => Ok(info),
            None => Err(StoreError::NotValid { path: self.display(path), needed_by: None }),
        }
    }
}
