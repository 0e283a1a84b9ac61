//! A DNS server that costs next to nothing: it turns each query around.

use std::mem::offset_of;

use anyhow::{Result, ensure};

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

const MAC_DESTINATION: i16 = 0;
const MAC_SOURCE: i16 = 6;
const ETHER_TYPE: i16 = 12;
const IP: i16 = 14;
const UDP: i32 = 17;

/// Where things are in a frame of one IP version, without options and extension headers.
struct Layout {
    ether_type: u16,
    /// What the first octet of the IP header is, if that is to be seen.
    first_octet: Option<i32>,
    protocol: i16,
    source: i16,
    destination: i16,
    /// Words of an address.
    words: i16,
    udp: i16,
}

const V4: Layout = Layout {
    ether_type: 0x0800,
    // Version 4, and a header of five words: no options.
    first_octet: Some(0x45),
    protocol: IP + 9,
    source: IP + 12,
    destination: IP + 16,
    words: 1,
    udp: IP + 20,
};
const V6: Layout = Layout {
    ether_type: 0x86dd,
    // The traffic class begins in it.
    first_octet: None,
    protocol: IP + 6,
    source: IP + 8,
    destination: IP + 24,
    words: 4,
    udp: IP + 40,
};

impl Layout {
    const fn source_port(&self) -> i16 {
        self.udp
    }

    const fn destination_port(&self) -> i16 {
        self.udp + 2
    }

    const fn checksum(&self) -> i16 {
        self.udp + 6
    }

    const fn flags(&self) -> i16 {
        self.udp + 8 + 2
    }

    /// Octets up to the end of the DNS header.
    const fn headers(&self) -> i32 {
        self.udp as i32 + 8 + 12
    }
}

/// struct xdp_md, as far as we read it.
#[repr(C)]
struct Context {
    data: u32,
    data_end: u32,
}

/// An XDP program that answers DNS over UDP by itself; detached on drop.
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
        Self::attach_marking(namespace, interface, port, Self::MARK)
    }

    /// The same with a mark of its own, by which several can be told apart: QR, and other bits of the flags word's
    /// upper half.
    pub fn attach_marking(namespace: &Namespace, interface: &str, port: u16, mark: u16) -> Result<Self> {
        let [mark, rest] = mark.to_be_bytes();
        ensure!(mark & QR != 0 && rest == 0, "a mark has QR set, and no bit of the lower half");
        Ok(Self { _attached: Attached::attach(namespace, interface, &program(port, mark))? })
    }
}

/// In the upper half of the flags word.
const QR: u8 = 0x80;

fn program(port: u16, mark: u8) -> Vec<Instruction> {
    let versions = [V4, V6].iter().flat_map(|layout| reflect(layout, port, mark));
    versions.chain([compute(Move, R0, XDP_PASS), exit()]).collect()
}

/// Ends with what is a query to the port in a frame of this layout; all else comes out behind.
fn reflect(layout: &Layout, port: u16, mark: u8) -> Vec<Instruction> {
    let turn = [
        turn_around(layout),
        set_flags(layout, mark),
        mend_checksum(layout, mark),
        vec![compute(Move, R0, XDP_TX), exit()],
    ];
    let turn = turn.concat();
    let mut reflect = is_query(layout, port, turn.len());
    reflect.extend(turn);
    reflect
}

/// `R6` is the frame. What is no query to the port skips so many instructions after these.
fn is_query(layout: &Layout, port: u16, skipped: usize) -> Vec<Instruction> {
    let mut checks = vec![(U16, ETHER_TYPE, NotEqual, in_memory(layout.ether_type))];
    checks.extend(layout.first_octet.map(|octet| (U8, IP, NotEqual, octet)));
    checks.extend([
        (U8, layout.protocol, NotEqual, UDP),
        (U16, layout.destination_port(), NotEqual, in_memory(port)),
        (U8, layout.flags(), AnyBit, i32::from(QR)),
    ]);
    let mut left = i16::try_from(2 * checks.len() + skipped).unwrap_or(i16::MAX);
    let mut instructions = vec![
        load(U32, R6, R1, offset_of!(Context, data) as i16),
        load(U32, R3, R1, offset_of!(Context, data_end) as i16),
        compute_by(Move, R2, R6),
        compute(Add, R2, layout.headers()),
        jump_by(Greater, R2, R3, left),
    ];
    for (size, offset, condition, value) in checks {
        left -= 2;
        instructions.extend([load(size, R2, R6, offset), jump(condition, R2, value, left)]);
    }
    instructions
}

fn turn_around(layout: &Layout) -> Vec<Instruction> {
    let mut fields = vec![
        (U32, MAC_DESTINATION, MAC_SOURCE),
        (U16, MAC_DESTINATION + 4, MAC_SOURCE + 4),
        (U16, layout.source_port(), layout.destination_port()),
    ];
    let word = |number| (U32, layout.source + 4 * number, layout.destination + 4 * number);
    fields.extend((0..layout.words).map(word));
    fields.into_iter().flat_map(|(size, one, other)| swap(size, one, other)).collect()
}

fn swap(size: Size, one: i16, other: i16) -> [Instruction; 4] {
    let at = |register: Register, offset| load(size, register, R6, offset);
    [at(R4, one), at(R5, other), store(size, R6, other, R4), store(size, R6, one, R5)]
}

fn set_flags(layout: &Layout, mark: u8) -> Vec<Instruction> {
    let flags = layout.flags();
    vec![load(U8, R2, R6, flags), compute(Or, R2, i32::from(mark)), store(U8, R6, flags, R2)]
}

/// RFC 1624: the sum grows by the mark, which no query has, since the swaps leave it as it is. RFC 768: zero says that there
/// is no checksum, and is never the value of one.
fn mend_checksum(layout: &Layout, mark: u8) -> Vec<Instruction> {
    vec![
        load(U16, R2, R6, layout.checksum()),
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
        store(U16, R6, layout.checksum(), R2),
    ]
}

/// A number in network byte order, as this machine reads it from memory.
fn in_memory(number: u16) -> i32 {
    i32::from(number.to_be())
}
