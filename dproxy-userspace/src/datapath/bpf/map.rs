//! Maps.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use super::{NAME, bpf, command, name_octets, open};

const MAP_TYPE_ARRAY: u32 = 2;
const MAP_TYPE_ARRAY_OF_MAPS: u32 = 12;
const MMAPABLE: u32 = 1 << 10;

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

/// What a map is to be.
#[derive(Clone, Copy, Debug)]
pub(in crate::datapath) struct Definition {
    /// `enum bpf_map_type`.
    pub(in crate::datapath) kind: u32,
    /// Octets of a key.
    pub(in crate::datapath) key_size: u32,
    /// Octets of a value.
    pub(in crate::datapath) value_size: u32,
    /// Elements at most.
    pub(in crate::datapath) max_entries: u32,
    /// `BPF_F_…`.
    pub(in crate::datapath) flags: u32,
}

impl Definition {
    /// An array that can be mapped into memory. With one element, it is a table.
    pub(in crate::datapath) const fn array(value_size: u32, max_entries: u32) -> Self {
        Self { kind: MAP_TYPE_ARRAY, key_size: 4, value_size, max_entries, flags: MMAPABLE }
    }
}

/// Creates a map.
pub(in crate::datapath) fn create_map(name: &str, definition: &Definition) -> io::Result<OwnedFd> {
    let &Definition { kind, key_size, value_size, max_entries, flags } = definition;
    let mut attributes = MapCreate {
        map_type: kind,
        key_size,
        value_size,
        max_entries,
        map_flags: flags,
        map_name: name_octets(name),
        ..Default::default()
    };
    // SAFETY: these are the command's attributes, without pointers; it returns a descriptor.
    unsafe { open(command::MAP_CREATE, &mut attributes) }
}

/// From now on, userspace cannot change a map, and the verifier knows what is in it.
pub(in crate::datapath) fn freeze(map: BorrowedFd<'_>) -> io::Result<()> {
    let mut attributes = map.as_raw_fd() as u32;
    // SAFETY: these are the command's attributes: the descriptor alone.
    unsafe { bpf(command::MAP_FREEZE, &mut attributes) }.map(drop)
}

/// Creates an array with one element of 32 bits.
pub(in crate::datapath) fn create_array() -> io::Result<OwnedFd> {
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
pub(in crate::datapath) fn create_array_of_maps(inner: BorrowedFd<'_>) -> io::Result<OwnedFd> {
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
pub(in crate::datapath) unsafe fn update<T: Copy>(
    map: BorrowedFd<'_>,
    index: u32,
    value: &[T],
) -> io::Result<()> {
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
pub(in crate::datapath) fn look_up_only(map: BorrowedFd<'_>, octets: usize) -> io::Result<Vec<u8>> {
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
pub(in crate::datapath) fn set_program(map: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let program = program.as_raw_fd() as u32;
    // SAFETY: the element of an array of programs is the descriptor of one, 32 bits.
    unsafe { update(map, 0, &[program]) }
}

/// Removes the program from the only element of an array of programs.
pub(in crate::datapath) fn remove_program(map: BorrowedFd<'_>) -> io::Result<()> {
    let key = 0u32;
    let map_fd = map.as_raw_fd() as u32;
    let mut attributes: Element<u32, u8> =
        Element { map_fd, reserved: 0, key: &raw const key, value: std::ptr::null_mut(), flags: 0 };
    // SAFETY: these are the command's attributes; a key is 32 bits.
    unsafe { bpf(command::MAP_DELETE_ELEM, &mut attributes) }.map(drop)
}
