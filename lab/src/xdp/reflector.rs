//! A DNS server that costs next to nothing: it turns each query around.

use std::mem::offset_of;

use anyhow::Result;

use super::Attached;
use super::instruction::Condition::{AnyBit, Equal, Greater, NotEqual};
use super::instruction::Operation::{Add, And, Move, Or, ShiftRight, Xor};
use super::instruction::Register::{R0, R1, R2, R3, R4, R5, R6};
use super::instruction::Size::{U8, U16, U32};
use super::instruction::{
    Instruction, Register, Size, compute, compute_by, exit, jump, jump_by, load, store,
};
use crate::Namespace;

const XDP_PASS: i32 = 2;
const XDP_TX: i32 = 3;

// Where things are in a frame: Ethernet, IPv4 without options, UDP, DNS header.
const MAC_DESTINATION: i16 = 0;
const MAC_SOURCE: i16 = 6;
const ETHER_TYPE: i16 = 12;
const IP_VERSION_AND_LENGTH: i16 = 14;
const IP_PROTOCOL: i16 = 23;
const IP_SOURCE: i16 = 26;
const IP_DESTINATION: i16 = 30;
const UDP_SOURCE: i16 = 34;
const UDP_DESTINATION: i16 = 36;
const UDP_CHECKSUM: i16 = 40;
const DNS_FLAGS: i16 = 44;
const HEADERS: i32 = 54;

const IPV4_WITHOUT_OPTIONS: i32 = 0x45;
const UDP: i32 = 17;

/// struct xdp_md, as far as we read it.
#[repr(C)]
struct Context {
    data: u32,
    data_end: u32,
}

/// An XDP program that answers DNS over UDP and IPv4 by itself; detached on drop.
///
/// A query to its port goes back as it came, with the bits [`MARK`](Self::MARK) set. All other frames
/// pass. What is on the other end of the veth needs an XDP program too, [`XdpPass`](crate::XdpPass) at
/// least, and whoever sends queries must not leave checksums to "hardware".
#[derive(Debug)]
pub struct XdpReflector {
    _attached: Attached,
}

impl XdpReflector {
    /// What the reflector sets in the flags word of a query: QR and AA. A response without AA is
    /// somebody else's (RFC 1035 §4.1.1).
    pub const MARK: u16 = 0x8400;

    /// Attaches the program to `interface`, in native mode; it answers at `port`.
    pub fn attach(namespace: &Namespace, interface: &str, port: u16) -> Result<Self> {
        Ok(Self { _attached: Attached::attach(namespace, interface, &program(port))? })
    }
}

fn program(port: u16) -> Vec<Instruction> {
    let [mark_high, _] = XdpReflector::MARK.to_be_bytes();
    let turn = [turn_around(), set_flags(mark_high), mend_checksum(mark_high)].concat();
    let mut program = vec![compute(Move, R0, XDP_PASS)];
    program.extend(is_query(port, turn.len() + 1));
    program.extend(turn);
    program.extend([compute(Move, R0, XDP_TX), exit()]);
    program
}

/// `R6` is the frame. What is no query to the port skips so many instructions after these.
fn is_query(port: u16, skipped: usize) -> Vec<Instruction> {
    let checks = [
        (U16, ETHER_TYPE, NotEqual, in_memory(0x0800)),
        (U8, IP_VERSION_AND_LENGTH, NotEqual, IPV4_WITHOUT_OPTIONS),
        (U8, IP_PROTOCOL, NotEqual, UDP),
        (U16, UDP_DESTINATION, NotEqual, in_memory(port)),
        (U8, DNS_FLAGS, AnyBit, i32::from(XdpReflector::MARK >> 8)),
    ];
    let mut left = i16::try_from(2 * checks.len() + skipped).unwrap_or(i16::MAX);
    let mut instructions = vec![
        load(U32, R6, R1, offset_of!(Context, data) as i16),
        load(U32, R3, R1, offset_of!(Context, data_end) as i16),
        compute_by(Move, R2, R6),
        compute(Add, R2, HEADERS),
        jump_by(Greater, R2, R3, left),
    ];
    for (size, offset, condition, value) in checks {
        left -= 2;
        instructions.extend([load(size, R2, R6, offset), jump(condition, R2, value, left)]);
    }
    instructions
}

fn turn_around() -> Vec<Instruction> {
    let fields = [
        (U32, MAC_DESTINATION, MAC_SOURCE),
        (U16, MAC_DESTINATION + 4, MAC_SOURCE + 4),
        (U32, IP_SOURCE, IP_DESTINATION),
        (U16, UDP_SOURCE, UDP_DESTINATION),
    ];
    fields.into_iter().flat_map(|(size, one, other)| swap(size, one, other)).collect()
}

fn swap(size: Size, one: i16, other: i16) -> [Instruction; 4] {
    let at = |register: Register, offset| load(size, register, R6, offset);
    [at(R4, one), at(R5, other), store(size, R6, other, R4), store(size, R6, one, R5)]
}

fn set_flags(mark: u8) -> Vec<Instruction> {
    vec![load(U8, R2, R6, DNS_FLAGS), compute(Or, R2, i32::from(mark)), store(U8, R6, DNS_FLAGS, R2)]
}

/// RFC 1624: the sum grows by the mark, since the swaps leave it as it is. RFC 768: zero says that there
/// is no checksum, and is never the value of one.
fn mend_checksum(mark: u8) -> Vec<Instruction> {
    vec![
        load(U16, R2, R6, UDP_CHECKSUM),
        jump(Equal, R2, 0, 9),
        compute(Xor, R2, 0xffff),
        compute(Add, R2, in_memory(u16::from(mark) << 8)),
        compute_by(Move, R3, R2),
        compute(ShiftRight, R3, 16),
        compute_by(Add, R2, R3),
        // Only the lower 16 bits are stored: a sum of all ones there would become zero.
        compute(And, R2, 0xffff),
        jump(Equal, R2, 0xffff, 1),
        compute(Xor, R2, 0xffff),
        store(U16, R6, UDP_CHECKSUM, R2),
    ]
}

/// A number in network byte order, as this machine reads it from memory.
fn in_memory(number: u16) -> i32 {
    i32::from(number.to_be())
}
