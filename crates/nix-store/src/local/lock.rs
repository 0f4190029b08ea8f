//! Locks between processes that share a store, C++ Nix's among them.
//!
//! A path is locked by `flock` on `PATH.lock`. Whoever is done unlinks the file, and writes one
//! byte into it *after* unlinking: a waiter that gets the lock of a file with a byte in it knows
//! that it holds a file which is no longer there, and starts over.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags};

use crate::error::StoreError;

/// Locks on some store paths, held until dropped.
#[derive(Debug)]
pub struct PathLocks {
    held: Vec<(File, PathBuf)>,
    unlink: bool,
}

impl PathLocks {
    /// Waits for the locks of all `paths` (physical paths of store objects).
    ///
    /// They are taken in sorted order, so two processes that want several never wait for each
    /// other. A thread must not ask for a path it has locked already: it would wait for itself.
    pub fn wait(paths: &BTreeSet<PathBuf>) -> Result<PathLocks, StoreError> {
        let mut locks = PathLocks { held: Vec::new(), unlink: true };
        for path in paths {
            locks.take(path, FlockOperation::LockExclusive)?;
        }
        Ok(locks)
    }

    /// Takes all the locks, or none and `None` if somebody holds one of them.
    pub fn try_now(paths: &BTreeSet<PathBuf>) -> Result<Option<PathLocks>, StoreError> {
        let mut locks = PathLocks { held: Vec::new(), unlink: true };
        for path in paths {
            if !locks.take(path, FlockOperation::NonBlockingLockExclusive)? {
                return Ok(None);
            }
        }
        Ok(Some(locks))
    }

    /// Leaves the lock files where they are on release; by default they are removed.
    pub fn keep_files(&mut self) {
        self.unlink = false;
    }

    fn take(&mut self, path: &Path, operation: FlockOperation) -> Result<bool, StoreError> {
        let mut name = OsString::from(path);
        name.push(".lock");
        let lock_path = PathBuf::from(name);
        loop {
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            let fd = rustix::fs::open(&lock_path, flags, Mode::from_raw_mode(0o600))
                .map_err(|e| StoreError::io("open the lock", &lock_path, e))?;
            if !flock(&fd, operation).map_err(|e| StoreError::io("lock", &lock_path, e))? {
                return Ok(false);
            }
            let stat =
                rustix::fs::fstat(&fd).map_err(|e| StoreError::io("examine", &lock_path, e))?;
            if stat.st_size == 0 {
                self.held.push((File::from(fd), lock_path));
                return Ok(true);
            }
        }
    }
}

impl Drop for PathLocks {
    fn drop(&mut self) {
        for (file, path) in &mut self.held {
            if self.unlink && rustix::fs::unlink(path.as_path()).is_ok() {
                // Whoever waits on this very file learns that it is gone; if the byte cannot be
                // written, the waiter only ends up with a lock that nobody else can see, as
                // after any crash, and checks validity again anyway.
                let _ = file.write_all(b"d");
            }
        }
    }
}

/// `flock` that survives signals; `false` if it would have to wait and must not.
pub(super) fn flock(
    fd: impl std::os::fd::AsFd,
    operation: FlockOperation,
) -> Result<bool, rustix::io::Errno> {
    loop {
        match rustix::fs::flock(&fd, operation) {
            Ok(()) => return Ok(true),
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(false),
            Err(e) => return Err(e),
        }
    }
}

/// Opens (creating it if need be) a file whose only use is to be locked.
pub(super) fn open_lock_file(path: &Path) -> Result<File, StoreError> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::from_raw_mode(0o600))
        .map(File::from)
        .map_err(|e| StoreError::io("open the lock", path, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_excludes_and_its_file_is_gone_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let paths = BTreeSet::from([dir.path().join("a"), dir.path().join("b")]);
        let held = PathLocks::wait(&paths).unwrap();
        assert!(PathLocks::try_now(&paths).unwrap().is_none());
        drop(held);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        assert!(PathLocks::try_now(&paths).unwrap().is_some());
    }

    #[test]
    fn many_threads_take_turns() {
        let dir = tempfile::tempdir().unwrap();
        let paths = BTreeSet::from([dir.path().join("a")]);
        let busy = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let held = PathLocks::wait(&paths).unwrap();
                        assert_eq!(busy.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                        busy.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                        drop(held);
                    }
                });
            }
        });
    }
}
