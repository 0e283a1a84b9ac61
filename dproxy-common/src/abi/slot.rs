use crate::wire::{Address, Be16, Macs, VlanTags};

/// Slots that a processor takes at a time from the shared cursor; a power of two.
pub const CHUNK: u64 = 64;

/// A query in flight: one cache line of the ring.
///
/// `word` guards the rest. Who takes the slot sets it to [`SlotWord::EMPTY`], writes the other fields,
/// then sets it; who handles the reply reads the other fields and then closes the slot by
/// compare-and-exchange. If that fails, another copy of the reply was first, or the slot has been
/// taken again and the fields may be torn: either way, they are not used.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    /// Token, time and state.
    pub word: SlotWord,
    /// The client's address.
    pub client: Address,
    /// VLAN tags that the query came with.
    pub tags: VlanTags,
    /// Link-layer addresses of the query: ours, then the client's.
    pub macs: Macs,
    /// Interface that the query came from.
    pub client_interface: u32,
    /// Interface that the reply must come from.
    pub backend_interface: u32,
    /// The client's port.
    pub client_port: Be16,
    /// The client's query ID, raw.
    pub id: u16,
    /// Id of the backend.
    pub backend: u16,
    /// Id of the listener.
    pub listener: u16,
    /// When the query was forwarded, in units of [`crate::latency`], if it is one of those that are timed.
    pub sent: u32,
}

/// The word that guards a slot: the token that port and ID of the reply must decode to (see
/// [`crate::nat`]) in the lower half, the time in ticks and the state in the upper half.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotWord(pub u64);

impl SlotWord {
    /// Never used, or being written. No token is 0.
    pub const EMPTY: Self = Self(0);
    const CLOSED: u64 = 1 << 63;
    const TICKS: u32 = 0x7fff_ffff;

    /// A slot whose query is under way since `now`, in ticks.
    #[inline(always)]
    pub const fn waiting(token: u32, now: u32) -> Self {
        Self(token as u64 | ((now & Self::TICKS) as u64) << 32)
    }

    /// The token.
    #[inline(always)]
    pub const fn token(self) -> u32 {
        self.0 as u32
    }

    /// Has its reply come?
    #[inline(always)]
    pub const fn is_closed(self) -> bool {
        self.0 & Self::CLOSED != 0
    }

    /// The same, closed.
    #[inline(always)]
    pub const fn closed(self) -> Self {
        Self(self.0 | Self::CLOSED)
    }

    /// Ticks since the query was forwarded.
    #[inline(always)]
    pub const fn age(self, now: u32) -> u32 {
        now.wrapping_sub((self.0 >> 32) as u32) & Self::TICKS
    }
}

/// One processor's place in the ring, and its random state.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// State of the generator; seeded by userspace, never 0.
    pub random: u64,
    /// The slot to take next; at a multiple of [`CHUNK`], a new chunk is due.
    pub next: u64,
}
