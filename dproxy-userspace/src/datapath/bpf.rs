//! The bpf(2) commands that aya has no form of, or none that says what went wrong.
//!
//! A command's arguments are the front part of `union bpf_attr` (linux/bpf.h); the kernel takes what is
//! missing for zeroes.

mod link;
mod map;
mod program;

use std::ffi::{CString, c_char};
use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub(super) use link::{create_egress_link, create_xdp_link, detach_link, update_link};
pub(super) use map::{
    Definition, create_array, create_array_of_maps, create_map, freeze, look_up_only, remove_program,
    set_program, update,
};
pub(super) use program::{ProgramKind, load_program, test_run};

/// Commands: `enum bpf_cmd`.
pub(super) mod command {
    use libc::c_long;

    pub(in crate::datapath) const MAP_CREATE: c_long = 0;
    pub(in crate::datapath) const MAP_LOOKUP_ELEM: c_long = 1;
    pub(in crate::datapath) const MAP_UPDATE_ELEM: c_long = 2;
    pub(in crate::datapath) const MAP_DELETE_ELEM: c_long = 3;
    pub(in crate::datapath) const PROG_LOAD: c_long = 5;
    pub(in crate::datapath) const OBJ_PIN: c_long = 6;
    pub(in crate::datapath) const OBJ_GET: c_long = 7;
    pub(in crate::datapath) const PROG_TEST_RUN: c_long = 10;
    pub(in crate::datapath) const PROG_GET_FD_BY_ID: c_long = 13;
    pub(in crate::datapath) const MAP_GET_FD_BY_ID: c_long = 14;
    pub(in crate::datapath) const OBJ_GET_INFO_BY_FD: c_long = 15;
    pub(in crate::datapath) const MAP_FREEZE: c_long = 22;
    pub(in crate::datapath) const LINK_CREATE: c_long = 28;
    pub(in crate::datapath) const LINK_UPDATE: c_long = 29;
    pub(in crate::datapath) const LINK_DETACH: c_long = 34;
}

/// Makes the system call.
///
/// # Safety
/// `attributes` must be those of the command, and what their pointers point to valid for it.
pub(super) unsafe fn bpf<T>(command: libc::c_long, attributes: &mut T) -> io::Result<libc::c_long> {
    // SAFETY: the size is that of the arguments, and the caller answers for what is in them.
    match unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attributes), size_of::<T>()) } {
        -1 => Err(io::Error::last_os_error()),
        result => Ok(result),
    }
}

/// Makes a system call that opens something.
///
/// # Safety
/// As [`bpf`]; and the command must be one that returns a new file descriptor.
pub(super) unsafe fn open<T>(command: libc::c_long, attributes: &mut T) -> io::Result<OwnedFd> {
    // SAFETY: as the caller promises.
    let fd = unsafe { bpf(command, attributes) }?;
    // SAFETY: the kernel has just made the descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// The kernel keeps so much of a name, its final zero octet included (`BPF_OBJ_NAME_LEN`).
const NAME: usize = 16;

/// A name as the kernel keeps it.
pub(super) fn kept_name(name: &str) -> &str {
    name.get(..NAME - 1).unwrap_or(name)
}

fn name_octets(name: &str) -> [u8; NAME] {
    let mut octets = [0; NAME];
    octets.iter_mut().zip(kept_name(name).bytes()).for_each(|(place, octet)| *place = octet);
    octets
}

#[repr(C)]
struct Object {
    path: *const c_char,
    fd: u32,
    flags: u32,
}

fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(io::Error::from)
}

/// Gives an object a name in a BPF file system, where it stays until the name is removed.
pub(super) fn pin(object: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = c_path(path)?;
    let mut attributes = Object { path: path.as_ptr(), fd: object.as_raw_fd() as u32, flags: 0 };
    // SAFETY: these are the command's attributes; the path ends in a zero octet and lives long enough.
    unsafe { bpf(command::OBJ_PIN, &mut attributes) }.map(drop)
}

/// Opens a pinned object.
pub(super) fn open_pin(path: &Path) -> io::Result<OwnedFd> {
    let path = c_path(path)?;
    let mut attributes = Object { path: path.as_ptr(), fd: 0, flags: 0 };
    // SAFETY: as in `pin`; the command returns a descriptor.
    unsafe { open(command::OBJ_GET, &mut attributes) }
}
