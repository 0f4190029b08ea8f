//! Memory straight from the system.

use std::{ffi::c_void, ptr::null_mut};

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// An anonymous private mapping, zeroed; returned to the system when dropped.
#[derive(Debug)]
pub(crate) struct Mapping {
    address: usize,
    len: usize,
}

impl Mapping {
    /// Maps `len` bytes, rounded up to pages. `None` when the system refuses.
    ///
    /// Huge pages are not asked for: `docs/performance.md` has the figures.
    pub(crate) fn new(len: usize) -> Option<Mapping> {
        Mapping::map(len.next_multiple_of(4096))
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
