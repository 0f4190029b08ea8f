//! The names of one file, numbered densely in order of first appearance.
//!
//! A table that no other thread sees: most names of a file are found here without a lock, and the resolver
//! indexes its scopes by these numbers instead of hashing.

use crate::symbol::{Symbol, Symbols};

/// Number of a name in its file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub(crate) struct Name(pub(crate) u32);

/// A name as numbers that are equal if and only if the names are, but for longer ones, whose texts have to be
/// compared as well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Key {
    /// The first eight bytes, or those there are, and zeros.
    first: u64,
    /// The last eight bytes of a name of eight or more, else 0.
    last: u64,
    len: u32,
}

/// Longest name that its [`Key`] spells.
const KEY_BYTES: u32 = 16;

impl Key {
    /// Of `text[start..end]`.
    #[inline]
    fn at(text: &[u8], start: usize, end: usize) -> Key {
        let word = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
        let len = end - start;
        let mut key = Key { first: 0, last: 0, len: len as u32 };
        if len >= 8 {
            if let (Some(first), Some(last)) =
                (text[start..end].first_chunk(), text[start..end].last_chunk())
            {
                (key.first, key.last) = (word(first), word(last));
            }
        } else if let Some(first) = text[start..].first_chunk() {
            key.first = word(first) & ((1 << (8 * len)) - 1);
        } else {
            for &byte in text[start..end].iter().rev() {
                key.first = key.first << 8 | byte as u64;
            }
        }
        key
    }

    /// A hash of the name `bytes` under the symbol table's seed, so that nobody can prepare names that collide. A
    /// longer name counts as a whole: many may begin and end alike.
    #[inline]
    fn hash(self, symbols: &Symbols, bytes: &[u8]) -> u32 {
        if self.len > KEY_BYTES {
            return symbols.hash(bytes) as u32;
        }
        let seed = symbols.id();
        let a = self.first ^ seed;
        let b = self.last ^ seed.rotate_left(32) ^ (self.len as u64) << 56;
        let product = a as u128 * b as u128;
        (product as u64 ^ (product >> 64) as u64) as u32
    }
}

#[derive(Debug)]
struct Entry {
    key: Key,
    symbol: Symbol,
    /// Where the text has it; for names that are not in the text as they are, `u32::MAX`: then the symbol
    /// table is asked.
    start: u32,
    hash: u32,
}

/// Places of a new table.
const SMALL: usize = 128;
/// Places of the largest table that is used again; clearing it costs as much as a small file.
const MOST_KEPT: usize = 512;

/// A name that was met in an earlier file, if its [`Key`] spells it.
#[derive(Clone, Copy)]
struct Recent {
    key: Key,
    symbol: Symbol,
}

/// Names that are remembered, by hash.
const N_RECENT: usize = 8192;

/// The names of one file.
pub(crate) struct Names {
    entries: Vec<Entry>,
    /// Open addressing, at most half full, by the low half of the hash: that half, and number + 1; 0 is empty.
    table: Vec<u64>,
    /// Names of earlier files; empty while there are none. Most names of a file are names of many.
    recent: Vec<Recent>,
    /// Which symbol table `recent` belongs to; the seed of the hashes.
    owner: u64,
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(&self.entries).finish()
    }
}

impl Names {
    /// No names, and no memory: [`Names::clear`] comes before the first name.
    pub(crate) fn new() -> Names {
        Names { entries: Vec::new(), table: Vec::new(), recent: Vec::new(), owner: 0 }
    }

    /// Forgets all names, and keeps the memory unless it is much.
    pub(crate) fn clear(&mut self) {
        if !self.entries.is_empty() {
            self.remember();
        }
        self.entries.clear();
        if self.table.is_empty() || self.table.len() > MOST_KEPT {
            self.table = vec![0; SMALL];
            return;
        }
        self.table.fill(0);
    }

    /// Makes room for that many names at once.
    pub(crate) fn reserve(&mut self, n: usize) {
        crate::ir::make_room(&mut self.entries, n);
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    #[inline]
    pub(crate) fn symbol(&self, name: Name) -> Symbol {
        self.entries[name.0 as usize].symbol
    }

    /// The number of `text[start..end]`.
    #[inline]
    pub(crate) fn intern_at(
        &mut self,
        symbols: &Symbols,
        text: &[u8],
        start: u32,
        end: u32,
    ) -> Name {
        let bytes = &text[start as usize..end as usize];
        let key = Key::at(text, start as usize, end as usize);
        match self.find(symbols, text, key, bytes) {
            Ok(name) => name,
            Err((hash, at)) => self.insert(symbols, bytes, key, hash, at, start),
        }
    }

    /// The number of a name that does not stand in the text as it is.
    pub(crate) fn intern_bytes(&mut self, symbols: &Symbols, text: &[u8], bytes: &[u8]) -> Name {
        let key = Key::at(bytes, 0, bytes.len());
        match self.find(symbols, text, key, bytes) {
            Ok(name) => name,
            Err((hash, at)) => self.insert(symbols, bytes, key, hash, at, u32::MAX),
        }
    }

    /// The number of a name, if the file has it.
    pub(crate) fn lookup(&self, symbols: &Symbols, text: &[u8], bytes: &[u8]) -> Option<Name> {
        self.find(symbols, text, Key::at(bytes, 0, bytes.len()), bytes).ok()
    }

    /// The number of a name, or its hash and where it belongs in the table.
    #[inline(always)]
    fn find(
        &self,
        symbols: &Symbols,
        text: &[u8],
        key: Key,
        bytes: &[u8],
    ) -> Result<Name, (u32, usize)> {
        let hash = key.hash(symbols, bytes);
        let mask = self.table.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = self.table[at];
            if slot == 0 {
                return Err((hash, at));
            }
            if (slot >> 32) as u32 == hash {
                let number = slot as u32 - 1;
                let entry = &self.entries[number as usize];
                if entry.key == key && (key.len <= KEY_BYTES || entry.bytes(symbols, text) == bytes)
                {
                    return Ok(Name(number));
                }
            }
            at = (at + 1) & mask;
        }
    }

    #[inline(never)]
    fn insert(
        &mut self,
        symbols: &Symbols,
        bytes: &[u8],
        key: Key,
        hash: u32,
        at: usize,
        start: u32,
    ) -> Name {
        let number = self.entries.len() as u32;
        let symbol = self.symbol_of(symbols, bytes, key, hash);
        self.entries.push(Entry { key, symbol, start, hash });
        self.table[at] = (hash as u64) << 32 | (number as u64 + 1);
        if self.entries.len() * 2 > self.table.len() {
            self.grow();
        }
        Name(number)
    }

    /// The symbols of the file's names, as they were met.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = Symbol> {
        self.entries.iter().map(|entry| entry.symbol)
    }

    /// The symbol of a name of another file, which does not count here.
    #[inline]
    pub(crate) fn foreign(&mut self, symbols: &Symbols, name: &[u8]) -> Symbol {
        let key = Key::at(name, 0, name.len());
        if key.len > KEY_BYTES {
            return symbols.intern(name);
        }
        let hash = key.hash(symbols, name);
        self.symbol_of(symbols, name, key, hash)
    }

    /// Makes room for names of many files.
    pub(crate) fn remember(&mut self) {
        if self.recent.is_empty() {
            let none = Key { first: 0, last: 0, len: u32::MAX };
            self.recent = vec![Recent { key: none, symbol: Symbol(0) }; N_RECENT];
        }
    }

    #[inline]
    fn symbol_of(&mut self, symbols: &Symbols, bytes: &[u8], key: Key, hash: u32) -> Symbol {
        if self.owner != symbols.id() {
            self.owner = symbols.id();
            self.recent = Vec::new();
        }
        if self.recent.is_empty() || key.len > KEY_BYTES {
            return symbols.intern(bytes);
        }
        let recent = &mut self.recent[(hash >> 8) as usize % N_RECENT];
        if recent.key != key {
            *recent = Recent { key, symbol: symbols.intern(bytes) };
        }
        recent.symbol
    }

    fn grow(&mut self) {
        let mask = self.table.len() * 4 - 1;
        // Fresh memory is zero already.
        self.table = vec![0; mask + 1];
        for (number, entry) in self.entries.iter().enumerate() {
            let mut at = entry.hash as usize & mask;
            while self.table[at] != 0 {
                at = (at + 1) & mask;
            }
            self.table[at] = (entry.hash as u64) << 32 | (number as u64 + 1);
        }
    }
}

impl Entry {
    fn bytes<'a>(&self, symbols: &'a Symbols, text: &'a [u8]) -> &'a [u8] {
        if self.start == u32::MAX {
            return symbols.name(self.symbol);
        }
        let start = self.start as usize;
        &text[start..start + self.key.len as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_length_have_hashes_of_their_own() {
        let symbols = Symbols::default();
        for (before, after) in
            [("", ""), ("x", ""), ("beginning", "the_end"), ("beginnin", "_the_end")]
        {
            let hashes: std::collections::HashSet<u32> = (0..1000)
                .map(|n| format!("{before}{n:04}{after}"))
                .map(|name| Key::at(name.as_bytes(), 0, name.len()).hash(&symbols, name.as_bytes()))
                .collect();
            // Two of a thousand may have one by chance.
            assert!(hashes.len() > 990, "{before}…{after}: {} of 1000", hashes.len());
        }
    }

    #[test]
    fn a_key_spells_short_names() {
        let text = b"a ab abcdefg abcdefgh abcdefghi abcdefghijklmnop";
        let mut keys = Vec::new();
        for word in text.split(|&b| b == b' ') {
            let start = word.as_ptr() as usize - text.as_ptr() as usize;
            let key = Key::at(text, start, start + word.len());
            assert_eq!(key, Key::at(word, 0, word.len()));
            assert!(!keys.contains(&key));
            keys.push(key);
        }
    }
}
