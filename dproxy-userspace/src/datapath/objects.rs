//! What the kernel knows about programs, maps and links: by their ids, and what they are.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use super::bpf::{bpf, command, open};

/// A program by its id. Takes CAP_SYS_ADMIN.
pub(super) fn program_by_id(id: u32) -> io::Result<OwnedFd> {
    by_id(command::PROG_GET_FD_BY_ID, id)
}

/// A map by its id. Takes CAP_SYS_ADMIN.
pub(super) fn map_by_id(id: u32) -> io::Result<OwnedFd> {
    by_id(command::MAP_GET_FD_BY_ID, id)
}

fn by_id(command: libc::c_long, id: u32) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Attributes {
        id: u32,
        next_id: u32,
        flags: u32,
    }
    // SAFETY: these are the command's attributes, without pointers; it returns a descriptor.
    unsafe { open(command, &mut Attributes { id, next_id: 0, flags: 0 }) }
}

/// The front part of `struct bpf_prog_info`.
#[repr(C)]
#[derive(Default)]
pub(super) struct ProgramInfo {
    kind: u32,
    /// Its id.
    pub(super) id: u32,
    tag: [u8; 8],
    /// Octets of machine code; 0 if it is interpreted.
    pub(super) jited_length: u32,
    translated_length: u32,
    jited: u64,
    translated: u64,
    load_time: u64,
    created_by: u32,
    map_count: u32,
    map_ids: u64,
    name: [u8; 16],
    interface: u32,
    is_gpl: u32,
    network_namespace: [u64; 2],
    functions: [u64; 3],
    btf: [u32; 2],
    function_info: [u64; 2],
    line_info: [u64; 2],
    jited_line_info: [u64; 2],
    tags: [u64; 1],
    run: [u64; 3],
    /// Instructions that the verifier has looked at; 0 if the kernel does not tell (Linux 5.16).
    pub(super) verified_instructions: u32,
    attach: [u32; 2],
    reserved: u32,
}

/// Asks what a program is.
pub(super) fn program_info(program: BorrowedFd<'_>) -> io::Result<ProgramInfo> {
    let mut info = ProgramInfo::default();
    object_info(program, &mut info)?;
    Ok(info)
}

/// The ids of the maps that a program uses.
pub(super) fn maps_of(program: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut info = ProgramInfo::default();
    object_info(program, &mut info)?;
    let mut ids = vec![0u32; info.map_count as usize];
    let mut info =
        ProgramInfo { map_count: info.map_count, map_ids: ids.as_mut_ptr() as u64, ..ProgramInfo::default() };
    object_info(program, &mut info)?;
    Ok(ids)
}

/// What a map is: the front part of `struct bpf_map_info`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct MapInfo {
    /// `enum bpf_map_type`.
    pub(super) kind: u32,
    /// Its id.
    pub(super) id: u32,
    /// Octets of a key.
    pub(super) key_size: u32,
    /// Octets of a value.
    pub(super) value_size: u32,
    /// Elements at most.
    pub(super) max_entries: u32,
    /// Flags that it was made with.
    pub(super) flags: u32,
    /// Its name, cut to 15 octets.
    pub(super) name: [u8; 16],
}

/// Asks what a map is.
pub(super) fn map_info(map: BorrowedFd<'_>) -> io::Result<MapInfo> {
    let mut info = MapInfo::default();
    object_info(map, &mut info)?;
    Ok(info)
}

/// What a link is: the front part of `struct bpf_link_info`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LinkInfo {
    /// [`LinkInfo::XDP`], [`LinkInfo::TCX`], or another kind.
    pub(super) kind: u32,
    /// Its id.
    pub(super) id: u32,
    /// Id of its program.
    pub(super) program: u32,
    reserved: u32,
    /// Of an XDP or TCX link, the index of its interface, in whatever network namespace; 0 if that is gone.
    pub(super) interface: u32,
    reserved_too: u32,
}

impl LinkInfo {
    /// `BPF_LINK_TYPE_XDP`.
    pub(super) const XDP: u32 = 6;
    /// `BPF_LINK_TYPE_TCX`.
    pub(super) const TCX: u32 = 11;
}

/// Asks what a link is.
pub(super) fn link_info(link: BorrowedFd<'_>) -> io::Result<LinkInfo> {
    let mut info = LinkInfo::default();
    object_info(link, &mut info)?;
    Ok(info)
}

/// Asks what an object is. `T` is the front part of what the kernel knows about objects of its kind: integers.
fn object_info<T: Default>(object: BorrowedFd<'_>, info: &mut T) -> io::Result<()> {
    #[repr(C)]
    struct Attributes<T> {
        fd: u32,
        length: u32,
        info: *mut T,
    }
    let length = size_of::<T>() as u32;
    let mut attributes = Attributes { fd: object.as_raw_fd() as u32, length, info: std::ptr::from_mut(info) };
    // SAFETY: these are the command's attributes; the kernel writes at most `length` octets.
    unsafe { bpf(command::OBJ_GET_INFO_BY_FD, &mut attributes) }.map(drop)
}
