//! From a stream of nodes to files on disk.
//!
//! Everything is created new (`O_EXCL`, never through a link) with its final metadata, below one
//! directory handle. Only the root directory stays writable: a directory that its owner cannot
//! write cannot be renamed into place; [`seal`] closes it afterwards.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;

use nix_formats::nar::{self, Event};
use rustix::fs::Mode;

use super::dirfd::{CANONICAL_TIMES, sync_file, sync_file_system};
use super::{Dir, EntryType};
use crate::add::TreeSink;
use crate::error::StoreError;

/// As deep as a NAR can be.
const MAX_DEPTH: usize = 64;

/// Writes a tree to disk.
pub struct RestoreSink<'a> {
    parent: &'a Dir,
    root: Vec<u8>,
    /// Open directories, the root's first.
    levels: Vec<Dir>,
    /// Name of the node that comes next; the root's is `root`.
    name: Vec<u8>,
    buffer: Vec<u8>,
    done: bool,
}

impl<'a> RestoreSink<'a> {
    /// A tree that will be `name` in `parent`, where nothing may be yet.
    pub fn new(parent: &'a Dir, name: impl AsRef<OsStr>) -> Result<RestoreSink<'a>, StoreError> {
        let root = name.as_ref().as_bytes().to_vec();
        Ok(RestoreSink {
            parent,
            name: root.clone(),
            root,
            levels: Vec::new(),
            buffer: Vec::new(),
            done: false,
        })
    }

    /// Checks that a whole tree has been written.
    pub fn finish(self) -> Result<(), StoreError> {
        if self.done && self.levels.is_empty() {
            return Ok(());
        }
        let place = self.parent.place(OsStr::from_bytes(&self.root));
        Err(StoreError::invalid(format!("the tree for '{}' is not complete", place.display())))
    }

    fn here(&self) -> &Dir {
        self.levels.last().unwrap_or(self.parent)
    }

    /// The end of a node: the root's ends the tree.
    fn node_end(&mut self) {
        if self.levels.is_empty() {
            self.done = true;
        }
    }
}

impl TreeSink for RestoreSink<'_> {
    fn file(
        &mut self,
        executable: bool,
        size: u64,
        contents: &mut dyn Read,
    ) -> Result<(), StoreError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        // Big enough for few calls, never by a length that somebody claims.
        buffer.resize(128 << 10, 0);
        let dir = self.here();
        let name = OsStr::from_bytes(&self.name);
        let fail = |e| StoreError::io("write", dir.place(name), e);
        let mut file = dir.create_file(name, 0o600)?;
        let mut left = size;
        while left > 0 {
            let want = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let n = match contents.read(&mut buffer[..want]) {
                Ok(0) => {
                    return Err(StoreError::invalid(format!(
                        "the contents for '{}' end {left} bytes early",
                        dir.place(name).display()
                    )));
                }
                Ok(n) => n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => {
                    return Err(StoreError::io("read the contents for", dir.place(name), e));
                }
            };
            file.write_all(&buffer[..n]).map_err(fail)?;
            left -= n as u64;
        }
        finish_file(&file, executable).map_err(|e| fail(e.into()))?;
        self.buffer = buffer;
        self.node_end();
        Ok(())
    }

    fn symlink(&mut self, target: &[u8]) -> Result<(), StoreError> {
        let dir = self.here();
        let name = OsStr::from_bytes(&self.name);
        dir.symlink(target, name)?;
        dir.set_canonical_time(name)?;
        self.node_end();
        Ok(())
    }

    fn directory_start(&mut self) -> Result<(), StoreError> {
        if self.levels.len() >= MAX_DEPTH {
            return Err(StoreError::invalid(format!(
                "'{}' is nested deeper than {MAX_DEPTH} directories",
                self.here().path().display()
            )));
        }
        let made = self.here().create_dir(OsStr::from_bytes(&self.name), 0o700)?;
        self.levels.push(made);
        Ok(())
    }

    fn entry(&mut self, name: &[u8]) -> Result<(), StoreError> {
        self.name.clear();
        self.name.extend_from_slice(name);
        Ok(())
    }

    fn directory_end(&mut self) -> Result<(), StoreError> {
        if let Some(dir) = self.levels.pop() {
            if self.levels.is_empty() {
                dir.chmod_self(0o755)?;
            } else {
                dir.chmod_self(0o555)?;
                dir.set_canonical_time_self()?;
            }
        }
        self.node_end();
        Ok(())
    }
}

fn finish_file(file: &File, executable: bool) -> Result<(), rustix::io::Errno> {
    rustix::fs::fchmod(file, Mode::from_raw_mode(if executable { 0o555 } else { 0o444 }))?;
    rustix::fs::futimens(file, &CANONICAL_TIMES)
}

/// Gives the root of a restored tree its final mode and time, once it is in place.
pub fn seal(parent: &Dir, name: impl AsRef<OsStr>) -> Result<(), StoreError> {
    let name = name.as_ref();
    if EntryType::of(&parent.stat(name)?) == EntryType::Directory {
        let dir = parent.open_dir(name)?;
        dir.chmod_self(0o555)?;
        dir.set_canonical_time_self()?;
    }
    Ok(())
}

/// Up to this many files and directories are flushed one by one; for more, the whole file
/// system is.
const MAX_SINGLE_SYNCS: usize = 48;

/// Waits until the trees `names` in `parent`, and their names, are on disk.
pub fn sync_trees<'n>(
    parent: &Dir,
    names: impl IntoIterator<Item = &'n str>,
) -> Result<(), StoreError> {
    let mut budget = MAX_SINGLE_SYNCS;
    for name in names {
        if !sync_tree(parent, name, &mut budget)? {
            return sync_file_system(parent);
        }
    }
    parent.sync()
}

/// `false` if the budget does not suffice.
fn sync_tree(parent: &Dir, name: &str, budget: &mut usize) -> Result<bool, StoreError> {
    let mut left = vec![(parent.try_clone()?, name.as_bytes().to_vec())];
    while let Some((dir, name)) = left.pop() {
        if *budget == 0 {
            return Ok(false);
        }
        *budget -= 1;
        let name = OsStr::from_bytes(&name);
        match EntryType::of(&dir.stat(name)?) {
            EntryType::Regular => sync_file(&dir.open_file(name)?, &dir.place(name))?,
            EntryType::Directory => {
                let inner = dir.open_dir(name)?;
                let names = inner.entries()?;
                if names.len() > *budget {
                    return Ok(false);
                }
                for name in names {
                    left.push((inner.try_clone()?, name));
                }
                inner.sync()?;
            }
            EntryType::Symlink | EntryType::Special => {}
        }
    }
    Ok(true)
}

/// Sends the nodes of a NAR into `sink`, and reads not one byte behind its end; `place` is for
/// errors. The input is read in small pieces: give something buffered.
///
/// # Errors
/// [`StoreError::Archive`] if it is no NAR or breaks a limit; what the sink says.
pub fn visit_nar(
    nar: &mut dyn Read,
    place: &str,
    sink: &mut dyn TreeSink,
) -> Result<(), StoreError> {
    let mut reader = nar::Reader::new(nar);
    loop {
        let event = reader
            .next_event()
            .map_err(|e| StoreError::Archive { place: place.to_owned(), reason: e.to_string() })?;
        match event {
            None => return Ok(()),
            Some(Event::DirectoryStart) => sink.directory_start()?,
            Some(Event::Entry(name)) => sink.entry(&name)?,
            Some(Event::DirectoryEnd) => sink.directory_end()?,
            Some(Event::Symlink(target)) => sink.symlink(&target)?,
            Some(Event::File { executable, size }) => sink.file(executable, size, &mut reader)?,
        }
    }
}

/// Writes the tree of a NAR to `name` in `parent`, where nothing may be yet.
pub fn restore_nar(
    nar: &mut dyn Read,
    place: &str,
    parent: &Dir,
    name: impl AsRef<OsStr>,
) -> Result<(), StoreError> {
    let mut sink = RestoreSink::new(parent, name)?;
    visit_nar(nar, place, &mut sink)?;
    sink.finish()
}
