//! Waiting until no packet can still see what has been replaced.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::thread;
use std::time::Duration;

use super::{DatapathError, LoadError, bpf};

/// An array of maps, made only to be updated: the kernel answers an update of a map of maps when all
/// program runs that had begun before it have ended (`maybe_wait_bpf_programs` in kernel/bpf/syscall.c).
///
/// membarrier(2) waits for the same and takes as long, but not on kernels with `nohz_full`.
#[derive(Debug)]
pub(super) struct GracePeriod {
    outer: OwnedFd,
    inner: OwnedFd,
}

impl GracePeriod {
    /// Makes the maps. The first thing that takes a right: it tells whether there is one to use bpf(2).
    pub(super) fn new() -> Result<Self, LoadError> {
        let maps = || -> io::Result<Self> {
            let inner = bpf::create_array()?;
            Ok(Self { outer: bpf::create_array_of_maps(inner.as_fd())?, inner })
        };
        maps().map_err(|error| match error.raw_os_error() {
            Some(libc::EPERM) => LoadError::impossible(super::NEEDS_ROOT),
            Some(libc::ENOSYS) => {
                LoadError::impossible("this kernel has no bpf(2); the fast path needs Linux 6.1 or newer")
            }
            _ => DatapathError(format!("cannot create a BPF map: {error}")).into(),
        })
    }

    /// Returns when all packets that were under way have been handled: after some milliseconds.
    pub(super) fn wait(&self) {
        let inner = self.inner.as_raw_fd() as u32;
        // SAFETY: the element of a map of maps is the descriptor of a map, 32 bits.
        if let Err(error) = unsafe { bpf::update(self.outer.as_fd(), 0, &[inner]) } {
            tracing::warn!("cannot wait for a grace period ({error}): waiting for a second instead");
            thread::sleep(Duration::from_secs(1));
        }
    }
}
