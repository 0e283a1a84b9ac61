//! What is attached to what leaves. Debian's `bpftool net` does not know of it yet.

use std::collections::BTreeMap;
use std::io;

use dproxy_lab::Namespace;
use nix::libc;
use nix::net::if_::if_nameindex;

const BPF_PROG_QUERY: i32 = 16;
const BPF_TCX_EGRESS: u32 = 47;
/// More than anybody attaches to one interface.
const PROGRAMS: usize = 8;

/// The ids of the TCX egress programs of a namespace, for each interface that has any.
pub fn egress_programs(namespace: &Namespace) -> BTreeMap<String, Vec<u32>> {
    let look = || {
        let interfaces = if_nameindex().unwrap();
        let programs = interfaces.iter().map(|interface| {
            (interface.name().to_str().unwrap().to_owned(), programs(interface.index()).unwrap())
        });
        programs.filter(|(_, programs)| !programs.is_empty()).collect()
    };
    namespace.enter(look).unwrap()
}

/// The front part of `union bpf_attr` (linux/bpf.h) for `BPF_PROG_QUERY`.
#[repr(C)]
struct Query {
    interface: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    programs: *mut u32,
    count: u32,
    padding: u32,
}

fn programs(interface: u32) -> io::Result<Vec<u32>> {
    let mut programs = [0; PROGRAMS];
    let mut query = Query {
        interface,
        attach_type: BPF_TCX_EGRESS,
        query_flags: 0,
        attach_flags: 0,
        programs: programs.as_mut_ptr(),
        count: PROGRAMS as u32,
        padding: 0,
    };
    // SAFETY: these are the command's attributes, and there is room for as many programs as they say.
    let result = unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_QUERY, &raw mut query, size_of::<Query>()) };
    match result {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(programs[..query.count as usize].to_vec()),
    }
}
