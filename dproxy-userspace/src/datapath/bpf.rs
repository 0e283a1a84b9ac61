//! The bpf(2) commands that aya has no form of, or none that says what went wrong.
//!
//! A command's arguments are the front part of `union bpf_attr` (linux/bpf.h); the kernel takes what is
//! missing for zeroes.

use std::ffi::{CStr, CString, c_char};
use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use aya_obj::generated::bpf_insn;

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

const MAP_TYPE_ARRAY: u32 = 2;
const MAP_TYPE_ARRAY_OF_MAPS: u32 = 12;
const MMAPABLE: u32 = 1 << 10;
const PROGRAM_TYPE_CLASSIFIER: u32 = 3;
const PROGRAM_TYPE_XDP: u32 = 6;
const ATTACH_TYPE_XDP: u32 = 37;
const ATTACH_TYPE_TCX_EGRESS: u32 = 47;
/// In front of all programs that are there.
const BEFORE: u32 = 1 << 3;

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

#[repr(C)]
#[derive(Default)]
struct MapCreate {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    map_flags: u32,
    inner_map_fd: u32,
    numa_node: u32,
    map_name: [u8; NAME],
}

/// The kernel keeps so much of a name, its final zero octet included (`BPF_OBJ_NAME_LEN`).
const NAME: usize = 16;

/// A name as the kernel keeps it.
pub(super) fn kept_name(name: &str) -> &str {
    name.get(..NAME - 1).unwrap_or(name)
}

/// What a map is to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Definition {
    /// `enum bpf_map_type`.
    pub(super) kind: u32,
    /// Octets of a key.
    pub(super) key_size: u32,
    /// Octets of a value.
    pub(super) value_size: u32,
    /// Elements at most.
    pub(super) max_entries: u32,
    /// `BPF_F_…`.
    pub(super) flags: u32,
}

impl Definition {
    /// An array that can be mapped into memory. With one element, it is a table.
    pub(super) const fn array(value_size: u32, max_entries: u32) -> Self {
        Self { kind: MAP_TYPE_ARRAY, key_size: 4, value_size, max_entries, flags: MMAPABLE }
    }
}

/// Creates a map.
pub(super) fn create_map(name: &str, definition: &Definition) -> io::Result<OwnedFd> {
    let mut map_name = [0; NAME];
    map_name.iter_mut().zip(kept_name(name).bytes()).for_each(|(place, octet)| *place = octet);
    let &Definition { kind, key_size, value_size, max_entries, flags } = definition;
    let mut attributes = MapCreate {
        map_type: kind,
        key_size,
        value_size,
        max_entries,
        map_flags: flags,
        map_name,
        ..Default::default()
    };
    // SAFETY: these are the command's attributes, without pointers; it returns a descriptor.
    unsafe { open(command::MAP_CREATE, &mut attributes) }
}

/// From now on, userspace cannot change a map, and the verifier knows what is in it.
pub(super) fn freeze(map: BorrowedFd<'_>) -> io::Result<()> {
    let mut attributes = map.as_raw_fd() as u32;
    // SAFETY: these are the command's attributes: the descriptor alone.
    unsafe { bpf(command::MAP_FREEZE, &mut attributes) }.map(drop)
}

/// What a program is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProgramKind {
    /// What comes in by an interface.
    Xdp,
    /// What goes out by one.
    Classifier,
}

/// Loads a program; what the verifier says goes to `log`, and ends in a zero octet.
pub(super) fn load_program(
    kind: ProgramKind,
    name: &str,
    instructions: &[bpf_insn],
    license: &CStr,
    log: Option<&mut [u8]>,
) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Attributes {
        program_type: u32,
        instruction_count: u32,
        instructions: *const bpf_insn,
        license: *const c_char,
        log_level: u32,
        log_size: u32,
        log: *mut u8,
        kernel_version: u32,
        flags: u32,
        name: [u8; NAME],
        interface: u32,
        expected_attach_type: u32,
    }
    let (program_type, expected_attach_type) = match kind {
        ProgramKind::Xdp => (PROGRAM_TYPE_XDP, ATTACH_TYPE_XDP),
        ProgramKind::Classifier => (PROGRAM_TYPE_CLASSIFIER, 0),
    };
    let mut program_name = [0; NAME];
    program_name.iter_mut().zip(kept_name(name).bytes()).for_each(|(place, octet)| *place = octet);
    let (log_level, log_size, log) =
        log.map_or((0, 0, std::ptr::null_mut()), |log| (1, log.len() as u32, log.as_mut_ptr()));
    let mut attributes = Attributes {
        program_type,
        instruction_count: instructions.len() as u32,
        instructions: instructions.as_ptr(),
        license: license.as_ptr(),
        log_level,
        log_size,
        log,
        kernel_version: 0,
        flags: 0,
        name: program_name,
        interface: 0,
        expected_attach_type,
    };
    // SAFETY: these are the command's attributes; there are as many instructions, and as much room, as they say. It
    // returns a descriptor.
    unsafe { open(command::PROG_LOAD, &mut attributes) }
}

/// What a run of a program has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TestRun {
    /// What the program returned.
    pub(super) returned: u32,
    /// Octets of the packet afterwards.
    pub(super) length: u32,
    /// Nanoseconds that a run took, on average.
    pub(super) duration: u32,
}

/// Runs a program on a packet, `repeat` times; `after` is what becomes of it, and `context` what the kernel knows besides.
pub(super) fn test_run(
    program: BorrowedFd<'_>,
    packet: &[u8],
    after: &mut [u8],
    context: &[u8],
    repeat: u32,
) -> io::Result<TestRun> {
    #[repr(C)]
    struct Attributes {
        program_fd: u32,
        returned: u32,
        length_in: u32,
        length_out: u32,
        packet_in: *const u8,
        packet_out: *mut u8,
        repeat: u32,
        duration: u32,
        context_length_in: u32,
        context_length_out: u32,
        context_in: *const u8,
        context_out: *mut u8,
    }
    let mut attributes = Attributes {
        program_fd: program.as_raw_fd() as u32,
        returned: 0,
        length_in: packet.len() as u32,
        length_out: after.len() as u32,
        packet_in: packet.as_ptr(),
        packet_out: after.as_mut_ptr(),
        repeat,
        duration: 0,
        context_length_in: context.len() as u32,
        context_length_out: 0,
        context_in: if context.is_empty() { std::ptr::null() } else { context.as_ptr() },
        context_out: std::ptr::null_mut(),
    };
    // SAFETY: these are the command's attributes; lengths are those of what the pointers point to.
    unsafe { bpf(command::PROG_TEST_RUN, &mut attributes) }?;
    let Attributes { returned, length_out, duration, .. } = attributes;
    Ok(TestRun { returned, length: length_out, duration })
}

/// Creates an array with one element of 32 bits.
pub(super) fn create_array() -> io::Result<OwnedFd> {
    let mut attributes = MapCreate {
        map_type: MAP_TYPE_ARRAY,
        key_size: 4,
        value_size: 4,
        max_entries: 1,
        ..Default::default()
    };
    // SAFETY: these are the command's attributes, without pointers; it returns a descriptor.
    unsafe { open(command::MAP_CREATE, &mut attributes) }
}

/// Creates an array with one element that refers to maps like `inner`.
pub(super) fn create_array_of_maps(inner: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut attributes = MapCreate {
        map_type: MAP_TYPE_ARRAY_OF_MAPS,
        key_size: 4,
        value_size: 4,
        max_entries: 1,
        inner_map_fd: inner.as_raw_fd() as u32,
        ..Default::default()
    };
    // SAFETY: these are the command's attributes, without pointers; it returns a descriptor.
    unsafe { open(command::MAP_CREATE, &mut attributes) }
}

/// Sets an element of an array.
///
/// # Safety
/// `value` must be as long as an element of the map.
pub(super) unsafe fn update<T: Copy>(map: BorrowedFd<'_>, index: u32, value: &[T]) -> io::Result<()> {
    #[repr(C)]
    struct Attributes<T> {
        map_fd: u32,
        reserved: u32,
        key: *const u32,
        value: *const T,
        flags: u64,
    }
    let map_fd = map.as_raw_fd() as u32;
    let mut attributes =
        Attributes { map_fd, reserved: 0, key: &raw const index, value: value.as_ptr(), flags: 0 };
    // SAFETY: these are the command's attributes; an array's key is 32 bits, and the caller answers for
    // the value.
    unsafe { bpf(command::MAP_UPDATE_ELEM, &mut attributes) }.map(drop)
}

#[repr(C)]
struct Element<K, V> {
    map_fd: u32,
    reserved: u32,
    key: *const K,
    value: *mut V,
    flags: u64,
}

/// Reads the only element of an array of so many octets.
pub(super) fn look_up_only(map: BorrowedFd<'_>, octets: usize) -> io::Result<Vec<u8>> {
    let (key, mut value) = (0u32, vec![0u8; octets.next_multiple_of(8)]);
    let map_fd = map.as_raw_fd() as u32;
    let mut attributes =
        Element { map_fd, reserved: 0, key: &raw const key, value: value.as_mut_ptr(), flags: 0 };
    // SAFETY: these are the command's attributes; the caller says how long an element is, and there is room.
    unsafe { bpf(command::MAP_LOOKUP_ELEM, &mut attributes) }?;
    value.truncate(octets);
    Ok(value)
}

/// Puts a program into the only element of an array of programs.
pub(super) fn set_program(map: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let program = program.as_raw_fd() as u32;
    // SAFETY: the element of an array of programs is the descriptor of one, 32 bits.
    unsafe { update(map, 0, &[program]) }
}

/// Removes the program from the only element of an array of programs.
pub(super) fn remove_program(map: BorrowedFd<'_>) -> io::Result<()> {
    let key = 0u32;
    let map_fd = map.as_raw_fd() as u32;
    let mut attributes: Element<u32, u8> =
        Element { map_fd, reserved: 0, key: &raw const key, value: std::ptr::null_mut(), flags: 0 };
    // SAFETY: these are the command's attributes; a key is 32 bits.
    unsafe { bpf(command::MAP_DELETE_ELEM, &mut attributes) }.map(drop)
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

/// Attaches an XDP program to an interface, as a link that lasts until the last reference to it is gone.
/// `flags` choose the mode.
pub(super) fn create_xdp_link(program: BorrowedFd<'_>, interface: u32, flags: u32) -> io::Result<OwnedFd> {
    create_link(program, interface, ATTACH_TYPE_XDP, flags)
}

/// Attaches a classifier to what leaves by an interface, as a TCX link, in front of others (Linux 6.6).
pub(super) fn create_egress_link(program: BorrowedFd<'_>, interface: u32) -> io::Result<OwnedFd> {
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
pub(super) fn update_link(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
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
pub(super) fn detach_link(link: BorrowedFd<'_>) -> io::Result<()> {
    let mut attributes = link.as_raw_fd() as u32;
    // SAFETY: these are the command's attributes: the descriptor alone.
    unsafe { bpf(command::LINK_DETACH, &mut attributes) }.map(drop)
}
