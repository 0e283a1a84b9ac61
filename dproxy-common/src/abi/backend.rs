use crate::wire::{Address, Be16, Macs, VlanTags};

/// What may change about a backend at any time, in one word so that it is read and written whole.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackendLive(pub u64);

impl BackendLive {
    const REACHABLE: u64 = 1 << 32;

    /// No way is known: it gets no queries.
    pub const UNRESOLVED: Self = Self(0);

    /// On this host: its address and port are written into the query, which then goes up the stack.
    pub const LOCAL: Self = Self(2 << 32);

    /// Reached through the slow path: the fast path leaves its queries to that.
    pub const SLOW: Self = Self(3 << 32);

    /// Reachable through a next hop, by its index.
    pub const fn reachable(next_hop: u32) -> Self {
        Self(Self::REACHABLE | next_hop as u64)
    }

    /// The next hop's index, if that is the way.
    #[inline(always)]
    pub const fn next_hop(self) -> Option<u32> {
        if self.0 >> 32 == Self::REACHABLE >> 32 { Some(self.0 as u32) } else { None }
    }
}

/// A backend, by id. Address and port never change while the id is in use.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backend {
    /// Where it listens.
    pub address: Address,
    /// The live word.
    pub live: BackendLive,
    /// Its port.
    pub port: Be16,
    /// Unused, zero.
    pub reserved: [u16; 19],
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
