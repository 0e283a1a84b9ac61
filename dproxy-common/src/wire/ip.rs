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

/// IPv4 header without options (RFC 791 §3.1), in words as they stand in memory.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ipv4Header(pub [u32; 5]);

impl Ipv4Header {
    /// Version (high 4 bits) and header length in 32-bit words (low 4 bits).
    #[inline(always)]
    pub const fn version_ihl(&self) -> u8 {
        self.0[0] as u8
    }

    /// Traffic class: DSCP and ECN.
    #[inline(always)]
    pub const fn tos(&self) -> u8 {
        (self.0[0] >> 8) as u8
    }

    /// Octets of header and payload.
    #[inline(always)]
    pub const fn total_length(&self) -> Be16 {
        Be16::from_raw((self.0[0] >> 16) as u16)
    }

    /// Identification, and reserved bit, DF, MF, fragment offset.
    #[inline(always)]
    pub const fn fragmentation(&self) -> Fragmentation {
        Fragmentation(self.0[1])
    }

    /// Time to live, protocol and checksum.
    #[inline(always)]
    pub const fn ttl_protocol_checksum(&self) -> u32 {
        self.0[2]
    }

    /// Time to live.
    #[inline(always)]
    pub const fn ttl(&self) -> u8 {
        self.0[2] as u8
    }

    /// Protocol of the payload.
    #[inline(always)]
    pub const fn protocol(&self) -> u8 {
        (self.0[2] >> 8) as u8
    }

    /// Source address, raw.
    #[inline(always)]
    pub const fn source(&self) -> u32 {
        self.0[3]
    }

    /// Destination address, raw.
    #[inline(always)]
    pub const fn destination(&self) -> u32 {
        self.0[4]
    }
}

/// An IPv4 header's second word: what fragments are put together by.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fragmentation(pub u32);

impl Fragmentation {
    /// Not to be fragmented, and so without an identification (RFC 6864 §4.1).
    pub const NEVER: Self = Self((IPV4_DONT_FRAGMENT.to_be() as u32) << 16);

    /// Reserved bit, DF, MF, fragment offset.
    #[inline(always)]
    pub const fn flags(self) -> u16 {
        u16::from_be((self.0 >> 16) as u16)
    }
}

/// What of an IPv4 header changes when a packet is forwarded: TTL, protocol and checksum in the first word, then the
/// addresses.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv4Tail(pub [u32; 3]);

/// What of an IPv6 header changes beside the hop limit when a packet is forwarded: source and destination.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6Tail(pub [Address; 2]);

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
