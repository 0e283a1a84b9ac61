use crate::wire::{Address, Be16};

/// Entries in one half of the destination table; a power of two.
pub const DESTINATION_SLOTS: u32 = 1024;

/// A destination that is ours. The table is a perfect hash: userspace looks for a seed under which
/// no two destinations share an entry, so one look-up and one comparison decide.
///
/// Besides one entry for each listener, there is one with port 0 for each address that is ours. It
/// answers "is this address ours?" for packets whose port cannot be read (fragments) and for replies,
/// whose port is any of the NAT range.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Destination {
    /// The address; all zero in a free entry.
    pub address: Address,
    /// The listener's port, or 0.
    pub port: Be16,
    /// Id of the listener; unused with port 0.
    pub listener: u16,
    /// [`Self::LISTENER`], or [`Self::ADDRESS`] with or without [`Self::NAT_SOURCE`].
    pub kind: u32,
    /// Unused, zero.
    pub reserved: u64,
}

impl Destination {
    /// Clients query this address and port.
    pub const LISTENER: u32 = 1;
    /// The address is ours.
    pub const ADDRESS: u32 = 2;
    /// Queries are forwarded from this address.
    pub const NAT_SOURCE: u32 = 4;

    /// The table index of an address and port.
    #[inline(always)]
    pub const fn index(seed: u64, address: Address, port: Be16) -> u32 {
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        let mixed = (address.high ^ seed).wrapping_mul(ODD) ^ address.low ^ ((port.raw() as u64) << 40);
        let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(ODD ^ (seed << 1));
        (mixed >> 54) as u32
    }
}

const _: () = assert!(DESTINATION_SLOTS == 1 << (64 - 54));
