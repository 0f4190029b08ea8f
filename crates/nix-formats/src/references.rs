//! Which store objects a byte stream mentions, and rewriting of the mentions.
//!
//! Only the 32-character hash part counts, neither the store directory before it nor the name behind it. A
//! mention may span the borders of chunks.
//!
//! The scan looks at the *last* byte of a window first and skips past every byte that is not of the Nix32
//! alphabet, so on binary data it touches about one byte in thirty.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::{self, Write};

use crate::base32;
use crate::hash::{Hash, HashAlgo, Hasher};
use crate::store_path::HASH_LEN;

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

/// The offset of the first window of `bytes`, not before `start`, that is of the alphabet only;
/// without one, the first offset at which a window could still begin when more bytes come.
///
/// `clean` is what `bytes[start..clean]` is known to be; keep it between calls, so that no byte is
/// looked at twice.
#[inline]
fn next_window(bytes: &[u8], mut start: usize, clean: &mut usize) -> Result<usize, usize> {
    while start + HASH_LEN <= bytes.len() {
        let (from, end) = (start.max(*clean), start + HASH_LEN);
        *clean = end;
        if end - from == 1 {
            // In a run of letters: one more.
            if IN_ALPHABET[usize::from(bytes[from])] {
                return Ok(start);
            }
            start = end;
            continue;
        }
        match bytes[from..end].iter().rposition(|&byte| !IN_ALPHABET[usize::from(byte)]) {
            Some(foreign) => start = from + foreign + 1,
            None => return Ok(start),
        }
    }
    Err(start)
}

/// A set of hash parts that says quickly of most others that they are not in it: most windows of
/// long runs of letters end here.
#[derive(Clone, Debug)]
struct Filter(Vec<u64>);

impl Filter {
    /// Number of bits, as a power of two; they fit the innermost cache.
    const LOG2: u32 = 16;

    fn new<'p>(parts: impl Iterator<Item = &'p HashPart>) -> Filter {
        let mut filter = Filter(vec![0; (1 << Filter::LOG2) / 64]);
        for part in parts {
            let (word, bit) = Filter::place(part);
            filter.0[word] |= bit;
        }
        filter
    }

    /// `false` if `window` is certainly none of the parts.
    fn may_have(&self, window: &[u8]) -> bool {
        let (word, bit) = Filter::place(window);
        self.0[word] & bit != 0
    }

    fn place(part: &[u8]) -> (usize, u64) {
        let mut head = [0; 8];
        head.copy_from_slice(&part[..8]);
        let mixed = u64::from_le_bytes(head).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let place = mixed >> (64 - Filter::LOG2);
        ((place / 64) as usize, 1 << (place % 64))
    }
}

/// Looks for hash parts in a stream that comes in chunks.
#[derive(Clone, Debug)]
pub struct Scanner {
    candidates: HashSet<HashPart>,
    filter: Filter,
    found: BTreeSet<HashPart>,
    /// The last bytes of the stream so far, fewer than a hash part.
    tail: Vec<u8>,
}

impl Scanner {
    /// A scanner for these hash parts. Parts of another length than 32 are never found.
    pub fn new<P: AsRef<[u8]>>(candidates: impl IntoIterator<Item = P>) -> Scanner {
        let candidates: HashSet<HashPart> =
            candidates.into_iter().filter_map(|part| part.as_ref().try_into().ok()).collect();
        let filter = Filter::new(candidates.iter());
        Scanner { candidates, filter, found: BTreeSet::new(), tail: Vec::new() }
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
        let (mut start, mut clean) = (0, 0);
        while let Ok(at) = next_window(bytes, start, &mut clean) {
            let window = &bytes[at..at + HASH_LEN];
            if self.filter.may_have(window)
                && let Some(part) = self.candidates.get(window)
            {
                self.found.insert(*part);
            }
            start = at + 1;
        }
    }

    /// The hash parts that the stream has mentioned so far, in order.
    #[must_use]
    pub fn found(&self) -> &BTreeSet<HashPart> {
        &self.found
    }
}

impl Write for Scanner {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Replaces hash parts in a stream that comes in chunks; the length of the stream stays.
#[derive(Debug)]
pub struct Rewriter<W> {
    inner: W,
    replacements: BTreeMap<HashPart, HashPart>,
    filter: Filter,
    /// Bytes that may be the beginning of a hash part.
    pending: Vec<u8>,
    /// Offset of `pending` in the stream.
    offset: u64,
    /// Offsets of the replaced parts, ascending.
    positions: Vec<u64>,
}

impl<W: Write> Rewriter<W> {
    /// Writes to `inner` what is written to it, with every key replaced by its value.
    pub fn new(inner: W, replacements: BTreeMap<HashPart, HashPart>) -> Rewriter<W> {
        let filter = Filter::new(replacements.keys());
        Rewriter {
            inner,
            replacements,
            filter,
            pending: Vec::new(),
            offset: 0,
            positions: Vec::new(),
        }
    }

    fn pass(&mut self, is_end: bool) -> io::Result<()> {
        let (mut start, mut clean) = (0, 0);
        loop {
            match next_window(&self.pending, start, &mut clean) {
                Ok(at) => {
                    let window = &mut self.pending[at..at + HASH_LEN];
                    if self.filter.may_have(window)
                        && let Some(part) = self.replacements.get::<[u8]>(window)
                    {
                        window.copy_from_slice(part);
                        self.positions.push(self.offset + at as u64);
                        start = at + HASH_LEN;
                    } else {
                        start = at + 1;
                    }
                }
                Err(at) => {
                    start = at;
                    break;
                }
            }
        }
        let done = if is_end { self.pending.len() } else { start };
        self.inner.write_all(&self.pending[..done])?;
        self.pending.drain(..done);
        self.offset += done as u64;
        Ok(())
    }

    /// Writes what is left and gives back the inner writer and the offsets of the replaced parts.
    ///
    /// # Errors
    /// Those of the inner writer.
    pub fn finish(mut self) -> io::Result<(W, Vec<u64>)> {
        self.pass(true)?;
        Ok((self.inner, self.positions))
    }
}

impl<W: Write> Write for Rewriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pending.extend_from_slice(bytes);
        self.pass(false)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The hash of a stream modulo mentions of one hash part: how an object that refers to itself is
/// content-addressed.
///
/// Every mention counts as 32 NUL bytes; behind the stream follows, for every mention in order, `|`
/// and its offset in decimal. Without a mention it is the hash of the stream.
#[derive(Debug)]
pub struct SelfHasher {
    rewriter: Rewriter<Hasher>,
}

/// What a [`SelfHasher`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelfHash {
    /// The hash modulo mentions.
    pub hash: Hash,
    /// What Nix 2.17 to 2.34 computed instead: the same without the offsets.
    pub legacy: Hash,
    /// Where the mentions begin, in bytes, ascending; not empty if the object refers to itself.
    pub positions: Vec<u64>,
}

impl SelfHasher {
    /// A hasher modulo mentions of `part`.
    #[must_use]
    pub fn new(algo: HashAlgo, part: HashPart) -> SelfHasher {
        let zeros = BTreeMap::from([(part, [0; HASH_LEN])]);
        SelfHasher { rewriter: Rewriter::new(Hasher::new(algo), zeros) }
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.rewriter.write_all(bytes).expect("a hasher takes all bytes");
    }

    /// The hash of all bytes added.
    #[must_use]
    pub fn finish(self) -> SelfHash {
        let (mut hasher, positions) = self.rewriter.finish().expect("a hasher takes all bytes");
        let legacy = hasher.clone().finish();
        for position in &positions {
            hasher.update(format!("|{position}").as_bytes());
        }
        SelfHash { hash: hasher.finish(), legacy, positions }
    }
}

impl Write for SelfHasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::content_address::ContentAddress;
    use crate::nar;
    use crate::store_path::{FileMethod, StoreDir};

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

    #[test]
    fn a_self_reference_hashes_as_published() {
        let dir = StoreDir::default();
        let scratch = b"1111111111111111111111111111111a";
        let other =
            dir.parse("/nix/store/i9pmrzmpshapij2kin22pff6fc2adavx-hello.txt").expect("parses");
        let contents = format!(
            "me=/nix/store/{0}-selfref/x\nagain=/nix/store/{0}-selfref\nother={1}\n",
            String::from_utf8_lossy(scratch),
            dir.display(&other)
        );
        let mut nar = nar::Writer::new(Vec::new());
        nar.file(false, contents.as_bytes()).expect("a node is due");
        let nar = nar.finish().expect("is complete");
        assert_eq!(nar.len(), 288);
        let mut hasher = SelfHasher::new(HashAlgo::Sha256, *scratch);
        hasher.update(&nar);
        let found = hasher.finish();
        assert_eq!(found.positions, [110, 170]);
        let refs = BTreeSet::from([other]);
        let path = |hash: &Hash| {
            dir.make_fixed_path("selfref", FileMethod::Nar, hash, &refs, true)
                .expect("can be made")
                .base_name()
                .to_owned()
        };
        assert_eq!(
            found.hash.to_base16(),
            "cd71bf6507a05cbce5e23833ae2c3bd0c5b8f7d1466799cce6ba83d4816986e2"
        );
        assert_eq!(path(&found.hash), "ar25jpw5irs6pxbk1gk6rh90dq565qgl-selfref");
        assert_eq!(path(&found.legacy), "2216gmgidl7wbak939x8ixdiaikxv5pc-selfref");
        let ca = ContentAddress::Fixed { method: FileMethod::Nar, hash: found.hash };
        assert_eq!(
            ca.render(),
            "fixed:r:sha256:1ql6d60x90xswv69jrs6s7vviifh7cnawcrqwbjvqp500xjvywfd"
        );

        // With the final hash part in the contents, the same hash comes out.
        let last: HashPart = path(&found.hash).as_bytes()[..32].try_into().expect("32 bytes");
        let mut rewriter = Rewriter::new(Vec::new(), BTreeMap::from([(*scratch, last)]));
        rewriter.write_all(&nar).expect("memory takes it");
        let (rewritten, _) = rewriter.finish().expect("memory takes it");
        let mut hasher = SelfHasher::new(HashAlgo::Sha256, last);
        rewritten.chunks(7).for_each(|chunk| hasher.update(chunk));
        assert_eq!(hasher.finish(), found);
    }

    #[test]
    fn without_a_mention_the_hash_is_plain() {
        let mut hasher = SelfHasher::new(HashAlgo::Sha256, [b'0'; 32]);
        hasher.update(b"hello\n");
        let found = hasher.finish();
        assert_eq!(found.hash, Hash::of(HashAlgo::Sha256, b"hello\n"));
        assert_eq!((found.legacy, found.positions), (found.hash, vec![]));
    }

    proptest! {
        /// Against looking at every offset.
        #[test]
        fn nothing_is_missed(
            pieces in prop::collection::vec(prop_oneof![
                "[01z]{0,40}".prop_map(String::into_bytes),
                prop::collection::vec(any::<u8>(), 0..5),
                Just(A.to_vec()),
                Just(B.to_vec()),
                Just(A[..20].to_vec()),
            ], 0..8),
            sizes in prop::collection::vec(1..70usize, 1..5),
        ) {
            let text = pieces.concat();
            let expected: BTreeSet<HashPart> = text
                .windows(32)
                .filter(|window| *window == A || *window == B)
                .map(|window| window.try_into().expect("32 bytes"))
                .collect();
            let mut scanner = Scanner::new([A, B]);
            let mut rewriter = Rewriter::new(
                Vec::new(),
                BTreeMap::from([(A.try_into().expect("32 bytes"), *b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]),
            );
            let mut rest = &text[..];
            for size in sizes.iter().cycle() {
                let (chunk, others) = rest.split_at(rest.len().min(*size));
                scanner.update(chunk);
                rewriter.write_all(chunk)?;
                rest = others;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(scanner.found(), &expected);
            let (out, positions) = rewriter.finish()?;
            prop_assert!(!out.windows(32).any(|window| window == A));
            let mut back = out;
            for at in positions {
                back[at as usize..at as usize + 32].copy_from_slice(A);
            }
            prop_assert_eq!(back, text);
        }
    }
}
