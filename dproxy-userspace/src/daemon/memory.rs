//! Memory that is not needed any more.
//!
//! While a large change is made, it takes many times the memory that it leaves behind. glibc's `malloc` keeps what
//! is freed; the host may have a better use for it.

/// Blocks of so many octets go back to the system when they are freed. Left alone, glibc raises this to the size of
/// whatever large block is freed (mallopt(3)).
#[cfg(target_env = "gnu")]
const LARGE: i32 = 256 << 10;

/// To be called at the beginning.
pub(super) fn keep_little() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it sets numbers. If it fails, all goes on as before.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
        // Small blocks become larger ones at once. Else they are left until `malloc_trim`, which does not give back what
        // then stands at the end of a thread's heap: of a million names, up to 55 MiB.
        libc::mallopt(libc::M_MXFAST, 0);
    }
}

/// Gives back to the system what has been freed.
pub(super) fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it concerns free memory only, and takes the locks that it needs.
    unsafe {
        libc::malloc_trim(0);
    }
}
