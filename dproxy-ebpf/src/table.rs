//! Tables that the program addresses directly.
//!
//! A table is the only element of an array map, as a program's variables are, so its address is a constant of the
//! program. To come by an entry takes a comparison and an addition; by a look-up in an array of as many elements it takes
//! a dozen instructions, one after the other, with a key on the stack (docs/performance.md).

use core::{cell::UnsafeCell, mem::MaybeUninit};

use dproxy_common::tables::Half;

use crate::packet::opaque;

/// A table of `T`. In the object it is a variable with room for one; userspace creates the map, with as many entries as
/// there shall be.
#[repr(transparent)]
pub struct Table<T>(UnsafeCell<MaybeUninit<T>>);

// SAFETY: it is reached through pointers only, and who uses them answers for what happens at the same time.
unsafe impl<T> Sync for Table<T> {}

impl<T> Table<T> {
    /// What stands for a table in the object.
    pub const fn new() -> Self {
        Self(UnsafeCell::new(MaybeUninit::zeroed()))
    }

    /// Entry `index`, if there are more than that.
    ///
    /// VERIFIER: `entries` is a setting, or a constant: what the verifier knows. Then it finds that the entry is inside
    /// the map.
    #[inline(always)]
    pub fn at(&'static self, index: u32, entries: u32) -> Option<*mut T> {
        let index = opaque(index as usize);
        (index < entries as usize).then(|| self.entry(index))
    }

    /// Entry `index` of this half of the table, if halves have more than that.
    #[inline(always)]
    pub fn in_half(&'static self, half: Half, index: u32, entries: u32) -> Option<&'static T> {
        let index = opaque(index as usize);
        // VERIFIER: a half that has been in map memory might be any number. And an addition that LLVM knows to carry
        // nothing becomes a disjunction, after which Linux 6.1 knows no bound ("unbounded min value").
        let first = opaque((half.index() & 1) as usize * entries as usize);
        // SAFETY: an entry is valid for reads, and not written to in a half that is read.
        (index < entries as usize).then(|| unsafe { &*self.entry(first + index) })
    }

    /// Entry `index` of run `run`, where there are `runs` of `length` entries each: each processor's, for instance.
    #[inline(always)]
    pub fn in_run(&'static self, run: u32, runs: u32, index: u32, length: u32) -> Option<*mut T> {
        let (run, index) = (opaque(run as usize), opaque(index as usize));
        (run < runs as usize && index < length as usize).then(|| self.entry(run * length as usize + index))
    }

    /// Where an entry is. The compiler must not know that this is the table's variable, which is smaller and never
    /// written to.
    #[inline(always)]
    fn entry(&'static self, index: usize) -> *mut T {
        (opaque(self.0.get() as usize) + index * size_of::<T>()) as *mut T
    }
}
