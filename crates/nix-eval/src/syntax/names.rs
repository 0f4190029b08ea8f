//! The names of one file, numbered densely in order of first appearance.
//!
//! A table that no other thread sees: most names of a file are found here without a lock, and the resolver
//! indexes its scopes by these numbers instead of hashing.

use crate::symbol::{Symbol, Symbols};

/// Number of a name in its file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub(crate) struct Name(pub(crate) u32);

#[derive(Debug)]
struct Entry {
    hash: u64,
    symbol: Symbol,
    /// Where the text has it, or an empty range: then the symbol table is asked.
    start: u32,
    end: u32,
}

/// Places of a new table.
const SMALL: usize = 128;
/// Places of the largest table that is used again; clearing it costs as much as a small file.
const MOST_KEPT: usize = 512;

/// A name that was met in an earlier file, with its bytes at hand.
#[derive(Clone, Copy)]
struct Recent {
    bytes: [u8; RECENT_BYTES],
    len: u8,
    symbol: Symbol,
}

/// Longest name that is remembered.
const RECENT_BYTES: usize = 23;
/// Names that are remembered, by hash.
const N_RECENT: usize = 8192;

/// The names of one file.
pub(crate) struct Names {
    entries: Vec<Entry>,
    /// Open addressing, at most half full: high half of the hash, number + 1; 0 is empty.
    table: Vec<u64>,
    /// Names of earlier files; empty while there are none. Most names of a file are names of many.
    recent: Vec<Recent>,
    /// Which symbol table `recent` belongs to.
    owner: u64,
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(&self.entries).finish()
    }
}

impl Names {
    pub(crate) fn new() -> Names {
        Names {
            entries: Vec::with_capacity(64),
            table: vec![0; SMALL],
            recent: Vec::new(),
            owner: 0,
        }
    }

    /// Forgets all names, and keeps the memory unless it is much.
    pub(crate) fn clear(&mut self) {
        if self.recent.is_empty() && !self.entries.is_empty() {
            self.recent = vec![
                Recent { bytes: [0; RECENT_BYTES], len: u8::MAX, symbol: Symbol(0) };
                N_RECENT
            ];
        }
        if self.table.len() > MOST_KEPT {
            let recent = std::mem::take(&mut self.recent);
            *self = Names { recent, owner: self.owner, ..Names::new() };
            return;
        }
        self.entries.clear();
        self.table.fill(0);
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
        let hash = symbols.hash(bytes);
        let mask = self.table.len() - 1;
        let tag = hash >> 32;
        let mut at = hash as usize & mask;
        loop {
            let slot = self.table[at];
            if slot == 0 {
                return self.insert(symbols, bytes, hash, at, start, end);
            }
            if slot >> 32 == tag {
                let number = slot as u32 - 1;
                let entry = &self.entries[number as usize];
                let known = if entry.start == entry.end {
                    symbols.name(entry.symbol)
                } else {
                    &text[entry.start as usize..entry.end as usize]
                };
                if same(known, bytes) {
                    return Name(number);
                }
            }
            at = (at + 1) & mask;
        }
    }

    /// The number of a name that does not stand in the text as it is.
    pub(crate) fn intern_bytes(&mut self, symbols: &Symbols, text: &[u8], bytes: &[u8]) -> Name {
        match self.find(symbols, text, bytes) {
            Ok(name) => name,
            Err((hash, at)) => self.insert(symbols, bytes, hash, at, 0, 0),
        }
    }

    /// The number of a name, if the file has it.
    pub(crate) fn lookup(&self, symbols: &Symbols, text: &[u8], bytes: &[u8]) -> Option<Name> {
        self.find(symbols, text, bytes).ok()
    }

    fn find(&self, symbols: &Symbols, text: &[u8], bytes: &[u8]) -> Result<Name, (u64, usize)> {
        let hash = symbols.hash(bytes);
        let mask = self.table.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = self.table[at];
            if slot == 0 {
                return Err((hash, at));
            }
            if slot >> 32 == hash >> 32 {
                let number = slot as u32 - 1;
                let entry = &self.entries[number as usize];
                let known = if entry.start == entry.end {
                    symbols.name(entry.symbol)
                } else {
                    &text[entry.start as usize..entry.end as usize]
                };
                if same(known, bytes) {
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
        hash: u64,
        at: usize,
        start: u32,
        end: u32,
    ) -> Name {
        let number = self.entries.len() as u32;
        let symbol = self.symbol_of(symbols, bytes, hash);
        self.entries.push(Entry { hash, symbol, start, end });
        self.table[at] = (hash >> 32) << 32 | (number as u64 + 1);
        if self.entries.len() * 2 > self.table.len() {
            self.grow();
        }
        Name(number)
    }

    fn symbol_of(&mut self, symbols: &Symbols, bytes: &[u8], hash: u64) -> Symbol {
        if self.owner != symbols.id() {
            self.owner = symbols.id();
            self.recent = Vec::new();
        }
        if self.recent.is_empty() || bytes.len() > RECENT_BYTES {
            return symbols.intern_hashed(bytes, hash);
        }
        let recent = &mut self.recent[(hash >> 16) as usize % N_RECENT];
        if recent.len as usize == bytes.len() && same(&recent.bytes[..bytes.len()], bytes) {
            return recent.symbol;
        }
        let symbol = symbols.intern_hashed(bytes, hash);
        recent.bytes[..bytes.len()].copy_from_slice(bytes);
        recent.len = bytes.len() as u8;
        recent.symbol = symbol;
        symbol
    }

    fn grow(&mut self) {
        let mask = self.table.len() * 4 - 1;
        self.table.clear();
        self.table.resize(mask + 1, 0);
        for (number, entry) in self.entries.iter().enumerate() {
            let mut at = entry.hash as usize & mask;
            while self.table[at] != 0 {
                at = (at + 1) & mask;
            }
            self.table[at] = (entry.hash >> 32) << 32 | (number as u64 + 1);
        }
    }
}

/// Equality of short texts, without a call.
#[inline]
fn same(a: &[u8], b: &[u8]) -> bool {
    let n = a.len();
    if n != b.len() {
        return false;
    }
    if n >= 8 {
        let word = |bytes: &[u8], at: usize| -> u64 {
            u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
        };
        let mut at = 0;
        while at + 8 < n {
            if word(a, at) != word(b, at) {
                return false;
            }
            at += 8;
        }
        return word(a, n - 8) == word(b, n - 8);
    }
    a.iter().zip(b).all(|(a, b)| a == b)
}
