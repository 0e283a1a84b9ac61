use super::{Address, Be16};

/// IP protocol number of TCP.
pub const PROTOCOL_TCP: u8 = 6;
/// IP protocol number of UDP.
pub const PROTOCOL_UDP: u8 = 17;
/// Next header of a fragment header (RFC 8200 §4.5).
pub const PROTOCOL_FRAGMENT: u8 = 44;

/// The more-fragments bit and the fragment offset (RFC 791 §3.1).
pub const IPV4_FRAGMENT_MASK: u16 = 0x3fff;
/// The don't-fragment bit.
pub const IPV4_DONT_FRAGMENT: u16 = 0x4000;

/// IPv4 header without options (RFC 791 §3.1).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ipv4Header {
    /// Version (high 4 bits) and header length in 32-bit words (low 4 bits).
    pub version_ihl: u8,
    /// Traffic class: DSCP and ECN.
    pub tos: u8,
    /// Octets of header and payload.
    pub total_length: Be16,
    /// Identification.
    pub identification: Be16,
    /// Reserved, DF, MF, fragment offset.
    pub fragment: Be16,
    /// Time to live.
    pub ttl: u8,
    /// Protocol of the payload.
    pub protocol: u8,
    /// Header checksum, raw.
    pub checksum: u16,
    /// Source address, raw.
    pub source: u32,
    /// Destination address, raw.
    pub destination: u32,
}

/// IPv6 header (RFC 8200 §3).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ipv6Header {
    /// Version (4 bits), traffic class (8), flow label (20), raw.
    pub version_class_flow: u32,
    /// Octets behind this header.
    pub payload_length: Be16,
    /// Protocol of the payload or type of the first extension header.
    pub next_header: u8,
    /// Hop limit.
    pub hop_limit: u8,
    /// Source address.
    pub source: Address,
    /// Destination address.
    pub destination: Address,
}

/// IPv6 fragment header (RFC 8200 §4.5).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ipv6FragmentHeader {
    /// Protocol of what was cut into fragments.
    pub next_header: u8,
    /// Unused, zero.
    pub reserved: u8,
    /// Offset in units of 8 octets (13 bits), reserved (2), more fragments (1).
    pub offset: Be16,
    /// Which fragments belong together, raw.
    pub identification: u32,
}
