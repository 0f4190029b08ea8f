//! Strings: bytes, their length and the number of their context.
//!
//! Two header words: length (40 bits) and context (24 bits); address of the bytes. The bytes usually
//! follow the header, but a substring shares those of the string it was cut from, and a string that was
//! made by appending lies in a buffer with room behind it, so that `acc + x` in a loop copies only `x`.

use std::sync::atomic::Ordering;

use super::{ContextId, STRING, Value};
use crate::{
    heap::{Bump, Cells, Heap},
    symbol::Symbol,
};

/// Set in the address word of a string that begins a growable buffer. The two words before the bytes of
/// such a buffer are the number of bytes used and the number that fit.
const GROWABLE: u64 = 1 << 63;
/// Set in the address word of a string that is a name: the word before its bytes is the name's symbol.
const NAME: u64 = 1 << 62;
const ADDRESS: u64 = NAME - 1;
const LENGTH_BITS: u32 = 40;

/// Largest length of a string in bytes; larger ones cannot be represented.
pub(crate) const MAX_LENGTH: usize = (1 << LENGTH_BITS) - 1;

/// A string with context.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Str(pub(crate) Cells);

impl Str {
    /// Length in bytes.
    #[inline(always)]
    pub fn len(self) -> usize {
        (self.0.word(0) & ((1 << LENGTH_BITS) - 1)) as usize
    }

    /// Whether it is `""`.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The bytes, not necessarily UTF-8. They live as long as the evaluator.
    #[inline(always)]
    pub fn bytes<'a>(self) -> &'a [u8] {
        Cells::at((self.0.word(1) & ADDRESS) as usize).bytes(self.len())
    }

    /// The text, with invalid UTF-8 replaced.
    pub fn to_text(self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    /// The store paths that the string depends on; 0 = none.
    #[inline(always)]
    pub fn context(self) -> ContextId {
        ContextId((self.0.word(0) >> LENGTH_BITS) as u32)
    }

    /// The string as a value.
    #[inline(always)]
    pub fn value(self) -> Value {
        Value::tagged(self.0, STRING)
    }

    fn header(cells: Cells, len: usize, context: ContextId, address: u64) -> Str {
        debug_assert!(len <= MAX_LENGTH);
        cells.put(0, len as u64 | (context.0 as u64) << LENGTH_BITS);
        cells.put(1, address);
        Str(cells)
    }

    /// The string whose bytes lie behind the two header words of `cells`, which has room for them.
    pub(crate) fn in_cells(cells: Cells, len: usize, context: ContextId) -> Str {
        Str::header(cells, len, context, cells.address() as u64 + 16)
    }

    /// Copies bytes into a new string.
    pub(crate) fn new(bump: &mut Bump, heap: &Heap, bytes: &[u8], context: ContextId) -> Str {
        let cells = bump.any_words(heap, 2 + bytes.len().div_ceil(8));
        cells.put_bytes(16, bytes);
        Str::header(cells, bytes.len(), context, cells.address() as u64 + 16)
    }

    /// Copies a name into a new string that knows its symbol.
    pub(crate) fn named(bump: &mut Bump, heap: &Heap, name: &[u8], symbol: Symbol) -> Str {
        let cells = bump.any_words(heap, 3 + name.len().div_ceil(8));
        cells.put(2, symbol.0.into());
        cells.put_bytes(24, name);
        let address = (cells.address() as u64 + 24) | NAME;
        Str::header(cells, name.len(), ContextId::NONE, address)
    }

    /// The symbol of these bytes, if the string was made from one.
    #[inline(always)]
    pub(crate) fn symbol(self) -> Option<Symbol> {
        let address = self.0.word(1);
        if address & NAME == 0 {
            return None;
        }
        Some(Symbol(Cells::at((address & ADDRESS) as usize - 8).word(0) as u32))
    }

    /// The bytes of `self` from `start`, `len` of them, with the given context. Copies short ones, shares
    /// long ones.
    pub(crate) fn slice(
        self,
        bump: &mut Bump,
        heap: &Heap,
        start: usize,
        len: usize,
        context: ContextId,
    ) -> Str {
        let bytes = &self.bytes()[start..start + len];
        if len <= 24 {
            return Str::new(bump, heap, bytes, context);
        }
        let cells = bump.any_words(heap, 2);
        let address = (self.0.word(1) & ADDRESS) + start as u64;
        Str::header(cells, len, context, address)
    }

    /// Room for `self` followed by `n_right` bytes: the new string, where its bytes begin less 16, and whether
    /// those of `self` have to be put there too. The caller fills it before anybody sees the string.
    pub(crate) fn append_room(
        self,
        bump: &mut Bump,
        heap: &Heap,
        n_right: usize,
        context: ContextId,
    ) -> (Str, Cells, bool) {
        let n_left = self.len();
        let len = n_left + n_right;
        let address = self.0.word(1);
        if address & GROWABLE != 0 {
            let bytes = (address & ADDRESS) as usize;
            let buffer = Cells::at(bytes - 16);
            let room = buffer.word(1) as usize;
            // Whoever moves the mark owns the bytes behind it; another string may have been there first.
            let grown = len <= room
                && buffer
                    .atomic(0)
                    .compare_exchange(
                        n_left as u64,
                        len as u64,
                        Ordering::AcqRel,
                        Ordering::Relaxed,
                    )
                    .is_ok();
            if grown {
                let cells = bump.any_words(heap, 2);
                return (Str::header(cells, len, context, address), buffer, false);
            }
        }
        if len < 256 {
            let cells = bump.any_words(heap, 2 + len.div_ceil(8));
            return (Str::in_cells(cells, len, context), cells, true);
        }
        let room = (len + len / 2).min(len + (64 << 20)).next_multiple_of(8);
        let buffer = bump.words(heap, 2 + room / 8);
        buffer.put(0, len as u64);
        buffer.put(1, room as u64);
        let cells = bump.any_words(heap, 2);
        let address = (buffer.address() as u64 + 16) | GROWABLE;
        (Str::header(cells, len, context, address), buffer, true)
    }
}
