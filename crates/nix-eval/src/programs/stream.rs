//! Reading an entry piece by piece, with its check sum.
//!
//! Only a piece is in memory at a time, always the same memory: what is touched for the first time costs more than
//! what is read.

use std::{fs::File, hash::Hasher, os::unix::fs::FileExt};

use rustc_hash::FxHasher;

/// Bytes that are read and summed at a time, counted from the beginning of an entry.
pub(super) const PIECE: usize = 1 << 16;
/// Longest record, in bytes.
const MAX_RECORD: usize = 64;

/// A check sum of the bytes of an entry, a piece at a time. Against damage, not against malice.
#[derive(Clone, Default)]
pub(super) struct Sum(FxHasher);

impl std::fmt::Debug for Sum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sum({:#x})", self.finish())
    }
}

impl Sum {
    /// Adds bytes that are a piece, or the last ones.
    pub(super) fn add(&mut self, piece: &[u8]) {
        self.0.write(piece);
        self.0.write_usize(piece.len());
    }

    pub(super) fn finish(&self) -> u64 {
        self.0.finish()
    }

    /// Of all bytes of an entry.
    pub(super) fn of(bytes: &[u8]) -> u64 {
        let mut sum = Sum::default();
        bytes.chunks(PIECE).for_each(|piece| sum.add(piece));
        sum.finish()
    }
}

/// The bytes of an entry that are left to read.
pub(super) struct Stream<'a> {
    file: &'a File,
    /// Where the file is read next, and where the entry ends.
    at: u64,
    end: u64,
    /// A piece, and before it what was left of the one before.
    buffer: &'a mut Vec<u8>,
    start: usize,
    filled: usize,
    sum: Sum,
}

impl<'a> Stream<'a> {
    /// `buffer` is memory to be used again.
    pub(super) fn new(file: &'a File, at: u64, end: u64, buffer: &'a mut Vec<u8>) -> Stream<'a> {
        buffer.resize(PIECE + MAX_RECORD, 0);
        Stream { file, at, end, buffer, start: MAX_RECORD, filled: MAX_RECORD, sum: Sum::default() }
    }

    /// How many bytes are left.
    fn n_left(&self) -> u64 {
        self.end - self.at + (self.filled - self.start) as u64
    }

    /// Reads the next piece; what was not used yet stays, and is shorter than a record.
    #[cold]
    fn refill(&mut self) -> Option<()> {
        let left = self.filled - self.start;
        let start = MAX_RECORD.checked_sub(left)?;
        self.buffer.copy_within(self.start..self.filled, start);
        self.start = start;
        let n = PIECE.min(usize::try_from(self.end - self.at).unwrap_or(PIECE));
        let piece = self.buffer.get_mut(MAX_RECORD..MAX_RECORD + n)?;
        self.file.read_exact_at(piece, self.at).ok()?;
        self.sum.add(piece);
        self.at += n as u64;
        self.filled = MAX_RECORD + n;
        Some(())
    }

    /// Calls `each` with the next bytes, in slices of whole records of `size` bytes, `n` in all.
    pub(super) fn slices(
        &mut self,
        n: usize,
        size: usize,
        mut each: impl FnMut(&[u8]) -> Option<()>,
    ) -> Option<()> {
        let mut left = n.checked_mul(size)?;
        if left as u64 > self.n_left() {
            return None;
        }
        while left > 0 {
            let here = (self.filled - self.start).min(left) / size * size;
            if here == 0 {
                self.refill()?;
                continue;
            }
            each(&self.buffer[self.start..self.start + here])?;
            self.start += here;
            left -= here;
        }
        Some(())
    }

    /// Calls `each` with the next `n` records of `N` words.
    #[inline]
    pub(super) fn each<const N: usize>(
        &mut self,
        n: usize,
        mut each: impl FnMut([u32; N]) -> Option<()>,
    ) -> Option<()> {
        self.slices(n, 4 * N, |bytes| {
            for record in bytes.chunks_exact(4 * N) {
                let (words, _) = record.as_chunks::<4>();
                each(std::array::from_fn(|at| u32::from_le_bytes(words[at])))?;
            }
            Some(())
        })
    }

    /// The next `n` records of `N` words, each made into something.
    #[inline]
    pub(super) fn records<const N: usize, T>(
        &mut self,
        n: usize,
        mut make: impl FnMut([u32; N]) -> Option<T>,
    ) -> Option<Vec<T>> {
        self.check(n, 4 * N)?;
        let mut all = Vec::with_capacity(n);
        self.each(n, |words| {
            all.push(make(words)?);
            Some(())
        })?;
        Some(all)
    }

    /// The next record of `N` words.
    pub(super) fn record<const N: usize>(&mut self) -> Option<[u32; N]> {
        let mut found = [0; N];
        self.each(1, |words| {
            found = words;
            Some(())
        })?;
        Some(found)
    }

    /// The next `n` words.
    pub(super) fn words(&mut self, n: usize) -> Option<Vec<u32>> {
        self.check(n, 4)?;
        let mut all = Vec::with_capacity(n);
        self.slices(n, 4, |bytes| {
            all.extend(bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)));
            Some(())
        })?;
        Some(all)
    }

    /// The next `n` bytes.
    pub(super) fn bytes(&mut self, n: usize) -> Option<Vec<u8>> {
        self.check(n, 1)?;
        let mut all = Vec::with_capacity(n);
        self.slices(n, 1, |bytes| {
            all.extend_from_slice(bytes);
            Some(())
        })?;
        Some(all)
    }

    /// Whether the next bytes are these.
    pub(super) fn expect(&mut self, mut expected: &[u8]) -> Option<()> {
        self.slices(expected.len(), 1, |bytes| {
            expected = expected.strip_prefix(bytes)?;
            Some(())
        })
    }

    /// Whether that many records may follow, before there is memory for them.
    fn check(&self, n: usize, size: usize) -> Option<()> {
        (n.checked_mul(size)? as u64 <= self.n_left()).then_some(())
    }

    /// The check sum, if all was read.
    pub(super) fn finish(self) -> Option<u64> {
        (self.n_left() == 0).then(|| self.sum.finish())
    }
}
