//! Programs.

use std::ffi::{CStr, c_char};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use aya_obj::generated::bpf_insn;

use super::link::ATTACH_TYPE_XDP;
use super::{NAME, bpf, command, name_octets, open};

const PROGRAM_TYPE_CLASSIFIER: u32 = 3;
const PROGRAM_TYPE_XDP: u32 = 6;

/// What a program is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::datapath) enum ProgramKind {
    /// What comes in by an interface.
    Xdp,
    /// What goes out by one.
    Classifier,
}

/// Loads a program; what the verifier says goes to `log`, and ends in a zero octet.
pub(in crate::datapath) fn load_program(
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
        name: name_octets(name),
        interface: 0,
        expected_attach_type,
    };
    // SAFETY: these are the command's attributes; there are as many instructions, and as much room, as they say. It
    // returns a descriptor.
    unsafe { open(command::PROG_LOAD, &mut attributes) }
}

/// What a run of a program has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::datapath) struct TestRun {
    /// What the program returned.
    pub(in crate::datapath) returned: u32,
    /// Octets of the packet afterwards.
    pub(in crate::datapath) length: u32,
    /// Nanoseconds that a run took, on average.
    pub(in crate::datapath) duration: u32,
}

/// Runs a program on a packet, `repeat` times; `after` is what becomes of it, and `context` what the kernel knows besides.
pub(in crate::datapath) fn test_run(
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
