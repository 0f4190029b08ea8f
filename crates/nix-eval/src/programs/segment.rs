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
    stream::{Stream, Sum},
};
use crate::kept;

const MARK: &[u8; 8] = b"nixprog1";
/// Mark, identity, where the table is, how many places it has, check sum; zeros.
const HEAD_BYTES: usize = 64;
/// Hash, where the entry is in units of [`UNIT`] bytes, its length; 0 is an empty place.
const SLOT_BYTES: usize = 16;
/// An entry is near the place that its hash names.
const N_NEAR: usize = 8;
const UNIT: u64 = 16;
/// The check sum of an entry; then come lengths of directory and text, these, and the program.
const SUM_BYTES: usize = 8;
/// Entries are written this many bytes at a time.
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
    at: u32,
    len: u32,
}

impl Slot {
    fn read(bytes: &[u8]) -> Option<Slot> {
        Some(Slot { hash: number(bytes, 0)?, at: half(bytes, 8)?, len: half(bytes, 12)? })
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
            // Its check sum is not part of what is summed.
            let mut sum = [0; SUM_BYTES];
            self.file.read_exact_at(&mut sum, slot.start()).ok()?;
            let at = slot.start() + SUM_BYTES as u64;
            let mut stream = Stream::new(&self.file, at.min(slot.end()), slot.end(), buffer);
            let lengths = stream.record::<2>();
            if lengths == Some([dir.len() as u32, text.len() as u32])
                && stream.expect(dir).is_some()
                && stream.expect(text).is_some()
                && let Some(program) = decode(&mut stream)
                && stream.finish() == Some(u64::from_le_bytes(sum))
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

/// Begins an entry; the program comes next.
pub(super) fn begin_entry(entry: &mut Vec<u8>, dir: &[u8], text: &[u8]) {
    entry.clear();
    entry.extend_from_slice(&[0; SUM_BYTES]);
    entry.extend_from_slice(&(dir.len() as u32).to_le_bytes());
    entry.extend_from_slice(&(text.len() as u32).to_le_bytes());
    entry.extend_from_slice(dir);
    entry.extend_from_slice(text);
}

/// Ends an entry that has its program.
pub(super) fn end_entry(entry: &mut [u8]) {
    let (sum, rest) = entry.split_at_mut(SUM_BYTES);
    sum.copy_from_slice(&Sum::of(rest).to_le_bytes());
}

/// A file of programs that is being written. It has its name when it is finished, and is removed if it never is.
#[derive(Debug)]
pub(super) struct NewSegment {
    scratch: PathBuf,
    file: File,
    /// Entries that are not in the file yet.
    buffer: Vec<u8>,
    n_written: u64,
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
            n_written: 0,
            slots: Vec::new(),
            is_finished: false,
        })
    }

    /// Bytes of the file so far.
    pub(super) fn n_bytes(&self) -> u64 {
        self.n_written + self.buffer.len() as u64
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// What the file system says.
    pub(super) fn add(&mut self, hash: u64, entry: &[u8]) -> io::Result<()> {
        let (len, at) = (u32::try_from(entry.len()), u32::try_from(self.n_bytes() / UNIT));
        // One that is too large is not kept.
        let (Ok(len), Ok(at)) = (len, at) else { return Ok(()) };
        self.slots.push(Slot { hash, at, len });
        let padding =
            &[0; UNIT as usize][..entry.len().next_multiple_of(UNIT as usize) - entry.len()];
        if entry.len() < BUFFER {
            self.buffer.extend_from_slice(entry);
            self.buffer.extend_from_slice(padding);
            return if self.buffer.len() >= BUFFER { self.flush() } else { Ok(()) };
        }
        self.flush()?;
        self.file.write_all(entry)?;
        self.file.write_all(padding)?;
        self.n_written += (entry.len() + padding.len()) as u64;
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all(&self.buffer)?;
        self.n_written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
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
                self.add(slot.hash, &entry)?;
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
    let mut table = vec![Slot { hash: 0, at: 0, len: 0 }; n_places + N_NEAR];
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
