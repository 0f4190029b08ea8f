//! Equal files of different objects share one inode.
//!
//! The pool `.links` has one entry per content, named by the SHA-256 of the file's NAR, so two
//! files are shared only if their execute bits agree too.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use nix_formats::hash::{HashAlgo, Hasher};
use nix_formats::store_path::StorePath;

use super::LocalStore;
use crate::error::StoreError;
use crate::store::Store;
use crate::sys::{self, Dir, EntryType};

/// What sharing files brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Optimised {
    /// Files that are now links to another one.
    pub n_linked: u64,
    /// Bytes of disk that were freed.
    pub bytes_freed: u64,
}

impl LocalStore {
    /// Shares the equal files of all valid objects.
    pub fn optimise(&self) -> Result<Optimised, StoreError> {
        let mut sum = Optimised::default();
        for path in self.all_valid_paths()? {
            self.add_temp_root(&path)?;
            if self.is_valid(&path)? {
                let one = self.optimise_path(&path)?;
                sum.n_linked += one.n_linked;
                sum.bytes_freed += one.bytes_freed;
            }
        }
        Ok(sum)
    }

    /// Shares the files of one object with those in the pool.
    pub fn optimise_path(&self, path: &StorePath) -> Result<Optimised, StoreError> {
        let store = &self.writer("share files")?.dir;
        let links = match store.create_dir(".links", 0o755) {
            Ok(dir) => dir,
            Err(_) => store.open_dir(".links")?,
        };
        let mut sum = Optimised::default();
        let mut left = vec![(store.try_clone()?, path.base_name().as_bytes().to_vec())];
        while let Some((dir, name)) = left.pop() {
            let name = OsStr::from_bytes(&name);
            let stat = dir.stat(name)?;
            match EntryType::of(&stat) {
                EntryType::Directory => {
                    let inner = dir.open_dir(name)?;
                    for name in inner.entries()? {
                        left.push((inner.try_clone()?, name));
                    }
                }
                // A writable file is no finished part of the store.
                EntryType::Regular if stat.st_mode & 0o222 == 0 && stat.st_size > 0 => {
                    let is_root = dir.path() == store.path();
                    match share(store, &links, &dir, name, &stat, is_root) {
                        Ok(Some(bytes)) => {
                            sum.n_linked += 1;
                            sum.bytes_freed += bytes;
                        }
                        Ok(None) => {}
                        // Too many links, no room for a directory entry, or somebody was faster:
                        // the file simply stays as it is.
                        Err(e)
                            if matches!(
                                e.raw_os_error(),
                                Some(libc::EMLINK | libc::ENOSPC | libc::ENOENT | libc::EEXIST)
                            ) => {}
                        Err(e) => return Err(e),
                    }
                }
                _ => {}
            }
        }
        Ok(sum)
    }
}

/// Replaces one file by a link to the pool; gives the bytes freed, `None` if nothing changed.
fn share(
    store: &Dir,
    links: &Dir,
    dir: &Dir,
    name: &OsStr,
    stat: &rustix::fs::Stat,
    is_root: bool,
) -> Result<Option<u64>, StoreError> {
    let mut hasher = Hasher::new(HashAlgo::Sha256);
    sys::dump_nar(dir, name, &mut hasher)?;
    let link = hasher.finish().to_nix32();
    let Some(pooled) = links.lookup(&link)? else {
        dir.link(name, links, &link)?;
        return Ok(None);
    };
    if pooled.st_ino == stat.st_ino {
        return Ok(None);
    }
    if pooled.st_size != stat.st_size {
        // A damaged pool entry: replace it, as a link to it would damage this object.
        links.unlink(&link)?;
        dir.link(name, links, &link)?;
        return Ok(None);
    }
    let temp = format!(".tmp-link-{}-{}", std::process::id(), stat.st_ino);
    if store.lookup(&temp)?.is_some() {
        store.unlink(&temp)?;
    }
    links.link(&link, store, &temp)?;
    if !is_root {
        dir.chmod_self(0o755)?;
    }
    let answer = store.rename(&temp, dir, name);
    if !is_root {
        dir.chmod_self(0o555)?;
        dir.set_canonical_time_self()?;
    }
    if answer.is_err() {
        let _ = store.unlink(&temp);
    }
    answer?;
    let bytes =
        if stat.st_nlink == 1 { u64::try_from(stat.st_blocks).unwrap_or(0) * 512 } else { 0 };
    Ok(Some(bytes))
}
