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

/// Up to two VLAN tags of a frame, outer first; a TPID of 0 means that there is none.
#[repr(C)]
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
