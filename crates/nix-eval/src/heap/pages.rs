//! Memory straight from the system.

use std::{ffi::c_void, ptr::null_mut};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

const HUGE_PAGE: usize = 2 << 20;

/// An anonymous private mapping, zeroed; returned to the system when dropped.
#[derive(Debug)]
pub(crate) struct Mapping {
    address: usize,
    len: usize,
}

impl Mapping {
    /// Maps `len` bytes, rounded up to pages; `huge` asks for huge pages and aligns the start to them.
    /// `None` when the system refuses.
    pub(crate) fn new(len: usize, huge: bool) -> Option<Mapping> {
        let len = len.next_multiple_of(4096);
        if !huge {
            return Mapping::map(len);
        }
        let wide = Mapping::map(len + HUGE_PAGE)?;
        let start = wide.address.next_multiple_of(HUGE_PAGE);
        let (address, total) = (wide.address, wide.len);
        std::mem::forget(wide);
        Mapping { address, len: start - address };
        let aligned = Mapping { address: start, len };
        Mapping { address: start + len, len: address + total - (start + len) };
        // SAFETY: the range is ours; the advice changes no contents. A refusal costs only speed.
        let _ = unsafe { madvise(start as *mut c_void, len, Advice::LinuxHugepage) };
        Some(aligned)
    }

    /// Reserves `len` bytes of address space; pages get memory when touched, and are not counted before.
    pub(crate) fn reserve(len: usize) -> Option<Mapping> {
        let len = len.next_multiple_of(4096);
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new anonymous mapping at an address the system chooses touches no memory of ours.
        let address = unsafe { mmap_anonymous(null_mut(), len, prot, flags) }.ok()?;
        Some(Mapping { address: address as usize, len })
    }

    fn map(len: usize) -> Option<Mapping> {
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: as in `reserve`.
        let address = unsafe { mmap_anonymous(null_mut(), len, prot, MapFlags::PRIVATE) }.ok()?;
        Some(Mapping { address: address as usize, len })
    }

    pub(crate) fn address(&self) -> usize {
        self.address
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: the range was mapped by us and nothing refers to it any more: whoever holds values
            // of this heap also holds the heap.
            let _ = unsafe { munmap(self.address as *mut c_void, self.len) };
        }
    }
}
