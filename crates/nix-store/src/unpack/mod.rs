//! Unpacking tar archives without trusting them.
//!
//! The `tar` crate splits the stream into entries; where they go is decided here. Names are taken apart into
//! components and every step goes through a directory handle that follows no link, so an archive
//! cannot write outside its directory, whatever links it makes first. Absolute names, `..`, devices and
//! pipes are refused, never repaired. Sizes count as they appear: a sparse file of a terabyte is one.

mod directory;
mod memory;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use tar::EntryType;

use crate::add::MemoryTree;
use crate::codec::{CodecLimits, Compression, decoder};
use crate::error::StoreError;
use crate::sys::Dir;

pub(crate) use directory::DirTarget;

/// What an archive may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnpackLimits {
    /// Most entries.
    pub n_entries: u64,
    /// Most bytes of contents, and of the uncompressed archive.
    pub n_bytes: u64,
    /// Most bytes of names and other facts about one entry.
    pub header_bytes: u64,
    /// Most nested directories.
    pub depth: usize,
    /// Memory of the decompressor.
    pub codec: CodecLimits,
}

impl Default for UnpackLimits {
    /// A million entries, 32 GiB, 1 MiB of names.
    fn default() -> UnpackLimits {
        UnpackLimits {
            n_entries: 1_000_000,
            n_bytes: 32 << 30,
            header_bytes: 1 << 20,
            depth: 60,
            codec: CodecLimits::default(),
        }
    }
}

/// Unpacks a tar archive, compressed or not, into the empty directory `into`. `place` is for errors.
///
/// # Errors
/// [`StoreError::Archive`] for a broken archive, an unsafe entry or a limit; what writing says.
pub fn unpack_tar(
    archive: &mut dyn Read,
    place: &str,
    into: &Dir,
    limits: &UnpackLimits,
) -> Result<(), StoreError> {
    unpack(archive, place, &mut DirTarget::new(into), limits)
}

/// Unpacks a tar archive, compressed or not, into memory. `place` is for errors.
///
/// # Errors
/// As [`unpack_tar`]. Set `n_bytes` of the limits to what memory allows.
pub fn unpack_tar_in_memory(
    archive: &mut dyn Read,
    place: &str,
    limits: &UnpackLimits,
) -> Result<MemoryTree, StoreError> {
    let mut target = memory::MemoryTarget::default();
    unpack(archive, place, &mut target, limits)?;
    Ok(target.finish())
}

/// Why an entry cannot be made.
pub(crate) enum Refusal {
    /// The archive is to blame.
    Entry(String),
    /// The machine is.
    Store(StoreError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Refusal {
        Refusal::Store(error)
    }
}

/// Where entries go. Paths are checked components, never empty but for the root directory.
pub(crate) trait Target {
    fn directory(&mut self, path: &[&[u8]]) -> Result<(), Refusal>;
    fn file(
        &mut self,
        path: &[&[u8]],
        executable: bool,
        contents: &mut dyn Read,
    ) -> Result<(), Refusal>;
    fn symlink(&mut self, path: &[&[u8]], target: &[u8]) -> Result<(), Refusal>;
    fn hard_link(&mut self, path: &[&[u8]], existing: &[&[u8]]) -> Result<(), Refusal>;
}

fn unpack(
    archive: &mut dyn Read,
    place: &str,
    target: &mut dyn Target,
    limits: &UnpackLimits,
) -> Result<(), StoreError> {
    let broken = |reason: String| StoreError::Archive { place: place.to_owned(), reason };
    let (reader, compression) =
        decoder(archive, limits.codec).map_err(|e| broken(e.to_string()))?;
    let budget = Rc::new(Cell::new(0));
    let metered = Metered { inner: reader, budget: budget.clone(), left: limits.n_bytes };
    let mut archive = tar::Archive::new(metered);
    let mut entries = archive.entries().map_err(|e| broken(e.to_string()))?;
    let (mut n_entries, mut n_bytes) = (0u64, 0u64);
    loop {
        // Names longer than a header allows are collected in memory before the entry appears.
        budget.set(limits.header_bytes);
        let Some(entry) = entries.next() else { break };
        let mut entry = entry.map_err(|e| broken(read_text(&e, n_entries, compression)))?;
        budget.set(u64::MAX);
        n_entries += 1;
        if n_entries > limits.n_entries {
            return Err(broken(format!("it has more than {} entries", limits.n_entries)));
        }
        n_bytes = n_bytes.saturating_add(entry.size());
        if n_bytes > limits.n_bytes {
            return Err(broken(format!("its contents are larger than {} bytes", limits.n_bytes)));
        }
        let name = entry.path_bytes().into_owned();
        let shown = String::from_utf8_lossy(&name).escape_debug().to_string();
        let refuse = |reason: &str| broken(format!("entry '{shown}': {reason}"));
        if let Some(facts) = entry.pax_extensions().map_err(|e| refuse(&e.to_string()))? {
            for fact in facts {
                fact.map_err(|e| refuse(&format!("broken extended header: {e}")))?;
            }
        }
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            continue;
        }
        let path = components(&name, limits.depth).map_err(|r| refuse(&r))?;
        let mode = entry.header().mode().map_err(|e| refuse(&e.to_string()))?;
        let link = entry.link_name_bytes().map(|l| l.into_owned());
        let no_link = || refuse("it is a link without a target");
        let made = match kind {
            EntryType::Directory => target.directory(&path),
            // Archives older than the type mark directories by a slash.
            EntryType::Regular if name.ends_with(b"/") && entry.size() == 0 => {
                target.directory(&path)
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let size = entry.size();
                let mut exact = Exact { inner: &mut entry, left: size };
                target.file(&path, mode & 0o100 != 0, &mut exact)
            }
            EntryType::Symlink => {
                let link = link.filter(|l| !l.is_empty()).ok_or_else(no_link)?;
                if link.contains(&0) {
                    return Err(refuse("the target of the link contains a zero byte"));
                }
                target.symlink(&path, &link)
            }
            EntryType::Link => {
                let link = link.ok_or_else(no_link)?;
                let existing = components(&link, limits.depth).map_err(|r| refuse(&r))?;
                target.hard_link(&path, &existing)
            }
            EntryType::Char | EntryType::Block => return Err(refuse("devices are not allowed")),
            EntryType::Fifo => return Err(refuse("pipes are not allowed")),
            other => {
                let byte = char::from(other.as_byte());
                return Err(refuse(&format!("entries of type '{byte}' are not known")));
            }
        };
        match made {
            Ok(()) => {}
            Err(Refusal::Entry(reason)) => return Err(refuse(&reason)),
            Err(Refusal::Store(error)) => return Err(error),
        }
        io::copy(&mut entry, &mut io::sink()).map_err(|e| refuse(&e.to_string()))?;
    }
    if n_entries == 0 {
        return Err(broken("it is empty or not a tar archive".to_owned()));
    }
    Ok(())
}

fn read_text(error: &io::Error, n_entries: u64, compression: Compression) -> String {
    if n_entries > 0 {
        return format!("it breaks off or is damaged after {n_entries} entries: {error}");
    }
    match compression {
        Compression::None => format!("it is not a tar archive ({error})"),
        packed => format!(
            "it is {}-compressed, but what is inside is not a tar archive ({error})",
            packed.name()
        ),
    }
}

/// The components of an entry's name; none for the root directory.
pub(crate) fn components(name: &[u8], max_depth: usize) -> Result<Vec<&[u8]>, String> {
    if name.contains(&0) {
        return Err("the name contains a zero byte".to_owned());
    }
    if name.first() == Some(&b'/') {
        return Err("absolute names are not allowed".to_owned());
    }
    let parts: Vec<_> =
        name.split(|&b| b == b'/').filter(|p| !p.is_empty() && *p != b".").collect();
    if parts.iter().any(|p| *p == b"..") {
        return Err("'..' is not allowed in names".to_owned());
    }
    if parts.iter().any(|p| p.len() > 255) {
        return Err("a component of the name is longer than 255 bytes".to_owned());
    }
    if parts.len() > max_depth {
        return Err(format!("it is nested deeper than {max_depth} directories"));
    }
    Ok(parts)
}

/// Bounds what is read between entries, and in all.
struct Metered<R> {
    inner: R,
    budget: Rc<Cell<u64>>,
    left: u64,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)? as u64;
        self.left = self
            .left
            .checked_sub(n)
            .ok_or_else(|| io::Error::other("the uncompressed archive is too large"))?;
        match self.budget.get() {
            u64::MAX => {}
            budget => self.budget.set(budget.checked_sub(n).ok_or_else(|| {
                io::Error::other("the names and facts of an entry are too large")
            })?),
        }
        Ok(n as usize)
    }
}

/// Fails when contents end before their size.
struct Exact<'a> {
    inner: &'a mut dyn Read,
    left: u64,
}

impl Read for Exact<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        if n == 0 && self.left > 0 && !buffer.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("the contents end {} bytes early", self.left),
            ));
        }
        self.left = self.left.saturating_sub(n as u64);
        Ok(n)
    }
}
