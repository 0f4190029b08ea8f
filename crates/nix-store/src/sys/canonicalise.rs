//! Gives a file tree the metadata that everything in a store has.
//!
//! Modification time 1, mode 0444 or 0555 (directories 0555), no extended attributes. What is
//! neither file, directory nor link cannot be kept and is an error, and so is a file that
//! belongs to somebody else: it may be a hard link to a file outside.

use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{Mode, OFlags};

use super::dirfd::CANONICAL_TIMES;
use super::{Dir, EntryType};
use crate::error::StoreError;

/// Whose files are acceptable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Anybody's: the tree comes from a place that only its owner can write.
    Any,
    /// Only this user's.
    User(u32),
}

/// Attributes that a security module or a network file system sets by itself.
const KEPT_ATTRIBUTES: [&[u8]; 3] = [b"security.selinux", b"system.nfs4_acl", b"security.csm"];

/// Makes `name` in `parent` and everything below it canonical.
///
/// # Errors
/// A special file or one with a wrong owner, by name; the first failed system call.
pub fn canonicalise(parent: &Dir, name: impl AsRef<OsStr>, owner: Owner) -> Result<(), StoreError> {
    let name = name.as_ref();
    let mut levels: Vec<(Dir, Vec<Vec<u8>>)> = Vec::new();
    one(parent, name, owner, &mut levels)?;
    while let Some((dir, left)) = levels.last_mut() {
        match left.pop() {
            Some(child) => {
                let dir = dir.try_clone()?;
                one(&dir, OsStr::from_bytes(&child), owner, &mut levels)?;
                if levels.len() > MAX_DEPTH {
                    return Err(StoreError::invalid(format!(
                        "'{}' has directories nested deeper than {MAX_DEPTH}",
                        parent.place(name).display()
                    )));
                }
            }
            None => {
                dir.chmod_self(0o555)?;
                dir.set_canonical_time_self()?;
                levels.pop();
            }
        }
    }
    Ok(())
}

/// As deep as a NAR can be.
const MAX_DEPTH: usize = 64;

fn one(
    dir: &Dir,
    name: &OsStr,
    owner: Owner,
    levels: &mut Vec<(Dir, Vec<Vec<u8>>)>,
) -> Result<(), StoreError> {
    let stat = dir.stat(name)?;
    if let Owner::User(uid) = owner
        && stat.st_uid != uid
    {
        return Err(StoreError::invalid(format!(
            "'{}' belongs to user {}, not to {uid}",
            dir.place(name).display(),
            stat.st_uid
        )));
    }
    match EntryType::of(&stat) {
        EntryType::Special => Err(special(dir, name)),
        EntryType::Symlink => dir.set_canonical_time(name),
        EntryType::Directory => {
            if stat.st_mode & 0o700 != 0o700 {
                dir.chmod(name, 0o700)?;
            }
            let inner = dir.open_dir(name)?;
            remove_attributes(&inner, &dir.place(name))?;
            let names = inner.entries()?;
            levels.push((inner, names));
            Ok(())
        }
        EntryType::Regular => {
            // Setuid bits go first; a file nobody may read cannot be opened.
            if stat.st_mode & 0o7777 != 0o444 && stat.st_mode & 0o7777 != 0o555 {
                dir.chmod(name, if stat.st_mode & 0o100 != 0 { 0o555 } else { 0o444 })?;
            }
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let file = rustix::fs::openat(dir, name, flags, Mode::empty())
                .map_err(|e| StoreError::io("open the file", dir.place(name), e))?;
            remove_attributes(&file, &dir.place(name))?;
            rustix::fs::futimens(&file, &CANONICAL_TIMES)
                .map_err(|e| StoreError::io("set the time of", dir.place(name), e))
        }
    }
}

pub(super) fn special(dir: &Dir, name: &OsStr) -> StoreError {
    StoreError::invalid(format!(
        "'{}' is neither a file, a directory nor a symbolic link",
        dir.place(name).display()
    ))
}

fn remove_attributes(file: impl AsFd, place: &std::path::Path) -> Result<(), StoreError> {
    let mut names = vec![0_u8; 4096];
    let length = loop {
        match rustix::fs::flistxattr(&file, &mut names[..]) {
            Ok(length) => break length,
            Err(rustix::io::Errno::RANGE) if names.len() < 1 << 20 => {
                names.resize(names.len() * 4, 0);
            }
            Err(rustix::io::Errno::NOTSUP | rustix::io::Errno::NODATA) => return Ok(()),
            Err(e) => return Err(StoreError::io("list the attributes of", place, e)),
        }
    };
    for name in names[..length].split(|b| *b == 0).filter(|n| !n.is_empty()) {
        if KEPT_ATTRIBUTES.contains(&name) {
            continue;
        }
        rustix::fs::fremovexattr(&file, OsStr::from_bytes(name))
            .map_err(|e| StoreError::io("remove an attribute of", place, e))?;
    }
    Ok(())
}
