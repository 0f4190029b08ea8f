//! Lists: a length and that many words. The empty list has no object.

use super::{LIST, Value};
use crate::heap::Cells;

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
        let words = self.0.skip(1).slice(self.0.word(0) as usize);
        // SAFETY: `Value` is a transparent word.
        unsafe { &*(std::ptr::from_ref(words) as *const [Value]) }
    }

    /// Number of elements.
    #[inline(always)]
    pub fn len(self) -> usize {
        if self.0.address() == 0 { 0 } else { self.0.word(0) as usize }
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
