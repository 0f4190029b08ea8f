//! Reading a NAR, node by node.

use std::io::{self, Read};

use super::{
    CASE_HACK, MAX_DEPTH, MAX_NAME_LEN, MAX_TARGET_LEN, NarError, check_name, check_order,
    check_target, lossy, token,
};
use crate::wire::{ALIGN, padding};

/// What a reader puts up with. Never more than NARs can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many directories may lie in each other; at most [`MAX_DEPTH`].
    pub depth: usize,
    /// How long the whole archive may be, in bytes; the size that somebody vouched for, if known.
    pub size_bytes: u64,
    /// Whether names with C++ Nix's case hack are taken as they are.
    pub allow_case_hack: bool,
}

impl Default for Limits {
    /// [`MAX_DEPTH`], no limit to the size, no case hack.
    fn default() -> Limits {
        Limits { depth: MAX_DEPTH, size_bytes: u64::MAX, allow_case_hack: false }
    }
}

/// What comes next in an archive; the calls of [`super::Writer`], seen from the other side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A directory begins.
    DirectoryStart,
    /// The name of the node that follows. Names of a directory are strictly increasing.
    Entry(Vec<u8>),
    /// The innermost open directory ends.
    DirectoryEnd,
    /// A symbolic link and its target; not empty, without NUL.
    Symlink(Vec<u8>),
    /// A regular file; its contents are next in the reader's [`Read`].
    File {
        /// The execute bit.
        executable: bool,
        /// Length of the contents, in bytes; nothing vouches for it.
        size: u64,
    },
}

/// Reads a NAR and says what comes next.
///
/// After [`Event::File`], reading from the reader gives the contents, and then nothing; a stream
/// that ends in them is an error. What is left unread is skipped by the next call of
/// [`Reader::next_event`]. Never reads past the end of the archive, so more may follow in the
/// stream. The input is read in small pieces: give something buffered. After an error all calls
/// fail.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    limits: Limits,
    /// Bytes read.
    at: u64,
    /// For every open directory, the name last read.
    open: Vec<Option<Vec<u8>>>,
    state: State,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum State {
    /// Before the archive.
    Start,
    /// Before a node.
    Node,
    /// Before an entry of a directory, or its end.
    Entry,
    /// In the contents of a file of `size` bytes, of which `left` are not read.
    Contents { size: u64, left: u64 },
    /// Behind the root node.
    Done,
    /// After an error.
    Failed,
}

impl<R: Read> Reader<R> {
    /// A reader with default limits.
    pub fn new(input: R) -> Reader<R> {
        Reader::with_limits(input, Limits::default())
    }

    /// A reader with these limits.
    pub fn with_limits(input: R, limits: Limits) -> Reader<R> {
        let limits = Limits { depth: limits.depth.min(MAX_DEPTH), ..limits };
        Reader { input, limits, at: 0, open: Vec::new(), state: State::Start }
    }

    /// What comes next; `None` behind the root node.
    ///
    /// # Errors
    /// The input is not a NAR, ends early, or breaks a limit.
    pub fn next_event(&mut self) -> Result<Option<Event>, NarError> {
        // Whoever succeeds says where we are then.
        match std::mem::replace(&mut self.state, State::Failed) {
            State::Start => {
                self.expect(&token::MAGIC, "the head of a NAR")?;
                self.node()
            }
            State::Node => self.node(),
            State::Contents { size, left } => {
                self.skip(left)?;
                self.padding(size)?;
                self.expect(&token::END, "the end of a file")?;
                self.node_end()?;
                self.after_node()
            }
            State::Entry => self.after_node(),
            State::Done => {
                self.state = State::Done;
                Ok(None)
            }
            State::Failed => Err(NarError::Turn("reading the NAR failed before")),
        }
    }

    /// Bytes read so far.
    pub fn n_bytes(&self) -> u64 {
        self.at
    }

    /// Checks that the archive has been read to its end and that nothing follows in the stream.
    ///
    /// # Errors
    /// [`NarError::Trailing`] if something follows; or the root node is not complete.
    pub fn expect_end(&mut self) -> Result<(), NarError> {
        if self.state != State::Done {
            return Err(NarError::Turn("the NAR has not been read to its end"));
        }
        loop {
            match self.input.read(&mut [0]) {
                Ok(0) => return Ok(()),
                Ok(_) => return Err(NarError::Trailing),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Gives the input back.
    pub fn into_inner(self) -> R {
        self.input
    }

    /// In a directory, or behind the root.
    fn after_node(&mut self) -> Result<Option<Event>, NarError> {
        if self.open.is_empty() {
            self.state = State::Done;
            return Ok(None);
        }
        match self.tag("'entry' or ')'")? {
            Tag::End => {
                self.open.pop();
                self.node_end()?;
                Ok(Some(Event::DirectoryEnd))
            }
            Tag::Entry => {
                self.expect(&token::ENTRY[16..], "the name of an entry")?;
                let name = self.string("name", MAX_NAME_LEN)?;
                check_name(&name)?;
                if !self.limits.allow_case_hack
                    && name.windows(CASE_HACK.len()).any(|part| part == CASE_HACK)
                {
                    return Err(NarError::CaseHack(lossy(&name)));
                }
                if let Some(before) = self.open.last_mut() {
                    check_order(before, &name)?;
                }
                self.expect(&token::ENTRY_NODE, "'node'")?;
                self.state = State::Node;
                Ok(Some(Event::Entry(name)))
            }
            _ => Err(NarError::Expected { expected: "'entry' or ')'", at: self.at }),
        }
    }

    fn node(&mut self) -> Result<Option<Event>, NarError> {
        self.expect(&token::NODE, "a node")?;
        let types = "'regular', 'symlink' or 'directory'";
        match self.tag(types)? {
            Tag::Regular => {
                let wanted = "'executable' or 'contents'";
                let executable = match self.tag(wanted)? {
                    Tag::Contents => false,
                    Tag::Executable => {
                        self.expect(&token::EXECUTABLE[24..], "an empty string")?;
                        self.expect(&token::CONTENTS, "'contents'")?;
                        true
                    }
                    _ => return Err(NarError::Expected { expected: wanted, at: self.at }),
                };
                let size = self.number()?;
                // Not even skipping may go beyond the limit.
                self.reserve(size)?;
                self.state = State::Contents { size, left: size };
                Ok(Some(Event::File { executable, size }))
            }
            Tag::Symlink => {
                self.expect(&token::SYMLINK[16..], "'target'")?;
                let target = self.string("target", MAX_TARGET_LEN)?;
                check_target(&target)?;
                self.expect(&token::END, "the end of a symbolic link")?;
                self.node_end()?;
                Ok(Some(Event::Symlink(target)))
            }
            Tag::Directory => {
                if self.open.len() >= self.limits.depth {
                    return Err(NarError::Depth(self.limits.depth));
                }
                self.open.push(None);
                self.state = State::Entry;
                Ok(Some(Event::DirectoryStart))
            }
            _ => Err(NarError::Expected { expected: types, at: self.at }),
        }
    }

    /// A node is complete; so is the entry that it belongs to.
    fn node_end(&mut self) -> Result<(), NarError> {
        self.state = if self.open.is_empty() {
            State::Done
        } else {
            self.expect(&token::END, "the end of an entry")?;
            State::Entry
        };
        Ok(())
    }

    /// One of the words between which the format chooses.
    fn tag(&mut self, expected: &'static str) -> Result<Tag, NarError> {
        let at = self.at;
        let wrong = NarError::Expected { expected, at };
        let len = self.number()?;
        let mut text = [0; 16];
        let padded = match len {
            1..=8 => 8,
            9..=16 => 16,
            _ => return Err(wrong),
        };
        self.fill(&mut text[..padded])?;
        let (word, zeros) = text[..padded].split_at(len as usize);
        let tag = match word {
            b")" => Tag::End,
            b"entry" => Tag::Entry,
            b"regular" => Tag::Regular,
            b"executable" => Tag::Executable,
            b"contents" => Tag::Contents,
            b"symlink" => Tag::Symlink,
            b"directory" => Tag::Directory,
            _ => return Err(wrong),
        };
        if zeros.iter().any(|byte| *byte != 0) {
            return Err(NarError::Padding(at + 8 + len));
        }
        Ok(tag)
    }

    /// Goes over bytes that must stand here.
    fn expect(&mut self, wanted: &[u8], expected: &'static str) -> Result<(), NarError> {
        let at = self.at;
        let mut bytes = [0; 48];
        let bytes = &mut bytes[..wanted.len()];
        self.fill(bytes)?;
        if bytes == wanted { Ok(()) } else { Err(NarError::Expected { expected, at }) }
    }

    fn string(&mut self, what: &'static str, max: usize) -> Result<Vec<u8>, NarError> {
        let at = self.at;
        let len = self.number()?;
        if len > max as u64 {
            return Err(NarError::Long { what, len, max, at });
        }
        let mut bytes = vec![0; len as usize];
        self.fill(&mut bytes)?;
        self.padding(len)?;
        Ok(bytes)
    }

    fn number(&mut self) -> Result<u64, NarError> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// The zeros behind a string of `len` bytes.
    fn padding(&mut self, len: u64) -> Result<(), NarError> {
        let at = self.at;
        let mut zeros = [0; ALIGN];
        let zeros = &mut zeros[..padding(len)];
        self.fill(zeros)?;
        if zeros.iter().any(|byte| *byte != 0) { Err(NarError::Padding(at)) } else { Ok(()) }
    }

    /// Reads all of `bytes`.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NarError> {
        self.reserve(bytes.len() as u64)?;
        let mut n_filled = 0;
        while n_filled < bytes.len() {
            n_filled += self.some(&mut bytes[n_filled..])?;
        }
        Ok(())
    }

    /// Reads at least one byte, and at most as many as `bytes` has, at least one.
    fn some(&mut self, bytes: &mut [u8]) -> Result<usize, NarError> {
        loop {
            match self.input.read(bytes) {
                Ok(0) => return Err(NarError::EndsEarly(self.at)),
                Ok(n) => {
                    self.at += n as u64;
                    return Ok(n);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn skip(&mut self, mut left: u64) -> Result<(), NarError> {
        let mut buffer = [0; 8 << 10];
        while left > 0 {
            let n = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            left -= self.some(&mut buffer[..n])? as u64;
        }
        Ok(())
    }

    /// Checks that `n_bytes` more are within the limit.
    fn reserve(&self, n_bytes: u64) -> Result<(), NarError> {
        match self.at.checked_add(n_bytes) {
            Some(end) if end <= self.limits.size_bytes => Ok(()),
            _ => Err(NarError::TooLong(self.limits.size_bytes)),
        }
    }
}

/// The words between which the format chooses.
enum Tag {
    End,
    Entry,
    Regular,
    Executable,
    Contents,
    Symlink,
    Directory,
}

/// The contents of the file that came last; empty behind its end.
impl<R: Read> Read for Reader<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let State::Contents { size, left } = self.state else { return Ok(0) };
        let n = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if n == 0 {
            return Ok(0);
        }
        self.state = State::Failed;
        match self.some(&mut bytes[..n]) {
            Ok(n) => {
                self.state = State::Contents { size, left: left - n as u64 };
                Ok(n)
            }
            Err(NarError::Io(error)) => Err(error),
            Err(error) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, error)),
        }
    }
}
