//! Which store objects a byte stream mentions, and rewriting of the mentions.
//!
//! Only the 32-character hash part counts, neither the store directory before it nor the name behind it. A
//! mention may span the borders of chunks.
//!
//! The scan looks at the *last* byte of a window first and skips past every byte that is not of the Nix32
//! alphabet, so on binary data it touches about one byte in thirty.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::{base32, store_path::HASH_LEN};

/// A hash part as bytes of text.
pub type HashPart = [u8; HASH_LEN];

/// Marks the bytes of the Nix32 alphabet.
const IN_ALPHABET: [bool; 256] = {
    let mut table = [false; 256];
    let mut i = 0;
    while i < base32::ALPHABET.len() {
        table[base32::ALPHABET[i] as usize] = true;
        i += 1;
    }
    table
};

/// Looks for hash parts in a stream that comes in chunks.
#[derive(Debug)]
pub struct Scanner {
    candidates: HashSet<HashPart>,
    found: BTreeSet<HashPart>,
    /// The last bytes of the stream so far, fewer than a hash part.
    tail: Vec<u8>,
}

impl Scanner {
    /// A scanner for these hash parts. Parts of another length than 32 are never found.
    pub fn new<P: AsRef<[u8]>>(candidates: impl IntoIterator<Item = P>) -> Scanner {
        let candidates =
            candidates.into_iter().filter_map(|p| p.as_ref().try_into().ok()).collect();
        Scanner { candidates, found: BTreeSet::new(), tail: Vec::new() }
    }

    /// Looks at the next bytes of the stream.
    pub fn update(&mut self, chunk: &[u8]) {
        if self.candidates.is_empty() {
            return;
        }
        let border = chunk.len().min(HASH_LEN - 1);
        let mut window = std::mem::take(&mut self.tail);
        window.extend_from_slice(&chunk[..border]);
        self.scan(&window);
        self.scan(chunk);
        if chunk.len() >= HASH_LEN - 1 {
            window.clear();
            window.extend_from_slice(&chunk[chunk.len() - (HASH_LEN - 1)..]);
        } else if window.len() > HASH_LEN - 1 {
            window.drain(..window.len() - (HASH_LEN - 1));
        }
        self.tail = window;
    }

    fn scan(&mut self, bytes: &[u8]) {
        let mut start = 0;
        while let Some(window) = bytes.get(start..start + HASH_LEN) {
            match window.iter().rposition(|&b| !IN_ALPHABET[b as usize]) {
                Some(foreign) => start += foreign + 1,
                None => {
                    if let Some(part) = self.candidates.get(window) {
                        self.found.insert(*part);
                    }
                    start += 1;
                }
            }
        }
    }

    /// The hash parts that the stream has mentioned so far, in order.
    pub fn found(&self) -> &BTreeSet<HashPart> {
        &self.found
    }
}

impl std::io::Write for Scanner {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Replaces hash parts in a stream that comes in chunks; the length of the stream stays.
#[derive(Debug)]
pub struct Rewriter<W> {
    inner: W,
    replacements: BTreeMap<HashPart, HashPart>,
    /// Bytes that may be the beginning of a hash part.
    pending: Vec<u8>,
    /// Offset of `pending` in the stream.
    offset: u64,
    /// Offsets of the replaced parts, ascending.
    positions: Vec<u64>,
}

impl<W: std::io::Write> Rewriter<W> {
    /// Writes to `inner` what is written to it, with every key replaced by its value.
    pub fn new(inner: W, replacements: BTreeMap<HashPart, HashPart>) -> Rewriter<W> {
        Rewriter { inner, replacements, pending: Vec::new(), offset: 0, positions: Vec::new() }
    }

    fn pass(&mut self, is_end: bool) -> std::io::Result<()> {
        let mut start = 0;
        while let Some(window) = self.pending.get(start..start + HASH_LEN) {
            match window.iter().rposition(|&b| !IN_ALPHABET[b as usize]) {
                Some(foreign) => start += foreign + 1,
                None => match self.replacements.get(window).copied() {
                    Some(part) => {
                        self.pending[start..start + HASH_LEN].copy_from_slice(&part);
                        self.positions.push(self.offset + start as u64);
                        start += HASH_LEN;
                    }
                    None => start += 1,
                },
            }
        }
        let done = if is_end { self.pending.len() } else { start.min(self.pending.len()) };
        self.inner.write_all(&self.pending[..done])?;
        self.pending.drain(..done);
        self.offset += done as u64;
        Ok(())
    }

    /// Writes what is left and gives back the inner writer and the offsets of the replaced parts.
    ///
    /// # Errors
    /// Those of the inner writer.
    pub fn finish(mut self) -> std::io::Result<(W, Vec<u64>)> {
        self.pass(true)?;
        Ok((self.inner, self.positions))
    }
}

impl<W: std::io::Write> std::io::Write for Rewriter<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.pending.extend_from_slice(bytes);
        self.pass(false)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const A: &[u8] = b"1111111111111111111111111111111a";
    const B: &[u8] = b"zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz";

    fn found(chunks: &[&[u8]]) -> Vec<String> {
        let mut scanner = Scanner::new([A, B]);
        chunks.iter().for_each(|c| scanner.update(c));
        scanner.found().iter().map(|p| String::from_utf8_lossy(p).into_owned()).collect()
    }

    #[test]
    fn a_mention_is_found_wherever_the_chunks_end() {
        let text = [b"x/".as_slice(), A, b"-name e", B, b"0"].concat();
        let both = found(&[&text]);
        assert_eq!(both.len(), 2);
        for cut in 0..text.len() {
            assert_eq!(found(&[&text[..cut], &text[cut..]]), both, "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(found(&bytes), both);
    }

    #[test]
    fn a_part_inside_a_longer_run_is_found() {
        assert_eq!(found(&[&[b"0000".as_slice(), A, b"1111"].concat()]).len(), 1);
        assert!(found(&[&A[1..]]).is_empty());
    }

    #[test]
    fn rewriting_keeps_the_length_and_tells_the_offsets() {
        let text = [b"me=".as_slice(), A, b" again=", A, b"!"].concat();
        let map = BTreeMap::from([(A.try_into().unwrap(), B.try_into().unwrap())]);
        for size in 1..text.len() {
            let mut rewriter = Rewriter::new(Vec::new(), map.clone());
            for chunk in text.chunks(size) {
                rewriter.write_all(chunk).unwrap();
            }
            let (out, positions) = rewriter.finish().unwrap();
            assert_eq!(out, [b"me=".as_slice(), B, b" again=", B, b"!"].concat());
            assert_eq!(positions, [3, 42]);
        }
    }
}
