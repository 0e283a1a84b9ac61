use super::{Be16, Mac};

/// Ethertype of IPv4.
pub const ETHERTYPE_IPV4: u16 = 0x0800;
/// Ethertype of IPv6.
pub const ETHERTYPE_IPV6: u16 = 0x86dd;

/// Is this ethertype a VLAN tag's? 802.1Q customer tag or 802.1ad service tag.
#[inline(always)]
pub const fn is_vlan(ethertype: u16) -> bool {
    ethertype == 0x8100 || ethertype == 0x88a8
}

/// Receiver and sender of a frame, as they stand at its front: in words, to be copied in three steps.
#[repr(C)]
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Macs([u32; 3]);

impl Macs {
    /// A frame's receiver and its sender.
    pub const fn new(destination: Mac, source: Mac) -> Self {
        let ([a, b, c, d, e, f], [u, v, w, x, y, z]) = (destination.octets(), source.octets());
        Self([
            u32::from_le_bytes([a, b, c, d]),
            u32::from_le_bytes([e, f, u, v]),
            u32::from_le_bytes([w, x, y, z]),
        ])
    }

    /// A copy, word by word. A plain assignment from memory to memory becomes a call of `memmove`, which for BPF
    /// goes octet by octet.
    #[inline(always)]
    pub fn copied(&self) -> Self {
        // SAFETY: references are valid for reads.
        Self([0, 1, 2].map(|word| unsafe { (&raw const self.0[word]).read_volatile() }))
    }

    /// The receiver.
    pub const fn destination(self) -> Mac {
        let [first, second, _] = self.0;
        let ([a, b, c, d], [e, f, ..]) = (first.to_le_bytes(), second.to_le_bytes());
        Mac::from_octets([a, b, c, d, e, f])
    }

    /// The sender.
    pub const fn source(self) -> Mac {
        self.swapped().destination()
    }

    /// Those of a frame in the other direction.
    #[inline(always)]
    #[must_use]
    pub const fn swapped(self) -> Self {
        let [first, second, third] = self.0;
        Self([second >> 16 | third << 16, third >> 16 | first << 16, first >> 16 | second << 16])
    }

    /// Is the receiver a multicast or broadcast address?
    #[inline(always)]
    pub const fn is_to_group(self) -> bool {
        // The lowest bit of the first octet.
        self.0[0] & 1 != 0
    }
}

impl core::fmt::Debug for Macs {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:?} to {:?}", self.source(), self.destination())
    }
}

/// Ethernet II header.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EthernetHeader {
    /// Receiver.
    pub destination: Mac,
    /// Sender.
    pub source: Mac,
    /// What follows: an ethertype, or the TPID of a VLAN tag.
    pub ethertype: Be16,
}

/// What an 802.1Q tag adds behind its TPID: priority and VLAN id, then the next ethertype.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VlanHeader {
    /// Priority (3 bits), drop eligible (1 bit), VLAN id (12 bits).
    pub tci: Be16,
    /// What follows.
    pub ethertype: Be16,
}

/// Up to two VLAN tags of a frame, outer first; a TPID of 0 means that there is none. Aligned, to be copied in
/// one step.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct VlanTags {
    /// TPID of the outer tag, or 0.
    pub outer_tpid: Be16,
    /// TCI of the outer tag.
    pub outer_tci: Be16,
    /// TPID of the inner tag, or 0.
    pub inner_tpid: Be16,
    /// TCI of the inner tag.
    pub inner_tci: Be16,
}

impl VlanTags {
    /// No tags.
    pub const NONE: Self = Self {
        outer_tpid: Be16::new(0),
        outer_tci: Be16::new(0),
        inner_tpid: Be16::new(0),
        inner_tci: Be16::new(0),
    };

    /// Octets of the Ethernet header with these tags: 14, 18 or 22.
    #[inline(always)]
    pub const fn header_length(self) -> usize {
        if self.outer_tpid.raw() == 0 {
            14
        } else if self.inner_tpid.raw() == 0 {
            18
        } else {
            22
        }
    }
}
