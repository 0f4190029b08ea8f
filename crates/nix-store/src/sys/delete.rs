//! Deletes a file tree, whatever it holds and whoever changes it meanwhile.
//!
//! Never follows a link and never leaves the device it started on. A builder may have nested
//! directories by the ten thousand; handles are kept open only for a bounded depth, and what is
//! deeper is first moved up.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::Stat;

use super::{Dir, EntryType};
use crate::error::StoreError;

/// Directories nested deeper than this are moved to the top before they are entered.
const MAX_OPEN: usize = 32;

/// One directory being emptied.
struct Level {
    dir: Dir,
    name: Vec<u8>,
    /// Names not yet deleted.
    left: Vec<Vec<u8>>,
}

/// Deletes `name` in `parent` with everything below it. Gives the bytes of disk it freed; files
/// with further hard links count as nothing. A missing name is fine.
///
/// # Errors
/// The first failed system call, naming the file; what was deleted before stays deleted.
pub fn delete_tree(parent: &Dir, name: impl AsRef<OsStr>) -> Result<u64, StoreError> {
    let name = name.as_ref();
    let Some(stat) = parent.lookup(name)? else { return Ok(0) };
    let device = stat.st_dev;
    let mut freed = 0;
    if EntryType::of(&stat) != EntryType::Directory {
        parent.unlink(name)?;
        return Ok(size_of(&stat));
    }
    let mut n_moved: u64 = 0;
    let mut levels = vec![enter(parent, name.as_bytes(), device)?];
    loop {
        let depth = levels.len();
        let Some(level) = levels.last_mut() else { break };
        let Some(child) = level.left.pop() else {
            let done = levels.pop().map(|l| l.name).unwrap_or_default();
            let above = levels.last().map_or(parent, |l| &l.dir);
            above.remove_dir(OsStr::from_bytes(&done))?;
            freed += 4096;
            continue;
        };
        let child_name = OsStr::from_bytes(&child);
        let Some(stat) = level.dir.lookup(child_name)? else { continue };
        if EntryType::of(&stat) != EntryType::Directory {
            level.dir.unlink(child_name)?;
            freed += size_of(&stat);
        } else if depth < MAX_OPEN {
            let next = enter(&level.dir, &child, device)?;
            levels.push(next);
        } else {
            // Too deep to hold a handle on every level: bring the directory up to the top.
            level.dir.chmod(child_name, 0o700)?;
            let (top, rest) = levels.split_at_mut(1);
            let from = &rest[rest.len() - 1].dir;
            loop {
                n_moved += 1;
                let new_name = format!(".moved-up-{n_moved}").into_bytes();
                match from.rename_new(child_name, &top[0].dir, OsStr::from_bytes(&new_name)) {
                    Ok(()) => {
                        top[0].left.push(new_name);
                        break;
                    }
                    Err(e) if e.raw_os_error() == Some(libc::EEXIST) => {}
                    Err(e) => return Err(e),
                }
            }
        }
    }
    Ok(freed)
}

fn enter(parent: &Dir, name: &[u8], device: u64) -> Result<Level, StoreError> {
    let name_os = OsStr::from_bytes(name);
    // Somebody else's directory may be read-only even for its owner.
    let stat = parent.stat(name_os)?;
    if stat.st_mode & 0o700 != 0o700 {
        parent.chmod(name_os, 0o700)?;
    }
    let dir = parent.open_dir(name_os)?;
    if dir.stat_self()?.st_dev != device {
        return Err(StoreError::invalid(format!(
            "'{}' is a mount point; unmount it before it can be deleted",
            dir.path().display()
        )));
    }
    let left = dir.entries()?;
    Ok(Level { dir, name: name.to_vec(), left })
}

fn size_of(stat: &Stat) -> u64 {
    if stat.st_nlink > 1 { 0 } else { u64::try_from(stat.st_blocks).unwrap_or(0) * 512 }
}
