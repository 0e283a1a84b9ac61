//! What code has to do so that the kernel's verifier can follow it.
//!
//! The verifier walks every path through a program and gives up after a million instructions. Two
//! paths become one where they meet in the same state, and a register whose value is known on one of
//! them is a different state. A value that has been in map memory is unknown, so that is where values
//! go whose exact number does not matter any more.

/// The same value, unknown to the verifier. `place` must lie in map memory.
#[inline(always)]
pub fn forget(place: &mut u32, value: u32) -> u32 {
    store(place, value);
    load(place)
}

/// A store that the compiler must make.
#[inline(always)]
pub fn store(place: &mut u32, value: u32) {
    // SAFETY: a reference is valid for writes.
    unsafe { core::ptr::write_volatile(place, value) }
}

/// A load that the compiler must make.
#[inline(always)]
pub fn load(place: &u32) -> u32 {
    // SAFETY: a reference is valid for reads.
    unsafe { core::ptr::read_volatile(place) }
}
