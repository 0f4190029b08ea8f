//! Lists: a length and that many words. The empty list has no object.
//!
//! The end of a long list shares the elements of the list that it is the end of: a length with [`SHARED`]
//! set, and the address of the first element. Walking a list by `tail` then takes no memory to speak of.

use super::{LIST, Value};
use crate::heap::Cells;

/// Set in the length of a list whose elements lie elsewhere.
const SHARED: u64 = 1 << 63;
/// Lists of up to this many elements are copied: that takes no more words.
pub(crate) const SHORT: usize = 3;

/// A list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct List(pub(crate) Cells);

impl List {
    /// The elements, which may be thunks.
    #[inline(always)]
    pub fn as_slice<'a>(self) -> &'a [Value] {
        if self.0.address() == 0 {
            return &[];
        }
        let len = self.0.word(0);
        let words = if len & SHARED == 0 {
            self.0.skip(1).slice(len as usize)
        } else {
            Cells::at(self.0.word(1) as usize).slice((len & !SHARED) as usize)
        };
        // SAFETY: `Value` is a transparent word.
        unsafe { &*(std::ptr::from_ref(words) as *const [Value]) }
    }

    /// Fills the two words of `cells` with the elements of `list` from number `start` on; not all of them.
    pub(crate) fn share(cells: Cells, list: List, start: usize) -> List {
        let rest = &list.as_slice()[start..];
        cells.put(0, rest.len() as u64 | SHARED);
        cells.put(1, rest.as_ptr() as u64);
        List(cells)
    }

    /// Number of elements.
    #[inline(always)]
    pub fn len(self) -> usize {
        if self.0.address() == 0 { 0 } else { (self.0.word(0) & !SHARED) as usize }
    }

    /// Whether it is `[ ]`.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The elements, which may be thunks.
    pub fn iter<'a>(self) -> std::iter::Copied<std::slice::Iter<'a, Value>> {
        self.as_slice().iter().copied()
    }

    /// Element number `index`.
    pub fn get(self, index: usize) -> Option<Value> {
        self.as_slice().get(index).copied()
    }

    /// The list as a value.
    #[inline(always)]
    pub fn value(self) -> Value {
        Value::tagged(self.0, LIST)
    }
}
