//! One file of programs: written once, then only read.
//!
//! A head, entries, and a table by hash behind them. Numbers are little-endian. Nothing is mapped: a mapped file that
//! somebody cuts short is a signal, and what is read lies in memory that is used again.

use std::{
    fs::File,
    hash::Hasher,
    io::{self, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustc_hash::FxHasher;

use super::{
    Source,
    stream::{PIECE, Stream, Sum},
};
use crate::kept;

const MARK: &[u8; 8] = b"nixprog1";
/// Mark, identity, where the table is, how many places it has, check sum; zeros.
const HEAD_BYTES: usize = 64;
/// Hash, check sum of the entry, where it is in units of [`UNIT`] bytes, its length; 0 is an empty place.
const SLOT_BYTES: usize = 24;
/// An entry is near the place that its hash names.
const N_NEAR: usize = 8;
const UNIT: u64 = 16;
/// Entries are written this many bytes at a time, at least. An entry is lengths of directory and text, these, and the
/// program.
const BUFFER: usize = 1 << 18;

/// What programs depend on besides directory and text.
pub(super) type Identity = [u8; 32];

/// Where programs of texts are looked for. Equal hashes do no harm: directories and texts are compared.
pub(super) fn hash_of(dir: &[u8], text: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(dir);
    hasher.write(text);
    hasher.finish()
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

fn half(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

/// An entry's place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Slot {
    hash: u64,
    sum: u64,
    at: u32,
    len: u32,
}

impl Slot {
    fn read(bytes: &[u8]) -> Option<Slot> {
        let (hash, sum) = (number(bytes, 0)?, number(bytes, 8)?);
        Some(Slot { hash, sum, at: half(bytes, 16)?, len: half(bytes, 20)? })
    }
    fn start(self) -> u64 {
        u64::from(self.at) * UNIT
    }
    fn end(self) -> u64 {
        self.start() + u64::from(self.len)
    }
}

/// A file of programs that is there.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    file: File,
    pub(super) n_bytes: u64,
    table: u64,
    n_slots: u64,
}

impl Segment {
    /// Opens a file, if it holds programs of this identity.
    pub(super) fn open(path: PathBuf, identity: &Identity) -> Option<Segment> {
        let file = File::open(&path).ok()?;
        let found = file.metadata().ok()?;
        if !found.is_file() {
            return None;
        }
        let mut head = [0; HEAD_BYTES];
        file.read_exact_at(&mut head, 0).ok()?;
        let is_ours = head.starts_with(MARK) && &head[8..40] == identity;
        if !is_ours || number(&head, 56)? != Sum::of(&head[..56]) {
            return None;
        }
        kept::note_use(&file, &found);
        let (table, n_slots) = (number(&head, 40)?, number(&head, 48)?);
        let fits = n_slots.checked_mul(SLOT_BYTES as u64)?.checked_add(table)? == found.len();
        let is_table = n_slots > N_NEAR as u64 && (n_slots - N_NEAR as u64).is_power_of_two();
        (fits && is_table).then_some(Segment { path, file, n_bytes: found.len(), table, n_slots })
    }

    /// The program of a text in a directory, as `decode` makes it. `buffer` is memory to be used again.
    pub(super) fn find<T>(
        &self,
        hash: u64,
        (dir, text): Source<'_>,
        buffer: &mut Vec<u8>,
        mut decode: impl FnMut(&mut Stream<'_>) -> Option<T>,
    ) -> Option<T> {
        let place = hash & (self.n_slots - N_NEAR as u64 - 1);
        let mut near = [0; N_NEAR * SLOT_BYTES];
        self.file.read_exact_at(&mut near, self.table + place * SLOT_BYTES as u64).ok()?;
        let slots = near.chunks_exact(SLOT_BYTES).map_while(Slot::read);
        let ours = slots.take_while(|slot| slot.len > 0).filter(|slot| slot.hash == hash);
        for slot in ours.filter(|slot| slot.end() <= self.table) {
            let mut stream = Stream::new(&self.file, slot.start(), slot.end(), buffer);
            let lengths = stream.record::<2>();
            if lengths == Some([dir.len() as u32, text.len() as u32])
                && stream.expect(dir).is_some()
                && stream.expect(text).is_some()
                && let Some(program) = decode(&mut stream)
                && stream.finish() == Some(slot.sum)
            {
                return Some(program);
            }
        }
        None
    }

    /// The places of all entries, in order.
    fn slots(&self) -> Option<Vec<Slot>> {
        let n_bytes = self.n_slots.checked_mul(SLOT_BYTES as u64)?;
        let mut table = vec![0; usize::try_from(n_bytes).ok()?];
        self.file.read_exact_at(&mut table, self.table).ok()?;
        let slots = table.chunks_exact(SLOT_BYTES).filter_map(Slot::read);
        let mut slots: Vec<Slot> = slots.filter(|slot| slot.len > 0).collect();
        slots.sort_by_key(|slot| slot.at);
        Some(slots)
    }
}

/// A file of programs that is being written. It has its name when it is finished, and is removed if it never is.
#[derive(Debug)]
pub(super) struct NewSegment {
    scratch: PathBuf,
    file: File,
    /// What is not in the file yet.
    buffer: Vec<u8>,
    /// How much of it is summed, and what is not is shorter than a piece.
    n_summed: usize,
    n_written: u64,
    /// Of the entry at hand: where it begins, its check sum so far.
    start: u64,
    sum: Sum,
    failure: Option<io::Error>,
    slots: Vec<Slot>,
    is_finished: bool,
}

impl Drop for NewSegment {
    fn drop(&mut self) {
        if !self.is_finished {
            // What cannot be removed now goes with the oldest.
            let _ = std::fs::remove_file(&self.scratch);
        }
    }
}

impl NewSegment {
    /// Begins a file in a directory that is there.
    ///
    /// # Errors
    /// What the file system says.
    pub(super) fn new(dir: &Path) -> io::Result<NewSegment> {
        let scratch = dir.join(format!("new.{}", kept::unique()));
        let file = File::options().write(true).create_new(true).mode(0o600).open(&scratch)?;
        Ok(NewSegment {
            scratch,
            file,
            buffer: vec![0; HEAD_BYTES],
            n_summed: HEAD_BYTES,
            n_written: 0,
            start: 0,
            sum: Sum::default(),
            failure: None,
            slots: Vec::new(),
            is_finished: false,
        })
    }

    /// Bytes of the file so far.
    pub(super) fn n_bytes(&self) -> u64 {
        self.n_written + self.buffer.len() as u64
    }

    /// Begins an entry; the bytes of the program come next.
    pub(super) fn begin(&mut self, (dir, text): Source<'_>) {
        self.begin_bytes();
        self.push(&(dir.len() as u32).to_le_bytes());
        self.push(&(text.len() as u32).to_le_bytes());
        self.push(dir);
        self.push(text);
    }

    fn begin_bytes(&mut self) {
        self.start = self.n_bytes();
        self.sum = Sum::default();
    }

    /// Adds bytes to the entry at hand.
    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        loop {
            let n = bytes.len().min(PIECE - (self.buffer.len() - self.n_summed));
            let (now, later) = bytes.split_at(n);
            self.buffer.extend_from_slice(now);
            bytes = later;
            if self.buffer.len() - self.n_summed < PIECE {
                return;
            }
            self.sum.add(&self.buffer[self.n_summed..]);
            self.n_summed = self.buffer.len();
            self.flush_if_large();
        }
    }

    /// Ends an entry, which is found by `hash`; by nobody without one.
    ///
    /// # Errors
    /// What the file system said since the last one.
    pub(super) fn end(&mut self, hash: Option<u64>) -> io::Result<()> {
        if self.buffer.len() > self.n_summed {
            self.sum.add(&self.buffer[self.n_summed..]);
        }
        let (len, at) = (self.n_bytes() - self.start, self.start / UNIT);
        // One that is too large is not found.
        if let (Ok(len), Ok(at), Some(hash)) = (u32::try_from(len), u32::try_from(at), hash) {
            self.slots.push(Slot { hash, sum: self.sum.finish(), at, len });
        }
        let padding = (self.n_bytes().next_multiple_of(UNIT) - self.n_bytes()) as usize;
        self.buffer.resize(self.buffer.len() + padding, 0);
        self.n_summed = self.buffer.len();
        self.flush_if_large();
        self.failure.take().map_or(Ok(()), Err)
    }

    fn flush_if_large(&mut self) {
        if self.buffer.len() >= BUFFER
            && let Err(e) = self.flush()
        {
            self.failure.get_or_insert(e);
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.n_written += self.buffer.len() as u64;
        let written = self.file.write_all(&self.buffer);
        self.buffer.clear();
        self.n_summed = 0;
        written
    }

    /// Adds what another file has and this one does not.
    ///
    /// # Errors
    /// What the file system says; the other file is damaged.
    pub(super) fn absorb(&mut self, other: &Segment) -> io::Result<()> {
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "a damaged file of programs");
        let known: std::collections::HashSet<(u64, u32)> =
            self.slots.iter().map(|slot| (slot.hash, slot.len)).collect();
        let mut entry = Vec::new();
        for slot in other.slots().ok_or_else(damaged)? {
            // The same text in the same directory, but for a chance in 2^64: then it is read again.
            if !known.contains(&(slot.hash, slot.len)) {
                if slot.end() > other.table {
                    return Err(damaged());
                }
                entry.resize(slot.len as usize, 0);
                other.file.read_exact_at(&mut entry, slot.start())?;
                if Sum::of(&entry) != slot.sum {
                    continue;
                }
                self.begin_bytes();
                self.push(&entry);
                self.end(Some(slot.hash))?;
            }
        }
        Ok(())
    }

    /// Writes the table and gives the file its name.
    ///
    /// # Errors
    /// What the file system says.
    pub(super) fn finish(mut self, name: &Path, identity: &Identity) -> io::Result<()> {
        self.flush()?;
        let (n_slots, table) = table_of(&self.slots);
        let mut head = Vec::with_capacity(HEAD_BYTES);
        head.extend_from_slice(MARK);
        head.extend_from_slice(identity);
        head.extend_from_slice(&self.n_written.to_le_bytes());
        head.extend_from_slice(&(n_slots as u64).to_le_bytes());
        let sum = Sum::of(&head);
        head.extend_from_slice(&sum.to_le_bytes());
        self.file.write_all(&table)?;
        self.file.write_all_at(&head, 0)?;
        std::fs::rename(&self.scratch, name)?;
        self.is_finished = true;
        Ok(())
    }
}

/// A table in which every entry is near its place: how many places it has, and their bytes.
fn table_of(slots: &[Slot]) -> (usize, Vec<u8>) {
    let mut n_places = (slots.len() * 2).next_power_of_two();
    loop {
        if let Some(table) = try_table(slots, n_places) {
            let mut bytes = Vec::with_capacity(table.len() * SLOT_BYTES);
            for slot in &table {
                bytes.extend_from_slice(&slot.hash.to_le_bytes());
                bytes.extend_from_slice(&slot.sum.to_le_bytes());
                bytes.extend_from_slice(&slot.at.to_le_bytes());
                bytes.extend_from_slice(&slot.len.to_le_bytes());
            }
            return (table.len(), bytes);
        }
        n_places *= 2;
    }
}

/// Entries for which there is no place nearby are left out of a table that is much too large for them already.
fn try_table(slots: &[Slot], n_places: usize) -> Option<Vec<Slot>> {
    let is_last_try = n_places > slots.len() * 32;
    let mut table = vec![Slot { hash: 0, sum: 0, at: 0, len: 0 }; n_places + N_NEAR];
    for &slot in slots {
        let place = slot.hash as usize & (n_places - 1);
        match table[place..place + N_NEAR].iter_mut().find(|place| place.len == 0) {
            Some(free) => *free = slot,
            None if is_last_try => {}
            None => return None,
        }
    }
    Some(table)
}
