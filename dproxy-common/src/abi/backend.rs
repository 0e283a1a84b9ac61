use crate::wire::{Address, Be16, Macs, VlanTags};

/// What may change about a backend at any time, in one word so that it is read and written whole: from the lowest bit on
/// the index of the next hop (32), the way (16), and how much is withheld from it (16).
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackendLive(pub u64);

impl BackendLive {
    const NEXT_HOP: u16 = 1;
    const ON_THIS_HOST: u16 = 2;
    const SLOW_PATH: u16 = 3;

    /// No way is known: it gets no queries.
    pub const UNRESOLVED: Self = Self(0);

    /// On this host: its address and port are written into the query, which then goes up the stack.
    pub const LOCAL: Self = Self::by(Self::ON_THIS_HOST);

    /// Reached through the slow path: the fast path leaves its queries to that.
    pub const SLOW: Self = Self::by(Self::SLOW_PATH);

    /// Reachable through a next hop, by its index.
    pub const fn reachable(next_hop: u32) -> Self {
        Self(Self::by(Self::NEXT_HOP).0 | next_hop as u64)
    }

    const fn by(way: u16) -> Self {
        Self((way as u64) << 32)
    }

    /// The same way, but of 65,536 queries that it is the candidate for, so many go on to the next one.
    #[must_use]
    pub const fn withholding(self, part: u16) -> Self {
        Self(self.0 << 16 >> 16 | (part as u64) << 48)
    }

    /// Of 65,536 queries that it is the candidate for, so many go on to the next one.
    #[inline(always)]
    pub const fn withheld(self) -> u16 {
        (self.0 >> 48) as u16
    }

    #[inline(always)]
    const fn way(self) -> u16 {
        (self.0 >> 32) as u16
    }

    /// Is there any way?
    #[inline(always)]
    pub const fn is_usable(self) -> bool {
        self.way() != 0
    }

    /// Is it on this host?
    #[inline(always)]
    pub const fn is_local(self) -> bool {
        self.way() == Self::ON_THIS_HOST
    }

    /// The next hop's index, if that is the way.
    #[inline(always)]
    pub const fn next_hop(self) -> Option<u32> {
        if self.way() == Self::NEXT_HOP { Some(self.0 as u32) } else { None }
    }
}

/// A backend as a member of a pool, by id. Nothing but the live word changes while the id is in use.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backend {
    /// Where it listens.
    pub address: Address,
    /// The live word.
    pub live: BackendLive,
    /// Which pool it is a member of: a hash of its name, for whoever finds the table.
    pub pool: u64,
    /// Its port.
    pub port: Be16,
    /// Unused, zero.
    pub reserved: [u16; 15],
}

/// How to send a frame towards a backend. Never changed while a live word refers to it.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct NextHop {
    /// Source address of forwarded queries: our own towards there.
    pub source: Address,
    /// VLAN tags to send with.
    pub tags: VlanTags,
    /// Link-layer addresses: the neighbour's, then the interface's.
    pub macs: Macs,
    /// Index of the interface to send from.
    pub interface: u32,
    /// Unused, zero.
    pub reserved: [u32; 6],
}

/// A listener, by id: what a reply's source becomes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listener {
    /// The address that clients query.
    pub address: Address,
    /// The port that clients query.
    pub port: Be16,
    /// Unused, zero.
    pub reserved: [u16; 7],
}
