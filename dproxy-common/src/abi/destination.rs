use crate::wire::{Address, Be16};

/// Entries in one half of the destination table; a power of two.
pub const DESTINATION_SLOTS: u32 = 2048;

/// A destination that is ours. The table is a perfect hash: userspace looks for a seed under which
/// no two destinations share an entry, so one look-up and one comparison decide.
///
/// Besides one entry for each listener, there is one with port 0 for each address that is ours. It
/// answers "is this address ours?" for packets whose port cannot be read (fragments) and for replies,
/// whose port is any of the NAT range.
///
/// The entries of backends on this host are for packets in the other direction: for the source of what
/// leaves. As a destination, such an entry is that of somebody who asks the backend itself.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Destination {
    /// The address; all zero in a free entry.
    pub address: Address,
    /// The port of the listener or backend, or 0.
    pub port: Be16,
    /// Id of the listener, for a backend of the one that its replies come from; unused with port 0.
    pub listener: u16,
    /// [`Self::LISTENER`], [`Self::LOCAL_BACKEND`], or [`Self::ADDRESS`] with or without
    /// [`Self::NAT_SOURCE`].
    pub kind: u32,
    /// Id of the backend; unused for what is none.
    pub backend: u16,
    /// Unused, zero.
    pub reserved: [u16; 3],
}

impl Destination {
    /// Clients query this address and port.
    pub const LISTENER: u32 = 1;
    /// The address is ours.
    pub const ADDRESS: u32 = 2;
    /// Queries are forwarded from this address.
    pub const NAT_SOURCE: u32 = 4;
    /// Not ours: a backend on this host, whose replies leave as the listener's.
    pub const LOCAL_BACKEND: u32 = 8;

    /// The table index of an address and port.
    #[inline(always)]
    pub const fn index(seed: u64, address: Address, port: Be16) -> u32 {
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        let mixed = (address.high ^ seed).wrapping_mul(ODD) ^ address.low ^ ((port.raw() as u64) << 40);
        let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(ODD ^ (seed << 1));
        (mixed >> 53) as u32
    }
}

const _: () = assert!(DESTINATION_SLOTS == 1 << (64 - 53));
