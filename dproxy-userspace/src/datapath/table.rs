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
use crate::control::Rows;

/// An array map, shared with the kernel.
///
/// What packets may be reading is changed through [`Table::word`] alone; the rest is written only while
/// no packet, and nobody in this process, can come by it.
#[derive(Debug)]
pub(super) struct Table<T> {
    start: NonNull<T>,
    entries: u32,
    of: PhantomData<T>,
}

// SAFETY: the mapping belongs to the process, not to a thread.
unsafe impl<T: Send> Send for Table<T> {}
// SAFETY: all writing but of words is `unsafe`: whoever writes makes sure that nobody reads.
unsafe impl<T: Sync> Sync for Table<T> {}

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

    /// An entry that nobody writes as long as it is referred to.
    pub(super) fn get(&self, index: u32) -> Option<&T> {
        // SAFETY: `at` has checked the bounds, and any octets are an `Entry`.
        self.at(index, 1).map(|entry| unsafe { entry.as_ref() })
    }

    /// Writes entries from `first` on; `None` if there are not as many.
    ///
    /// # Safety
    /// Nobody refers to these entries, see [`Table::get`], or writes them at the same time.
    #[must_use]
    pub(super) unsafe fn write(&self, first: u32, values: &[T]) -> Option<()> {
        let place = self.at(first, values.len())?;
        // SAFETY: `at` has checked the bounds; the caller answers for who else is there, `values` among them.
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

    /// An entry of a half.
    pub(super) fn get(&self, half: Half, index: u32) -> Option<&T> {
        self.table.get(half.entry(index, self.capacity))
    }

    /// Writes rows into a half, and makes sure that they are there. `what` is for messages.
    ///
    /// # Safety
    /// Nobody reads this half, or writes it at the same time.
    pub(super) unsafe fn fill(&self, half: Half, rows: &Rows<T>, what: &str) -> Result<(), DatapathError> {
        // SAFETY: as the caller promises.
        let write = |first, entries: &[T]| unsafe { self.write(half, first, entries, what) };
        match rows {
            Rows::All(entries) => write(0, entries),
            Rows::Some(entries) => {
                entries.iter().try_for_each(|(index, entry)| write(*index, slice::from_ref(entry)))
            }
        }
    }

    /// Makes what rows have overwritten in a half what it is in the other one.
    ///
    /// # Safety
    /// As [`fill`](Self::fill); and nobody writes the other half at the same time.
    pub(super) unsafe fn restore(&self, half: Half, rows: &Rows<T>) {
        for (index, _) in rows.iter() {
            if let Some(entry) = self.get(half.other(), index) {
                // SAFETY: as the caller promises; the entry is in the other half.
                let written =
                    unsafe { self.table.write(half.entry(index, self.capacity), slice::from_ref(entry)) };
                debug_assert!(written.is_some(), "it fitted before");
            }
        }
    }

    /// # Safety
    /// As [`fill`](Self::fill).
    unsafe fn write(&self, half: Half, first: u32, entries: &[T], what: &str) -> Result<(), DatapathError> {
        let (end, limit) = (first as usize + entries.len(), self.capacity);
        if end > limit as usize {
            return Err(DatapathError(format!("{end} {what} do not fit into a table for {limit}")));
        }
        let first = if entries.is_empty() { 0 } else { half.entry(first, limit) };
        // SAFETY: as the caller promises.
        let written = unsafe { self.table.write(first, entries) };
        if written.is_none() || !self.table.holds(first, entries) {
            return Err(DatapathError(format!(
                "the table of {what} does not hold what was written; restart dproxy"
            )));
        }
        Ok(())
    }
}
