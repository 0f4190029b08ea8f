//! Writing a NAR, node by node, in canonical form or not at all.

use std::io::{self, Read, Write};

use super::{
    MAX_DEPTH, MAX_NAME_LEN, MAX_TARGET_LEN, NarError, check_name, check_order, check_target, token,
};
use crate::wire::{ALIGN, padding};

/// How many bytes are gathered before they are written.
const BUFFER_LEN: usize = 64 << 10;

/// Writes the NAR of a tree whose nodes it is told, parents first and names in order.
///
/// One root node: [`file`](Writer::file) (or [`file_start`](Writer::file_start), the contents and
/// [`file_end`](Writer::file_end)), [`symlink`](Writer::symlink), or
/// [`directory_start`](Writer::directory_start), for every entry its [`entry`](Writer::entry) name
/// and its node, then [`directory_end`](Writer::directory_end). Then [`finish`](Writer::finish).
///
/// Out of turn, out of order, or with a name that no NAR can have, it fails and stays failed. The
/// inner writer gets large pieces.
///
/// ```
/// # fn main() -> Result<(), nix_formats::nar::NarError> {
/// let mut nar = nix_formats::nar::Writer::new(Vec::new());
/// nar.directory_start()?;
/// nar.entry(b"hi")?;
/// nar.file(true, b"#!/bin/sh\necho hi\n")?;
/// nar.directory_end()?;
/// assert_eq!(nar.finish()?.len(), 336);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    /// Not written yet.
    buffer: Vec<u8>,
    /// For every open directory, the name last told.
    open: Vec<Option<Vec<u8>>>,
    turn: Turn,
    /// Bytes of the archive so far.
    n_bytes: u64,
}

/// What may be told next.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Turn {
    /// A node.
    Node,
    /// An entry, or the end of the directory.
    Entry,
    /// Contents of a file of `size` bytes, of which `left` are missing.
    Contents { size: u64, left: u64 },
    /// Nothing: the root is complete.
    Done,
    /// Nothing: it failed.
    Failed,
}

impl<W: Write> Writer<W> {
    /// Begins an archive that goes to `out`.
    pub fn new(out: W) -> Writer<W> {
        let mut writer =
            Writer { out, buffer: Vec::new(), open: Vec::new(), turn: Turn::Node, n_bytes: 0 };
        writer.buffer.extend_from_slice(&token::MAGIC);
        writer.n_bytes += token::MAGIC.len() as u64;
        writer
    }

    /// A directory begins.
    ///
    /// # Errors
    /// No node is due, or there are [`MAX_DEPTH`] open directories.
    pub fn directory_start(&mut self) -> Result<(), NarError> {
        self.take_turn(Turn::Node, "no node is due in the NAR")?;
        if self.open.len() >= MAX_DEPTH {
            return Err(NarError::Depth(MAX_DEPTH));
        }
        self.open.push(None);
        self.put(&token::NODE)?;
        self.put(&token::DIRECTORY)?;
        self.turn = Turn::Entry;
        Ok(())
    }

    /// The name of the node that follows, in the innermost open directory.
    ///
    /// # Errors
    /// No entry is due, the name is not allowed, or does not come after the last one.
    pub fn entry(&mut self, name: &[u8]) -> Result<(), NarError> {
        self.take_turn(Turn::Entry, "no entry is due in the NAR")?;
        if name.len() > MAX_NAME_LEN {
            return Err(self.long("name", name, MAX_NAME_LEN));
        }
        check_name(name)?;
        if let Some(before) = self.open.last_mut() {
            check_order(before, name)?;
        }
        self.put(&token::ENTRY)?;
        self.put_string(name)?;
        self.put(&token::ENTRY_NODE)?;
        self.turn = Turn::Node;
        Ok(())
    }

    /// The innermost open directory ends.
    ///
    /// # Errors
    /// No directory can end here.
    pub fn directory_end(&mut self) -> Result<(), NarError> {
        self.take_turn(Turn::Entry, "no directory can end here in the NAR")?;
        self.open.pop();
        self.node_end()
    }

    /// A symbolic link.
    ///
    /// # Errors
    /// No node is due, or the target is empty, too long, or contains NUL.
    pub fn symlink(&mut self, target: &[u8]) -> Result<(), NarError> {
        self.take_turn(Turn::Node, "no node is due in the NAR")?;
        if target.len() > MAX_TARGET_LEN {
            return Err(self.long("target", target, MAX_TARGET_LEN));
        }
        check_target(target)?;
        self.put(&token::NODE)?;
        self.put(&token::SYMLINK)?;
        self.put_string(target)?;
        self.node_end()
    }

    /// A regular file with these contents.
    ///
    /// # Errors
    /// No node is due.
    pub fn file(&mut self, executable: bool, contents: &[u8]) -> Result<(), NarError> {
        self.file_start(executable, contents.len() as u64)?;
        self.write_contents(contents)?;
        self.file_end()
    }

    /// A regular file of `size` bytes that are read from `contents`.
    ///
    /// # Errors
    /// No node is due, `contents` cannot be read or has fewer bytes.
    pub fn file_from(
        &mut self,
        executable: bool,
        size: u64,
        contents: &mut (impl Read + ?Sized),
    ) -> Result<(), NarError> {
        self.file_start(executable, size)?;
        io::copy(&mut contents.take(size), self)?;
        self.file_end()
    }

    /// A regular file of `size` bytes begins; the contents are written to this [`Write`].
    ///
    /// # Errors
    /// No node is due.
    pub fn file_start(&mut self, executable: bool, size: u64) -> Result<(), NarError> {
        self.take_turn(Turn::Node, "no node is due in the NAR")?;
        self.put(&token::NODE)?;
        self.put(&token::REGULAR)?;
        if executable {
            self.put(&token::EXECUTABLE)?;
        }
        self.put(&token::CONTENTS)?;
        self.put(&size.to_le_bytes())?;
        self.turn = Turn::Contents { size, left: size };
        Ok(())
    }

    /// The file that was begun ends.
    ///
    /// # Errors
    /// No file was begun, or contents are missing.
    pub fn file_end(&mut self) -> Result<(), NarError> {
        match std::mem::replace(&mut self.turn, Turn::Failed) {
            Turn::Contents { size, left: 0 } => {
                self.put(&[0; ALIGN][..padding(size)])?;
                self.node_end()
            }
            Turn::Contents { .. } => Err(NarError::Turn("a file has fewer bytes than announced")),
            _ => Err(NarError::Turn("no file can end here in the NAR")),
        }
    }

    /// Bytes of the archive so far, those not handed on yet included.
    pub fn n_bytes(&self) -> u64 {
        self.n_bytes
    }

    /// Writes what is left and gives the inner writer back. Does not flush it.
    ///
    /// # Errors
    /// The root node is not complete, or writing fails.
    pub fn finish(mut self) -> Result<W, NarError> {
        self.take_turn(Turn::Done, "the NAR is not complete")?;
        self.out.write_all(&self.buffer)?;
        Ok(self.out)
    }

    fn write_contents(&mut self, contents: &[u8]) -> Result<(), NarError> {
        let Turn::Contents { size, left } = self.turn else {
            return Err(NarError::Turn("no contents are due in the NAR"));
        };
        self.turn = Turn::Failed;
        let left = left
            .checked_sub(contents.len() as u64)
            .ok_or(NarError::Turn("a file has more bytes than announced"))?;
        self.put(contents)?;
        self.turn = Turn::Contents { size, left };
        Ok(())
    }

    /// Leaves the writer failed; whoever succeeds says whose turn is next.
    fn take_turn(&mut self, due: Turn, otherwise: &'static str) -> Result<(), NarError> {
        if std::mem::replace(&mut self.turn, Turn::Failed) == due {
            Ok(())
        } else {
            Err(NarError::Turn(otherwise))
        }
    }

    fn node_end(&mut self) -> Result<(), NarError> {
        self.put(&token::END)?;
        self.turn = if self.open.is_empty() {
            Turn::Done
        } else {
            self.put(&token::END)?;
            Turn::Entry
        };
        Ok(())
    }

    fn put_string(&mut self, bytes: &[u8]) -> io::Result<()> {
        let len = bytes.len() as u64;
        self.put(&len.to_le_bytes())?;
        self.put(bytes)?;
        self.put(&[0; ALIGN][..padding(len)])
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.n_bytes += bytes.len() as u64;
        if self.buffer.len() + bytes.len() > BUFFER_LEN {
            self.out.write_all(&self.buffer)?;
            self.buffer.clear();
            if bytes.len() >= BUFFER_LEN {
                return self.out.write_all(bytes);
            }
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn long(&self, what: &'static str, bytes: &[u8], max: usize) -> NarError {
        NarError::Long { what, len: bytes.len() as u64, max, at: self.n_bytes }
    }
}

/// Takes the contents of the file that was begun with [`Writer::file_start`].
impl<W: Write> Write for Writer<W> {
    fn write(&mut self, contents: &[u8]) -> io::Result<usize> {
        match self.write_contents(contents) {
            Ok(()) => Ok(contents.len()),
            Err(NarError::Io(error)) => Err(error),
            Err(error) => Err(io::Error::new(io::ErrorKind::InvalidInput, error)),
        }
    }

    /// Hands on nothing early: the archive is complete only after [`Writer::finish`].
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
