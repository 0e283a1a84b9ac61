//! Small XDP programs for the hosts around the balancer, written instruction by instruction and loaded
//! with bpf(2) directly: the lab needs no more of BPF than that.

mod instruction;
mod pass;
mod reflector;

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use anyhow::{Context, Result};
use nix::net::if_::if_nametoindex;

use self::instruction::Instruction;
use crate::Namespace;

pub use self::pass::XdpPass;
pub use self::reflector::XdpReflector;

const BPF_PROG_LOAD: i32 = 5;
const BPF_LINK_CREATE: i32 = 28;
const BPF_LINK_DETACH: i32 = 34;
const BPF_PROG_TYPE_XDP: u32 = 6;
const BPF_XDP: u32 = 37;
const XDP_FLAGS_DRV_MODE: u32 = 1 << 2;

/// The beginning of `union bpf_attr` for BPF_PROG_LOAD; what follows is zero.
#[repr(C)]
struct ProgLoad {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
}

/// The beginning of `union bpf_attr` for BPF_LINK_CREATE; what follows is zero.
#[repr(C)]
struct LinkCreate {
    prog_fd: u32,
    target_ifindex: u32,
    attach_type: u32,
    flags: u32,
}

/// `union bpf_attr` for BPF_LINK_DETACH.
#[repr(C)]
struct LinkDetach {
    link_fd: u32,
}

/// An attached program; detached on drop.
#[derive(Debug)]
struct Attached {
    link: OwnedFd,
}

impl Attached {
    /// Attaches `program` to `interface`, in native mode.
    fn attach(namespace: &Namespace, interface: &str, program: &[Instruction]) -> Result<Self> {
        let link = namespace.enter(|| link(&load(program)?, if_nametoindex(interface)?))?;
        let link = link.with_context(|| {
            format!("attach an XDP program to {interface} in {} (Linux 5.9 or later?)", namespace.name())
        })?;
        Ok(Self { link })
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        // To close the descriptor is not enough at once: a child between fork and exec has it too.
        // The interface may be gone already, and the link with it: nothing to do then.
        let _ = bpf(BPF_LINK_DETACH, &LinkDetach { link_fd: self.link.as_raw_fd() as u32 });
    }
}

fn load(program: &[Instruction]) -> io::Result<OwnedFd> {
    let fd = bpf(
        BPF_PROG_LOAD,
        &ProgLoad {
            prog_type: BPF_PROG_TYPE_XDP,
            insn_cnt: program.len() as u32,
            insns: program.as_ptr() as u64,
            license: c"Dual MIT/GPL".as_ptr() as u64,
        },
    )?;
    // SAFETY: the kernel has just given us this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn link(program: &OwnedFd, interface: u32) -> io::Result<OwnedFd> {
    let fd = bpf(
        BPF_LINK_CREATE,
        &LinkCreate {
            prog_fd: program.as_raw_fd() as u32,
            target_ifindex: interface,
            attach_type: BPF_XDP,
            flags: XDP_FLAGS_DRV_MODE,
        },
    )?;
    // SAFETY: the kernel has just given us this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// bpf(2). `A` is the beginning of `union bpf_attr` for the command; the rest is zero.
fn bpf<A>(command: i32, attributes: &A) -> io::Result<i32> {
    // SAFETY: the kernel reads `size_of::<A>()` bytes of `attributes`, and what these point to, which lives.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attributes as *const A, size_of::<A>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as i32) }
}
