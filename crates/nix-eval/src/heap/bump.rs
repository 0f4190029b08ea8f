//! Where one worker allocates.
#![allow(unsafe_code, reason = "a prefetch is an instruction of its own")]

// Through the folder above, since `crate::model` compiles this file once more with words of its own.
use super::{BLOCK, Cells, Heap, LARGE};

/// Words of the longest stretch that is kept for use again.
const LONGEST_KEPT: usize = 16;

/// Where one worker allocates: a pointer through its current block, and stretches of words that it has given
/// back, listed by length and linked through their first words.
#[derive(Debug, Default)]
pub struct Bump {
    next: usize,
    end: usize,
    /// Address of the stretch of so many words that was given back last, or 0.
    kept: [usize; LONGEST_KEPT + 1],
    /// For each length with a stretch, its bit.
    lengths: u32,
}

impl Bump {
    /// Zeroed memory of `n` words; its address is a multiple of 8.
    #[inline(always)]
    pub fn words(&mut self, heap: &Heap, n: usize) -> Cells {
        let bytes = n * 8;
        let address = self.next;
        if bytes <= self.end - address {
            self.next = address + bytes;
            return Cells(address);
        }
        self.slow(heap, bytes)
    }

    /// Memory of `n` words with any contents: what was given back last, if there is some of that length.
    #[inline(always)]
    pub(crate) fn any_words(&mut self, heap: &Heap, n: usize) -> Cells {
        if n <= LONGEST_KEPT && self.kept[n] != 0 {
            return self.take_kept(n);
        }
        self.any_words_slow(heap, n)
    }

    #[inline(always)]
    fn take_kept(&mut self, n: usize) -> Cells {
        let cells = Cells(self.kept[n]);
        let next = cells.word(0) as usize;
        self.kept[n] = next;
        if next == 0 {
            self.lengths &= !(1 << n);
        }
        // It was given back some time ago, so it may lie far away.
        prefetch(next);
        cells
    }

    /// Takes the words from a longer stretch, if there is one that leaves one of use.
    #[inline]
    fn any_words_slow(&mut self, heap: &Heap, n: usize) -> Cells {
        let longer = if n < LONGEST_KEPT { self.lengths >> (n + 2) << (n + 2) } else { 0 };
        if longer == 0 {
            return self.words(heap, n);
        }
        let length = longer.trailing_zeros() as usize;
        let cells = self.take_kept(length);
        self.give_back(cells.skip(n), length - n);
        cells
    }

    /// As [`Bump::words`], from what was given back if there is some.
    #[inline(always)]
    pub(crate) fn zeroed_words(&mut self, heap: &Heap, n: usize) -> Cells {
        let cells = self.any_words(heap, n);
        if n <= LONGEST_KEPT {
            for i in 0..n {
                cells.put(i, 0);
            }
        }
        cells
    }

    /// Takes back the `n` words of `cells`, which nobody reads any more. They may have come from another worker.
    #[inline(always)]
    pub(crate) fn give_back(&mut self, cells: Cells, n: usize) {
        if n < 2 {
            return;
        }
        let n = n.min(LONGEST_KEPT);
        cells.put(0, self.kept[n] as u64);
        self.kept[n] = cells.address();
        self.lengths |= 1 << n;
    }

    #[cold]
    #[inline(never)]
    fn slow(&mut self, heap: &Heap, bytes: usize) -> Cells {
        if bytes > LARGE {
            return Cells(heap.take(bytes.next_multiple_of(16)));
        }
        self.next = heap.take(BLOCK);
        self.end = self.next + BLOCK;
        let address = self.next;
        self.next += bytes;
        Cells(address)
    }
}

/// Asks for the memory at an address, which need not be one.
#[inline(always)]
fn prefetch(address: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch never faults.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(address as *const i8);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}
