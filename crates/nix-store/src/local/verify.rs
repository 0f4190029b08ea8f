//! Checks that the store is what its database says.

use std::path::PathBuf;

use nix_formats::hash::{HashAlgo, Hasher};
use nix_formats::store_path::StorePath;
use rustix::fs::FlockOperation;

use super::lock::{flock, open_lock_file};
use super::{LocalStore, locked};
use crate::error::StoreError;
use crate::store::{PathInfo, Store};
use crate::sys::{self, Dir};

/// How thoroughly to check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerifyOptions {
    /// Read every object and compare its hash.
    pub check_contents: bool,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// The database file itself is broken; the text is SQLite's.
    Database(String),
    /// A valid object's files are gone. It was made invalid unless something needs it.
    Missing {
        /// The object.
        path: StorePath,
        /// A valid object that refers to it, which is why it is still registered.
        needed_by: Option<StorePath>,
    },
    /// An object does not have the hash that is registered.
    Modified {
        /// The object.
        path: StorePath,
        /// The registered hash (SRI).
        expected: String,
        /// The hash of what is there (SRI).
        got: String,
    },
    /// An object cannot be read.
    Unreadable {
        /// The object.
        path: StorePath,
        /// Why not.
        reason: String,
    },
    /// A file of the hard-link pool does not have the contents that its name says. Removed from
    /// the pool; the objects that use it are reported by themselves.
    Link(PathBuf),
}

impl LocalStore {
    /// Checks the store, and mends what can be mended without contents: an object whose files
    /// are gone becomes invalid unless something needs it.
    ///
    /// Gives everything that is or was wrong; none means a clean store. `progress` hears the
    /// path of each object before its contents are read.
    pub fn verify(
        &self,
        options: VerifyOptions,
        progress: &mut dyn FnMut(&StorePath),
    ) -> Result<Vec<Damage>, StoreError> {
        self.flush()?;
        let mut found = Vec::new();
        if let Some(complaint) = locked(&self.registry).check()? {
            found.push(Damage::Database(complaint));
        }
        let lock_path = self.state_dir().join("gc.lock");
        let _gc_lock = match &self.writer {
            None => None,
            Some(_) => {
                let lock = open_lock_file(&lock_path)?;
                flock(&lock, FlockOperation::LockShared)
                    .map_err(|e| StoreError::io("lock", &lock_path, e))?;
                Some(lock)
            }
        };
        let dir = Dir::open(&self.config.real_store_dir)?;
        let mut missing = Vec::new();
        for path in self.all_valid_paths()? {
            if dir.lookup(path.base_name())?.is_none() {
                missing.push(path);
            } else if options.check_contents {
                progress(&path);
                found.extend(self.check_contents(&dir, &path)?);
            }
        }
        found.extend(self.drop_missing(missing)?);
        if options.check_contents && dir.lookup(".links")?.is_some() {
            found.extend(self.check_links(&dir.open_dir(".links")?)?);
        }
        Ok(found)
    }

    fn check_contents(&self, dir: &Dir, path: &StorePath) -> Result<Option<Damage>, StoreError> {
        // A collection by another process is held off by the lock, so it stays valid.
        let info: std::sync::Arc<PathInfo> = self.path_info(path)?;
        let mut hasher = Hasher::new(HashAlgo::Sha256);
        if let Err(e) = sys::dump_nar(dir, path.base_name(), &mut hasher) {
            return Ok(Some(Damage::Unreadable { path: path.clone(), reason: e.to_string() }));
        }
        let size = hasher.n_bytes();
        let got = hasher.finish();
        if got == info.nar_hash && (info.nar_size == size || info.nar_size == 0) {
            return Ok(None);
        }
        Ok(Some(Damage::Modified {
            path: path.clone(),
            expected: info.nar_hash.to_sri(),
            got: got.to_sri(),
        }))
    }

    fn drop_missing(&self, mut missing: Vec<StorePath>) -> Result<Vec<Damage>, StoreError> {
        let mut found = Vec::new();
        // One that only other missing ones need goes after them, hence the rounds.
        while self.writer.is_some() && !missing.is_empty() {
            let gone = locked(&self.registry).invalidate_all(&missing)?;
            if gone.is_empty() {
                break;
            }
            missing.retain(|path| !gone.contains(path));
            found.extend(gone.into_iter().map(|path| Damage::Missing { path, needed_by: None }));
        }
        for path in missing {
            let needed_by = self.query_referrers(&path)?.into_iter().find(|r| *r != path);
            found.push(Damage::Missing { path, needed_by });
        }
        Ok(found)
    }

    fn check_links(&self, links: &Dir) -> Result<Vec<Damage>, StoreError> {
        let mut found = Vec::new();
        for name in links.entries()? {
            let name = String::from_utf8_lossy(&name).into_owned();
            let mut hasher = Hasher::new(HashAlgo::Sha256);
            let is_right = sys::dump_nar(links, &name, &mut hasher).is_ok()
                && hasher.finish().to_nix32() == name;
            if !is_right {
                found.push(Damage::Link(links.place(&name)));
                if self.writer.is_some() {
                    links.unlink(&name)?;
                }
            }
        }
        Ok(found)
    }
}
