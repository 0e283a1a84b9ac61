//! Links: a program at an interface.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use super::{bpf, command, open};

pub(super) const ATTACH_TYPE_XDP: u32 = 37;
const ATTACH_TYPE_TCX_EGRESS: u32 = 47;
/// In front of all programs that are there.
const BEFORE: u32 = 1 << 3;

/// Attaches an XDP program to an interface, as a link that lasts until the last reference to it is gone.
/// `flags` choose the mode.
pub(in crate::datapath) fn create_xdp_link(
    program: BorrowedFd<'_>,
    interface: u32,
    flags: u32,
) -> io::Result<OwnedFd> {
    create_link(program, interface, ATTACH_TYPE_XDP, flags)
}

/// Attaches a classifier to what leaves by an interface, as a TCX link, in front of others (Linux 6.6).
pub(in crate::datapath) fn create_egress_link(
    program: BorrowedFd<'_>,
    interface: u32,
) -> io::Result<OwnedFd> {
    create_link(program, interface, ATTACH_TYPE_TCX_EGRESS, BEFORE)
}

fn create_link(program: BorrowedFd<'_>, interface: u32, attach_type: u32, flags: u32) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Attributes {
        program_fd: u32,
        interface: u32,
        attach_type: u32,
        flags: u32,
    }
    let program_fd = program.as_raw_fd() as u32;
    let mut attributes = Attributes { program_fd, interface, attach_type, flags };
    // SAFETY: these are the command's attributes, without pointers; it returns a descriptor.
    unsafe { open(command::LINK_CREATE, &mut attributes) }
}

/// Puts another program into a link, between one packet and the next.
pub(in crate::datapath) fn update_link(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    #[repr(C)]
    struct Attributes {
        link_fd: u32,
        program_fd: u32,
        flags: u32,
        old_program_fd: u32,
    }
    let (link_fd, program_fd) = (link.as_raw_fd() as u32, program.as_raw_fd() as u32);
    let mut attributes = Attributes { link_fd, program_fd, flags: 0, old_program_fd: 0 };
    // SAFETY: these are the command's attributes, without pointers.
    unsafe { bpf(command::LINK_UPDATE, &mut attributes) }.map(drop)
}

/// Detaches a link, whoever else may refer to it.
pub(in crate::datapath) fn detach_link(link: BorrowedFd<'_>) -> io::Result<()> {
    let mut attributes = link.as_raw_fd() as u32;
    // SAFETY: these are the command's attributes: the descriptor alone.
    unsafe { bpf(command::LINK_DETACH, &mut attributes) }.map(drop)
}
