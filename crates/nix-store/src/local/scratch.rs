//! Where objects are made before they get their name.
//!
//! One directory `tmp-PID-N` inside the store (so a rename brings the object into place), 0700,
//! and locked while its process lives: collectors, C++ Nix's too, leave locked ones alone and
//! delete the others.

use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;

use rustix::fs::{FlockOperation, Mode, OFlags};

use super::lock::flock;
use crate::error::StoreError;
use crate::sys::{Dir, delete_tree};

/// A private directory in the store.
#[derive(Debug)]
pub(super) struct Scratch {
    store: Dir,
    name: OsString,
    dir: Dir,
    n_made: u64,
    _lock: File,
}

impl Scratch {
    pub(super) fn create(store: &Dir) -> Result<Scratch, StoreError> {
        let store = store.try_clone()?;
        super::gc::delete_dead_scratch(&store)?;
        for n in 0_u32.. {
            let name = OsString::from(format!("tmp-{}-{n}", std::process::id()));
            let dir = match store.create_dir(&name, 0o700) {
                Ok(dir) => dir,
                Err(e) if e.raw_os_error() == Some(libc::EEXIST) => continue,
                // A collector deleted it between making and opening.
                Err(e) if e.raw_os_error() == Some(libc::ENOENT) => continue,
                Err(e) => return Err(e),
            };
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let lock = rustix::fs::openat(&dir, ".", flags, Mode::empty())
                .map_err(|e| StoreError::io("open the directory", dir.path(), e))?;
            flock(&lock, FlockOperation::LockExclusive)
                .map_err(|e| StoreError::io("lock", dir.path(), e))?;
            // The lock counts only if the name still leads to this directory.
            let own = dir.stat_self()?;
            if store.lookup(&name)?.is_some_and(|s| s.st_ino == own.st_ino) {
                return Ok(Scratch { store, name, dir, n_made: 0, _lock: File::from(lock) });
            }
        }
        Err(StoreError::invalid("no free name for a temporary directory in the store"))
    }

    /// A handle on the directory, and a name in it that nobody has used.
    pub(super) fn place(&mut self) -> Result<Place, StoreError> {
        self.n_made += 1;
        Ok(Place { dir: self.dir.try_clone()?, name: format!("{}", self.n_made) })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = delete_tree(&self.store, &self.name);
    }
}

/// A name in the scratch directory; what is there when this is dropped is deleted.
#[derive(Debug)]
pub(crate) struct Place {
    /// The scratch directory.
    pub(crate) dir: Dir,
    /// The name in it.
    pub(crate) name: String,
}

impl Place {
    /// For messages.
    pub(crate) fn path(&self) -> PathBuf {
        self.dir.place(&self.name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = delete_tree(&self.dir, &self.name);
    }
}
