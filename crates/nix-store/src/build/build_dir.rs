//! The directories of one build on the host, and the user that it runs as there.
//!
//! `STATE/builds/nix-PID-N`, 0700 and locked while in use: `build` is the build directory, `root`
//! becomes `/`. Nobody but the owner of the store can reach into it. A build that was killed
//! leaves its directory behind unlocked; the next one deletes it.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Gid, Mode, OFlags, Uid};

use super::request::Identity;
use super::sandbox::plan::{BUILD_GID, BUILD_UID};
use crate::error::StoreError;
use crate::sys::{Dir, delete_tree};

/// The first user number that root gives to builds, and how many it has to give. The range is
/// the one that C++ Nix uses for the same purpose.
const FIRST_UID: u32 = 872_415_232;
const N_SLOTS: u32 = 128;
const IDS_PER_SLOT: u32 = 65_536;

/// The directories of one build; deleted when dropped.
#[derive(Debug)]
pub(crate) struct BuildDir {
    builds: Dir,
    name: OsString,
    _lock: File,
}

impl BuildDir {
    /// Makes the directories.
    pub(crate) fn create(state_dir: &Path) -> Result<BuildDir, StoreError> {
        let path = state_dir.join("builds");
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(&path)
            .map_err(|e| StoreError::io("create the directory", &path, e))?;
        let builds = Dir::open(&path)?;
        delete_abandoned(&builds)?;
        for n in 0_u32.. {
            let name = OsString::from(format!("nix-{}-{n}", std::process::id()));
            match builds.create_dir(&name, 0o700) {
                Ok(_) => {}
                Err(e) if e.raw_os_error() == Some(libc::EEXIST) => continue,
                // Between making and opening, another process took it for abandoned.
                Err(e) if e.raw_os_error() == Some(libc::ENOENT) => continue,
                Err(e) => return Err(e),
            }
            // The same may happen between opening and locking.
            if let Some(lock) = try_lock(&builds, &name) {
                let dir = BuildDir { builds, name, _lock: lock };
                for inner in ["build", "root"] {
                    let path = dir.path().join(inner);
                    let mode = if inner == "build" { 0o700 } else { 0o755 };
                    fs::DirBuilder::new()
                        .mode(mode)
                        .create(&path)
                        .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(mode)))
                        .map_err(|e| StoreError::io("create the directory", &path, e))?;
                }
                return Ok(dir);
            }
        }
        Err(StoreError::invalid("no free name for a build directory"))
    }

    fn path(&self) -> PathBuf {
        self.builds.place(&self.name)
    }

    /// What the builder sees as its build directory.
    pub(crate) fn build(&self) -> PathBuf {
        self.path().join("build")
    }

    /// What the builder sees as `/`.
    pub(crate) fn root(&self) -> PathBuf {
        self.path().join("root")
    }

    /// Makes the store directory below the root, where the outputs will appear.
    pub(crate) fn make_store(
        &self,
        store_dir: &Path,
        owner: &Identity,
    ) -> Result<PathBuf, StoreError> {
        let path = self.root().join(store_dir.strip_prefix("/").unwrap_or(store_dir));
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(&path)
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o1775)))
            .map_err(|e| StoreError::io("create the directory", &path, e))?;
        give(&path, owner)?;
        Ok(path)
    }

    /// Writes the files that the builder finds in its build directory, and gives it to the build
    /// user.
    pub(crate) fn fill<'f>(
        &self,
        files: impl IntoIterator<Item = (&'f String, &'f Vec<u8>)>,
        owner: &Identity,
    ) -> Result<(), StoreError> {
        let dir = Dir::open(&self.build())?;
        for (name, contents) in files {
            use std::io::Write;
            let path = dir.place(name);
            let mut file = dir.create_file(name, 0o644)?;
            file.write_all(contents).map_err(|e| StoreError::io("write the file", &path, e))?;
            if owner.host_uid != rustix::process::geteuid().as_raw() {
                rustix::fs::fchown(
                    &file,
                    Some(Uid::from_raw(owner.host_uid)),
                    Some(Gid::from_raw(owner.host_gid)),
                )
                .map_err(|e| StoreError::io("give away the file", &path, e))?;
            }
        }
        give(&self.build(), owner)
    }

    /// Moves the build directory to a place where it stays, and gives its new path.
    pub(crate) fn keep(&self, drv_name: &str) -> Result<PathBuf, StoreError> {
        let inner = Dir::open(&self.path())?;
        let build = self.build();
        let own = (Some(rustix::process::geteuid()), Some(rustix::process::getegid()));
        // The directory alone: what is in it may be hard links to anything.
        rustix::fs::chown(&build, own.0, own.1)
            .map_err(|e| StoreError::io("take over the directory", &build, e))?;
        inner.chmod("build", 0o755)?;
        for n in 0_u32.. {
            let name = OsString::from(format!("kept-{drv_name}-{n}"));
            match inner.rename_new("build", &self.builds, &name) {
                Ok(()) => return Ok(self.builds.place(&name)),
                Err(e) if e.raw_os_error() == Some(libc::EEXIST) => {}
                Err(e) => return Err(e),
            }
        }
        Err(StoreError::invalid("no free name for the kept build directory"))
    }
}

impl Drop for BuildDir {
    fn drop(&mut self) {
        let _ = delete_tree(&self.builds, &self.name);
    }
}

fn give(path: &Path, owner: &Identity) -> Result<(), StoreError> {
    if owner.host_uid == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    rustix::fs::chown(
        path,
        Some(Uid::from_raw(owner.host_uid)),
        Some(Gid::from_raw(owner.host_gid)),
    )
    .map_err(|e| StoreError::io("give away the directory", path, e))
}

fn try_lock(dir: &Dir, name: &OsStr) -> Option<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::openat(dir, name, flags, Mode::empty()).ok()?);
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
    // The lock counts only if the name still leads to what is locked.
    let (ours, named) = (rustix::fs::fstat(&file).ok()?, dir.lookup(name).ok()??);
    (ours.st_ino == named.st_ino).then_some(file)
}

/// Deletes the directories of builds whose process is gone.
fn delete_abandoned(builds: &Dir) -> Result<(), StoreError> {
    let own = format!("nix-{}-", std::process::id());
    for name in builds.entries()? {
        let name = OsStr::from_bytes(&name);
        // Another thread of this process may be about to lock one of ours.
        if name.as_bytes().starts_with(b"nix-")
            && !name.as_bytes().starts_with(own.as_bytes())
            && let Some(_lock) = try_lock(builds, name)
        {
            // Another process may delete it at the same time; then it is gone, too.
            let _ = delete_tree(builds, name);
        }
    }
    Ok(())
}

/// A user of the host that no other build has.
#[derive(Debug)]
pub(crate) struct BuildUser {
    /// Who that is.
    pub(crate) identity: Identity,
    _slot: Option<File>,
}

impl BuildUser {
    /// Takes a user: root has a range of numbers to give, everybody else has only themselves.
    /// Without a sandbox a build runs as the caller.
    pub(crate) fn take(state_dir: &Path, sandboxed: bool) -> Result<BuildUser, StoreError> {
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        let own = Identity {
            uid: BUILD_UID,
            gid: BUILD_GID,
            host_uid: uid.as_raw(),
            host_gid: gid.as_raw(),
        };
        if !sandboxed || !uid.is_root() || !can_map(FIRST_UID, N_SLOTS * IDS_PER_SLOT) {
            return Ok(BuildUser { identity: own, _slot: None });
        }
        let dir = state_dir.join("userpool2");
        fs::create_dir_all(&dir).map_err(|e| StoreError::io("create the directory", &dir, e))?;
        for n in 0..N_SLOTS {
            let path = dir.join(format!("slot-{n}"));
            let file = File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
                .map_err(|e| StoreError::io("open the lock", &path, e))?;
            if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
                let id = FIRST_UID + n * IDS_PER_SLOT;
                let identity = Identity { host_uid: id, host_gid: id, ..own };
                return Ok(BuildUser { identity, _slot: Some(file) });
            }
        }
        Err(StoreError::invalid(format!(
            "all {N_SLOTS} build users are taken; run fewer builds at the same time"
        )))
    }
}

/// Whether this process's own user namespace has these numbers; a container may have few.
fn can_map(first: u32, count: u32) -> bool {
    let maps = |file: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        text.lines().any(|line| {
            let mut words = line.split_ascii_whitespace().map(str::parse::<u64>);
            let (Some(Ok(start)), Some(Ok(_)), Some(Ok(length))) =
                (words.next(), words.next(), words.next())
            else {
                return false;
            };
            start <= u64::from(first) && u64::from(first) + u64::from(count) <= start + length
        })
    };
    maps("/proc/self/uid_map") && maps("/proc/self/gid_map")
}
