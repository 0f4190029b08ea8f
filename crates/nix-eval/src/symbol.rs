//! Interned names.
//!
//! Reading a name is lock-free: names lie in a heap of their own and never move, and their addresses in chunks
//! that double in size. Interning locks one of a few shards, so the parser keeps a table of its own per file
//! ([`crate::syntax`]) and comes here once per distinct name. Everything is freed when the table is dropped.
//!
//! Names come from input, so the hash has a random seed per table: nobody can prepare names that collide.

use std::{
    hash::{BuildHasher, Hasher},
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use hashbrown::HashTable;

use crate::heap::{Bump, Cells, Heap};

/// An interned name. Equal names of one [`Symbols`] table have equal numbers; numbers do not sort like names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct Symbol(pub u32);

macro_rules! well_known {
    ($($name:ident = $text:literal),* $(,)?) => {
        /// Symbols that have the same number in every table, so that code can name them.
        #[allow(missing_docs, reason = "each constant is the name it spells")]
        pub mod names {
            use super::Symbol;

            #[allow(non_camel_case_types, clippy::upper_case_acronyms, reason = "numbers the constants")]
            enum Number { $($name),* }

            $(#[doc = concat!("`", $text, "`")] pub const $name: Symbol = Symbol(Number::$name as u32);)*

            pub(super) const ALL: &[&str] = &[$($text),*];
        }
    };
}

well_known! {
    OR = "or",
    BODY = "body",
    OVERRIDES = "__overrides",
    CUR_POS = "__curPos",
    SUB = "__sub",
    MUL = "__mul",
    DIV = "__div",
    LESS_THAN = "__lessThan",
    FIND_FILE = "__findFile",
    NIX_PATH = "__nixPath",
    BUILTINS = "builtins",
    FUNCTOR = "__functor",
    TO_STRING = "__toString",
    OUT_PATH = "outPath",
    DRV_PATH = "drvPath",
    TYPE = "type",
    NAME = "name",
    VALUE = "value",
    PATH = "path",
    PREFIX = "prefix",
    FILE = "file",
    LINE = "line",
    COLUMN = "column",
    SUCCESS = "success",
    RIGHT = "right",
    WRONG = "wrong",
    KEY = "key",
    START_SET = "startSet",
    OPERATOR = "operator",
    OUT = "out",
    SYSTEM = "system",
    BUILDER = "builder",
    ARGS = "args",
    OUTPUTS = "outputs",
    OUTPUT_NAME = "outputName",
    ALL_OUTPUTS = "allOutputs",
    VERSION = "version",
    RECURSE_FOR_DERIVATIONS = "recurseForDerivations",
}

/// Numbers of the first chunk; chunk `k` holds `FIRST << k` names.
const FIRST: u32 = 1024;
const N_CHUNKS: usize = 22;
const N_SHARDS: usize = 16;

/// Addresses of names, by number; 0 while there is none. A name is a word, its length, and its bytes.
type Chunk = Box<[AtomicU64]>;

/// Those names whose hashes fall here.
#[derive(Default)]
struct Shard {
    /// Upper half of the hash, and number.
    table: HashTable<(u32, u32)>,
    bump: Bump,
}

/// All names of an engine.
pub struct Symbols {
    seed: [u64; 2],
    next: AtomicU32,
    chunks: [OnceLock<Chunk>; N_CHUNKS],
    shards: [Mutex<Shard>; N_SHARDS],
    /// Where the names lie.
    heap: Heap,
}

impl Default for Symbols {
    fn default() -> Symbols {
        let random = std::hash::RandomState::new();
        let seed = [0u8, 1].map(|n| {
            let mut hasher = random.build_hasher();
            hasher.write_u8(n);
            hasher.finish()
        });
        let symbols = Symbols {
            seed,
            next: AtomicU32::new(0),
            chunks: [const { OnceLock::new() }; N_CHUNKS],
            shards: std::array::from_fn(|_| Mutex::default()),
            heap: Heap::default(),
        };
        for (number, name) in names::ALL.iter().enumerate() {
            let symbol = symbols.intern(name.as_bytes());
            debug_assert_eq!(symbol.0 as usize, number, "{name} is listed twice");
        }
        symbols
    }
}

impl std::fmt::Debug for Symbols {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Symbols").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl Symbols {
    /// The symbol of a name.
    pub fn intern(&self, name: &[u8]) -> Symbol {
        self.intern_hashed(name, self.hash(name))
    }

    /// The symbol of a name whose [`Symbols::hash`] the caller has at hand.
    pub(crate) fn intern_hashed(&self, name: &[u8], hash: u64) -> Symbol {
        let mut shard = self.shard(hash).lock().unwrap_or_else(PoisonError::into_inner);
        let Shard { table, bump } = &mut *shard;
        if let Some(known) = self.find(table, name, hash) {
            return known;
        }
        let cells = bump.words(&self.heap, 1 + name.len().div_ceil(8));
        cells.put(0, name.len() as u64);
        cells.put_bytes(8, name);
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        let (chunk, index) = position(n);
        let chunk = self.chunks[chunk]
            .get_or_init(|| (0..FIRST << chunk).map(|_| AtomicU64::new(0)).collect());
        chunk[index].store(cells.address() as u64, Ordering::Release);
        let half = upper_half(hash);
        table.insert_unique(place_of(half), (half, n), |&(half, _)| place_of(half));
        Symbol(n)
    }

    fn shard(&self, hash: u64) -> &Mutex<Shard> {
        &self.shards[hash as usize % N_SHARDS]
    }

    fn find(&self, table: &HashTable<(u32, u32)>, name: &[u8], hash: u64) -> Option<Symbol> {
        let half = upper_half(hash);
        table
            .find(place_of(half), |&(h, n)| h == half && self.name(Symbol(n)) == name)
            .map(|&(_, n)| Symbol(n))
    }

    /// The symbol of a name, if the table has it.
    pub fn lookup(&self, name: &[u8]) -> Option<Symbol> {
        let hash = self.hash(name);
        let shard = self.shard(hash).lock().unwrap_or_else(PoisonError::into_inner);
        self.find(&shard.table, name, hash)
    }

    /// The name of a symbol of this table, as bytes. Empty for a symbol of another table that this one does
    /// not have.
    #[inline]
    pub fn name(&self, symbol: Symbol) -> &[u8] {
        let (chunk, index) = position(symbol.0);
        let Some(chunk) = self.chunks.get(chunk).and_then(|c| c.get()) else { return b"" };
        match chunk[index].load(Ordering::Acquire) {
            0 => b"",
            address => {
                let cells = Cells::at(address as usize);
                cells.skip(1).bytes(cells.word(0) as usize)
            }
        }
    }

    /// How many names the table holds.
    pub fn len(&self) -> usize {
        self.next.load(Ordering::Relaxed) as usize
    }

    /// Whether the table is empty; it never is, since it begins with [`names`].
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A number that no other table has, but for a chance in 2^64.
    #[inline]
    pub(crate) fn id(&self) -> u64 {
        self.seed[0]
    }

    /// A hash of bytes under this table's seed.
    #[inline]
    pub(crate) fn hash(&self, bytes: &[u8]) -> u64 {
        hash_bytes(self.seed, bytes)
    }
}

fn upper_half(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// What a shard's table takes for the hash: it wants entropy at both ends.
fn place_of(half: u32) -> u64 {
    u64::from(half) << 32 | u64::from(half)
}

/// Chunk and place in it.
#[inline]
fn position(number: u32) -> (usize, usize) {
    let n = number as u64 + FIRST as u64;
    let log = 63 - n.leading_zeros();
    ((log - FIRST.trailing_zeros()) as usize, (n - (1 << log)) as usize)
}

#[inline]
fn mix(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}

#[inline]
fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[inline]
fn half(bytes: &[u8], at: usize) -> u64 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as u64
}

#[inline]
fn hash_bytes(seed: [u64; 2], bytes: &[u8]) -> u64 {
    let n = bytes.len();
    let (a, b) = match n {
        0 => (0, 0),
        1..=3 => (bytes[0] as u64 | (bytes[n / 2] as u64) << 8, bytes[n - 1] as u64),
        4..=7 => (half(bytes, 0), half(bytes, n - 4)),
        8..=16 => (word(bytes, 0), word(bytes, n - 8)),
        _ => return hash_long(seed, bytes),
    };
    mix(a ^ seed[0], b ^ seed[1] ^ ((n as u64) << 56)) ^ seed[1]
}

#[inline(never)]
fn hash_long(seed: [u64; 2], bytes: &[u8]) -> u64 {
    let n = bytes.len();
    let mut state = seed[1] ^ n as u64;
    let mut at = 0;
    while at + 16 < n {
        state = mix(word(bytes, at) ^ seed[0], word(bytes, at + 8) ^ state);
        at += 16;
    }
    mix(word(bytes, n - 16) ^ seed[0], word(bytes, n - 8) ^ state) ^ seed[1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_names_have_their_numbers() {
        let symbols = Symbols::default();
        assert_eq!(symbols.intern(b"or"), names::OR);
        assert_eq!(symbols.name(names::OUT_PATH), b"outPath");
        assert_eq!(symbols.len(), names::ALL.len());
    }

    #[test]
    fn names_survive_growth_and_are_found_again() {
        let symbols = Symbols::default();
        let made: Vec<Symbol> =
            (0..50_000).map(|i| symbols.intern(format!("name{i}").as_bytes())).collect();
        for (i, &symbol) in made.iter().enumerate() {
            let name = format!("name{i}");
            assert_eq!(symbols.name(symbol), name.as_bytes());
            assert_eq!(symbols.lookup(name.as_bytes()), Some(symbol));
        }
        assert_eq!(symbols.lookup(b"never seen"), None);
        assert_eq!(symbols.name(Symbol(u32::MAX)), b"");
    }

    #[test]
    fn threads_agree_on_numbers() {
        let symbols = Symbols::default();
        let all: Vec<Vec<Symbol>> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        (0..5000).map(|i| symbols.intern(format!("n{i}").as_bytes())).collect()
                    })
                })
                .collect();
            workers.into_iter().map(|w| w.join().expect("no panic")).collect()
        });
        assert!(all.windows(2).all(|w| w[0] == w[1]));
        assert_eq!(symbols.len(), names::ALL.len() + 5000);
    }

    #[test]
    fn every_length_hashes_within_bounds() {
        let symbols = Symbols::default();
        let text = [b'x'; 100];
        let hashes: std::collections::BTreeSet<u64> =
            (0..100).map(|n| symbols.hash(&text[..n])).collect();
        assert_eq!(hashes.len(), 100);
    }
}
