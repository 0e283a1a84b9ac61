//! Waking a thread that waits for packets.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::eventfd::{EfdFlags, EventFd};

/// Tells a thread to look whether there is a view, or whether it is to end.
#[derive(Debug)]
pub(super) struct Bell {
    event: EventFd,
}

impl Bell {
    pub(super) fn new() -> io::Result<Self> {
        let event = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Self { event })
    }

    /// There is something new.
    pub(super) fn ring(&self) {
        // It fails when it was rung 2⁶⁴ times in vain.
        let _ = self.event.write(1);
    }

    /// Has heard it.
    pub(super) fn quiet(&self) {
        // Nothing to read: it has been heard before.
        let _ = self.event.read();
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}
