//! Array maps in the process's own memory.

use std::io;
use std::marker::PhantomData;
use std::mem::{align_of, size_of, size_of_val};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::AtomicU64;

use dproxy_common::{abi::Entry, tables::Half};

use super::DatapathError;

/// An array map, shared with the kernel.
///
/// What packets may be reading is changed through [`Table::word`] alone; the rest is written only while
/// no packet can come by it.
#[derive(Debug)]
pub(super) struct Table<T> {
    start: NonNull<T>,
    entries: u32,
    of: PhantomData<T>,
}

// SAFETY: the mapping belongs to the process, not to a thread.
unsafe impl<T: Send> Send for Table<T> {}

impl<T: Entry> Table<T> {
    /// Maps a map of so many entries.
    pub(super) fn map(map: BorrowedFd<'_>, entries: u32) -> io::Result<Self> {
        // The kernel rounds elements up to 8 octets, and begins at a page.
        const { assert!(size_of::<T>().is_multiple_of(8) && align_of::<T>() <= 4096) };
        let (access, octets) = (libc::PROT_READ | libc::PROT_WRITE, Self::octets(entries));
        // SAFETY: a new mapping, where the kernel likes; it refuses one that is longer than the map.
        let start =
            unsafe { libc::mmap(ptr::null_mut(), octets, access, libc::MAP_SHARED, map.as_raw_fd(), 0) };
        match NonNull::new(start) {
            Some(mapped) if start != libc::MAP_FAILED => {
                Ok(Self { start: mapped.cast(), entries, of: PhantomData })
            }
            _ => Err(io::Error::last_os_error()),
        }
    }

    const fn octets(entries: u32) -> usize {
        entries as usize * size_of::<T>()
    }

    /// Where `count` entries from `first` on are, if there are as many.
    fn at(&self, first: u32, count: usize) -> Option<NonNull<T>> {
        let end = (first as usize).checked_add(count)?;
        // SAFETY: the first entry is inside the mapping or, if there is none, at its end.
        (end <= self.entries as usize).then(|| unsafe { self.start.add(first as usize) })
    }

    /// Reads an entry.
    pub(super) fn read(&self, index: u32) -> Option<T> {
        // SAFETY: `at` has checked the bounds, and any octets are an `Entry`.
        self.at(index, 1).map(|entry| unsafe { entry.read_volatile() })
    }

    /// Writes entries from `first` on; `None` if there are not as many.
    #[must_use]
    pub(super) fn write(&mut self, first: u32, values: &[T]) -> Option<()> {
        let place = self.at(first, values.len())?;
        // SAFETY: `at` has checked the bounds, and `values` is not in the mapping, which is all ours.
        unsafe { ptr::copy_nonoverlapping(values.as_ptr(), place.as_ptr(), values.len()) };
        Some(())
    }

    /// Do the entries from `first` on equal these?
    pub(super) fn holds(&self, first: u32, values: &[T]) -> bool {
        let Some(place) = self.at(first, values.len()) else { return false };
        // SAFETY: `at` has checked the bounds; an `Entry` has no padding, so all octets may be read.
        let (here, there) = unsafe {
            let octets = size_of_val(values);
            (
                slice::from_raw_parts(place.as_ptr().cast::<u8>(), octets),
                slice::from_raw_parts(values.as_ptr().cast::<u8>(), octets),
            )
        };
        here == there
    }

    /// A word of an entry that may change while packets read it, by its place in the entry.
    pub(super) fn word(&self, index: u32, offset: usize) -> Option<&AtomicU64> {
        let inside = offset.is_multiple_of(8) && offset + 8 <= size_of::<T>();
        let entry = self.at(index, 1).filter(|_| inside)?;
        // SAFETY: inside the mapping, which lives as long as `self`; entries begin at multiples of 8.
        Some(unsafe { AtomicU64::from_ptr(entry.byte_add(offset).cast().as_ptr()) })
    }
}

impl<T> Drop for Table<T> {
    fn drop(&mut self) {
        // SAFETY: mapped by `map`, and no reference outlives `self`.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.entries as usize * size_of::<T>()) };
    }
}

/// A table that holds two generations.
#[derive(Debug)]
pub(super) struct Halved<T> {
    table: Table<T>,
    capacity: u32,
}

impl<T: Entry> Halved<T> {
    /// Maps a map whose halves have so many entries each.
    pub(super) fn map(map: BorrowedFd<'_>, capacity: u32) -> io::Result<Self> {
        Ok(Self { table: Table::map(map, 2 * capacity)?, capacity })
    }

    /// Fills a half from its beginning, and makes sure that it has been filled. `what` is for messages.
    pub(super) fn fill(&mut self, half: Half, values: &[T], what: &str) -> Result<(), DatapathError> {
        let (has, limit) = (values.len(), self.capacity);
        if has > limit as usize {
            return Err(DatapathError(format!(
                "{has} {what} do not fit into a table for {limit}; raise fast_path.routes and restart dproxy"
            )));
        }
        let first = half.entry(0, limit);
        let written = self.table.write(first, values);
        if written.is_none() || !self.table.holds(first, values) {
            return Err(DatapathError(format!(
                "the table of {what} does not hold what was written; restart dproxy"
            )));
        }
        Ok(())
    }
}
