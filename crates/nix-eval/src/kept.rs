//! Files of a directory of what is kept: read, replaced in one step, removed when there are too many.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// How exactly the time of the last use is kept.
const USED_STEP: Duration = Duration::from_secs(60);

/// A file's bytes, if it is ours, no longer than `max_bytes`, and in a directory that nobody else may write to. Notes
/// that it was used.
pub(crate) fn read(dir: &Path, name: &str, max_bytes: u64) -> Option<Vec<u8>> {
    let file = File::open(dir.join(name)).ok()?;
    let found = file.metadata().ok()?;
    if !found.is_file() || found.len() > max_bytes || !is_private(dir) {
        return None;
    }
    let mut bytes = Vec::with_capacity(usize::try_from(found.len()).ok()?);
    (&file).take(max_bytes).read_to_end(&mut bytes).ok()?;
    note_use(&file, &found);
    Some(bytes)
}

/// Notes that a file was used: those that were not for longest are removed first.
pub(crate) fn note_use(file: &File, found: &fs::Metadata) {
    let now = SystemTime::now();
    let used = found.modified().ok().and_then(|used| now.duration_since(used).ok());
    if used.is_none_or(|ago| ago > USED_STEP) {
        // Only the order of removal suffers.
        let _ = file.set_modified(now);
    }
}

/// What no other process has in the name of a file at the same time, and this one hardly: who makes it makes it anew.
pub(crate) fn unique() -> String {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    format!("{}.{nanos}", std::process::id())
}

/// Whether a directory belongs to this user and nobody else may write to it.
pub(crate) fn is_private(dir: &Path) -> bool {
    fs::metadata(dir).is_ok_and(|found| {
        found.is_dir()
            && found.uid() == rustix::process::geteuid().as_raw()
            && found.mode() & 0o022 == 0
    })
}

/// Makes the directory, for this user alone.
///
/// # Errors
/// What the file system says; others may write to the one that is there.
pub(crate) fn make_dir(dir: &Path) -> io::Result<()> {
    if let Some(above) = dir.parent() {
        fs::create_dir_all(above)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(dir) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    if is_private(dir) {
        return Ok(());
    }
    let message = format!("'{}' belongs to another user, or others may write to it", dir.display());
    Err(io::Error::new(io::ErrorKind::PermissionDenied, message))
}

/// Writes a file under another name first: readers see a whole one or none.
///
/// # Errors
/// What the file system says.
pub(crate) fn write(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let scratch = dir.join(format!("{name}.{}", unique()));
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&scratch)?;
    let written = file.write_all(bytes).and_then(|()| fs::rename(&scratch, dir.join(name)));
    if written.is_err() {
        // What cannot be written can often not be removed either; it goes with the oldest.
        let _ = fs::remove_file(&scratch);
    }
    written
}

/// Removes the files that were not used for longest, until the rest has at most `max_bytes`.
///
/// # Errors
/// What the file system says of the directory. What other processes remove meanwhile is gone too.
pub(crate) fn shrink(dir: &Path, max_bytes: u64) -> io::Result<()> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let Ok(found) = entry.metadata() else { continue };
        if found.is_file() {
            all.push((found.modified().unwrap_or(UNIX_EPOCH), found.len(), entry.path()));
        }
    }
    let mut n_bytes: u64 = all.iter().map(|(_, size, _)| size).sum();
    if n_bytes <= max_bytes {
        return Ok(());
    }
    all.sort();
    for (_, size, path) in all {
        if n_bytes <= max_bytes {
            break;
        }
        if fs::remove_file(path).is_ok() {
            n_bytes -= size;
        }
    }
    Ok(())
}
