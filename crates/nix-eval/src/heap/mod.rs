//! The heap of one evaluator: where sets, lists, strings, functions and thunks lie.
//!
//! Memory comes from the system in 2 MiB chunks; each worker takes blocks of a chunk and bumps a pointer
//! through them. Large objects are mapped on their own. Nothing in the heap owns Rust memory or a file
//! descriptor, so dropping the heap is a handful of `munmap` calls, without destructors.
//!
//! # Trap
//! Allocation of small objects cannot fail. When the byte limit is passed, or the system refuses memory,
//! [`Heap::over_limit`] turns true and the next poll of the machine reports it; until then a reserve is used.
#![allow(unsafe_code, reason = "the heap hands out raw memory")]

mod bump;
mod pages;

use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

pub use bump::Bump;
pub(crate) use pages::Mapping;

const CHUNK: usize = 2 << 20;
const BLOCK: usize = 64 << 10;
/// Objects of more bytes than this do not go into a worker's block.
const LARGE: usize = 8 << 10;
/// Objects of more bytes than this have a mapping of their own.
const HUGE: usize = 256 << 10;

/// All memory of one evaluator.
#[derive(Debug)]
pub struct Heap {
    state: Mutex<State>,
    bytes: AtomicU64,
    /// Memory beside the heap that lives as long as it and counts like it.
    beside: AtomicU64,
    limit: AtomicU64,
    over: AtomicBool,
}

#[derive(Debug)]
struct State {
    mappings: Vec<Mapping>,
    /// Rest of the current chunk.
    next: usize,
    end: usize,
    n_chunks: usize,
    /// Used when the system refuses memory, so that the refusal can be reported.
    reserve: Option<Mapping>,
}

impl Default for Heap {
    fn default() -> Heap {
        Heap::new(u64::MAX)
    }
}

impl Heap {
    /// An empty heap that reports itself over its limit past `limit` bytes.
    pub fn new(limit: u64) -> Heap {
        Heap {
            state: Mutex::new(State {
                mappings: Vec::new(),
                next: 0,
                end: 0,
                n_chunks: 0,
                reserve: Mapping::new(CHUNK),
            }),
            bytes: AtomicU64::new(0),
            beside: AtomicU64::new(0),
            limit: AtomicU64::new(limit),
            over: AtomicBool::new(false),
        }
    }

    /// Bytes handed out to workers and large objects so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Counts memory that is no part of the heap but lives as long: programs, names, failures. It leaves less room
    /// for the heap.
    pub(crate) fn count_beside(&self, bytes: u64) {
        self.beside.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Takes back what [`Heap::count_beside`] counted.
    pub(crate) fn uncount_beside(&self, bytes: u64) {
        self.beside.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn total(&self) -> u64 {
        self.bytes().saturating_add(self.beside.load(Ordering::Relaxed))
    }

    /// The limit in bytes.
    pub fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Changes the limit; a heap that was over its old limit may be usable again.
    pub fn set_limit(&self, limit: u64) {
        self.limit.store(limit, Ordering::Relaxed);
        self.over.store(self.bytes() > limit, Ordering::Relaxed);
    }

    /// Whether more than the limit was handed out, or the system refused memory.
    pub fn over_limit(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Whether `more` bytes would still fit.
    pub fn has_room(&self, more: u64) -> bool {
        self.total().saturating_add(more) <= self.limit()
    }

    fn account(&self, bytes: usize) {
        let total = self.bytes.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        if total > self.limit() {
            self.over.store(true, Ordering::Relaxed);
        }
    }

    /// Zeroed memory of `bytes` (a multiple of 8), aligned to 16.
    fn take(&self, bytes: usize) -> usize {
        self.account(bytes);
        let mut state = self.state.lock().unwrap_or_else(|e| e.into_inner());
        if bytes > HUGE {
            match Mapping::new(bytes) {
                Some(mapping) => {
                    let address = mapping.address();
                    state.mappings.push(mapping);
                    return address;
                }
                // A large object that the system refuses: callers have asked `has_room` first, so this is
                // the machine being out of memory.
                None => {
                    self.over.store(true, Ordering::Relaxed);
                    refused();
                }
            }
        }
        if state.end - state.next < bytes {
            // The first chunks are small: an evaluator for one expression should not cost megabytes.
            let size = if state.n_chunks == 0 { CHUNK / 4 } else { CHUNK };
            let mapping = Mapping::new(size).or_else(|| {
                self.over.store(true, Ordering::Relaxed);
                state.reserve.take()
            });
            let Some(mapping) = mapping else { refused() };
            state.next = mapping.address();
            state.end = state.next + mapping.len();
            state.n_chunks += 1;
            state.mappings.push(mapping);
        }
        let address = state.next;
        state.next += bytes;
        address
    }
}

/// What a request ends with when the system refuses memory in the middle of making a value.
#[derive(Debug)]
pub(crate) struct OutOfMemory;

/// Leaves the request at once; the session catches it and says so.
fn refused() -> ! {
    std::panic::resume_unwind(Box::new(OutOfMemory))
}

/// Address of words in a heap. Valid as long as its heap; never null when it came from [`Bump::words`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Cells(usize);

impl Cells {
    /// The words at `address`, which must be an address in a live heap.
    #[inline(always)]
    pub const fn at(address: usize) -> Cells {
        Cells(address)
    }
    /// The address.
    #[inline(always)]
    pub const fn address(self) -> usize {
        self.0
    }
    /// The words from number `n` on.
    #[inline(always)]
    pub const fn skip(self, n: usize) -> Cells {
        Cells(self.0 + n * 8)
    }
    /// Word number `n`.
    #[inline(always)]
    pub fn word(self, n: usize) -> u64 {
        // SAFETY: the address is that of a live heap object with more than `n` words; words that change
        // after an object was published are only read through `atomic`.
        unsafe { *(self.0 as *const u64).add(n) }
    }
    /// Writes word number `n` of an object that nobody else sees yet.
    #[inline(always)]
    pub fn put(self, n: usize, word: u64) {
        // SAFETY: as in `word`; the object is not published, so nobody reads at the same time.
        unsafe { *(self.0 as *mut u64).add(n) = word }
    }
    /// Word number `n` as an atomic cell.
    #[inline(always)]
    pub fn atomic(&self, n: usize) -> &AtomicU64 {
        // SAFETY: as in `word`; `AtomicU64` has the layout of `u64`.
        unsafe { &*(self.0 as *const AtomicU64).add(n) }
    }
    /// `n` words as a slice of words.
    #[inline(always)]
    pub fn slice<'a>(self, n: usize) -> &'a [u64] {
        // SAFETY: as in `word`; published objects do not change, but for words that were given back, which nobody reads.
        unsafe { std::slice::from_raw_parts(self.0 as *const u64, n) }
    }
    /// `n` words as values.
    #[inline(always)]
    pub(crate) fn values<'a>(self, n: usize) -> &'a [crate::value::Value] {
        // SAFETY: as in `slice`; `Value` is a transparent word.
        unsafe { std::slice::from_raw_parts(self.0 as *const crate::value::Value, n) }
    }
    /// `n` bytes from the start.
    #[inline(always)]
    pub fn bytes<'a>(self, n: usize) -> &'a [u8] {
        // SAFETY: as in `slice`.
        unsafe { std::slice::from_raw_parts(self.0 as *const u8, n) }
    }
    /// Writes bytes `at` bytes after the start, in a part that nobody else sees yet.
    #[inline]
    pub fn put_bytes(self, at: usize, bytes: &[u8]) {
        // SAFETY: the object has room for them, and nobody reads this part yet.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), (self.0 as *mut u8).add(at), bytes.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_of_all_sizes_are_zeroed_and_apart() {
        let heap = Heap::default();
        let mut bump = Bump::default();
        let mut last = Vec::new();
        for n in [1usize, 2, 100, 1024, 1025, 8192, 40_000, 300_000] {
            for _ in 0..20 {
                let cells = bump.words(&heap, n);
                assert!(cells.slice(n).iter().all(|&w| w == 0));
                cells.put(0, n as u64);
                cells.put(n - 1, n as u64);
                last.push((cells, n));
            }
        }
        for (cells, n) in last {
            assert_eq!((cells.word(0), cells.word(n - 1)), (n as u64, n as u64));
        }
    }

    #[test]
    fn what_was_given_back_is_used_again_whole_or_in_parts() {
        let heap = Heap::default();
        let mut bump = Bump::default();
        let first = bump.words(&heap, 9);
        let second = bump.words(&heap, 9);
        first.put(8, 7);
        bump.give_back(first, 9);
        bump.give_back(second, 9);
        assert_eq!(bump.any_words(&heap, 9), second);
        let zeroed = bump.zeroed_words(&heap, 9);
        assert_eq!(zeroed, first);
        assert!(zeroed.slice(9).iter().all(|&w| w == 0));
        // Three words of nine, then the six that are left; a single word is of no use.
        bump.give_back(first, 9);
        assert_eq!(bump.any_words(&heap, 3), first);
        assert_eq!(bump.any_words(&heap, 6), first.skip(3));
        bump.give_back(second, 4);
        let fresh = bump.any_words(&heap, 3);
        assert!(fresh != second && fresh != first);
        assert_eq!(bump.any_words(&heap, 2), second);
    }

    #[test]
    fn passing_the_limit_is_noted_not_refused() {
        let heap = Heap::new(1 << 20);
        let mut bump = Bump::default();
        while !heap.over_limit() {
            bump.words(&heap, 512);
        }
        assert!(heap.bytes() <= (1 << 20) + BLOCK as u64);
        heap.set_limit(1 << 30);
        assert!(!heap.over_limit());
        heap.count_beside(1 << 29);
        assert!(heap.has_room(1 << 28));
        heap.count_beside(1 << 29);
        assert!(!heap.has_room(0));
        heap.uncount_beside(1 << 29);
        assert!(heap.has_room(0));
    }
}
