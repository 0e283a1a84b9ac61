//! What the packet path reads and writes besides the packet: in the kernel BPF maps, on the host
//! vectors.

use crate::{
    abi::{
        Backend, CandidateLine, Cursor, Destination, DirectQuery, Generation, Listener, LongName,
        NatSettings, NextHop, Pool, Route, RouteBucket, Slot, SlotWord, Subject,
    },
    reason::Reason,
};

/// One of the two halves of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Half(u32);

impl Half {
    /// Both.
    pub const ALL: [Self; 2] = [Self(0), Self(1)];

    /// The other one.
    pub const fn other(self) -> Self {
        Self(self.0 ^ 1)
    }

    /// The half in which a generation lives.
    #[inline(always)]
    pub const fn of_generation(number: u64) -> Self {
        Self(number as u32 & 1)
    }

    /// 0 or 1.
    #[inline(always)]
    pub const fn index(self) -> u32 {
        self.0
    }

    /// Entry `index` of this half in a table whose halves have `capacity` entries each; beyond the table, if
    /// it is beyond the half.
    #[inline(always)]
    pub const fn entry(self, index: u32, capacity: u32) -> u32 {
        if index < capacity { self.0 * capacity + index } else { u32::MAX }
    }
}

/// Tables that userspace writes and the packet path reads. Every look-up may come back empty, for an
/// index out of range.
pub trait Tables {
    /// How queries in flight are numbered.
    fn nat(&self) -> NatSettings;
    /// The generation in force, as [`Generation::number`] has it. Read once a packet.
    fn active(&self) -> u64;
    /// The generation of a half.
    fn generation(&self, half: Half) -> Option<&Generation>;
    /// A destination, by the index that [`Destination::index`] gives.
    fn destination(&self, half: Half, index: u32) -> Option<&Destination>;
    /// A bucket of the route index.
    fn route_bucket(&self, half: Half, index: u32) -> Option<&RouteBucket>;
    /// A route.
    fn route(&self, half: Half, index: u32) -> Option<&Route>;
    /// The route that [`Self::route`] is about to give will be counted: has what that takes loaded meanwhile. Only
    /// time tells whether it was done.
    #[inline(always)]
    fn foresee_count(&self, _route: u32) {}
    /// A route's name of more than 40 octets.
    fn long_name(&self, half: Half, index: u32) -> Option<&LongName>;
    /// A pool, by id.
    fn pool(&self, half: Half, id: u32) -> Option<&Pool>;
    /// A line of candidates.
    fn candidate_line(&self, half: Half, index: u32) -> Option<&CandidateLine>;
    /// A backend, by id.
    fn backend(&self, id: u16) -> Option<&Backend>;
    /// A next hop.
    fn next_hop(&self, index: u32) -> Option<&NextHop>;
    /// A listener, by id.
    fn listener(&self, id: u16) -> Option<&Listener>;
}

/// What the packet path itself changes.
pub trait State {
    /// A coarse clock, in ticks of 1 to 10 ms.
    fn ticks(&self) -> u32;
    /// A fine clock, in units of [`latency`](crate::latency): takes longer.
    fn units(&self) -> u32;
    /// This processor's cursor.
    fn cursor(&mut self) -> &mut Cursor;
    /// How many queries of a pool there were on this processor, by a count that moves on with each.
    fn turn(&self, pool: u16) -> u32;
    /// The first slot of the chunk that the next processor gets.
    fn next_chunk(&self) -> Option<u64>;
    /// The first of the next [`CHUNK`](crate::abi::CHUNK) slots, for this processor alone.
    fn take_chunk(&mut self) -> Option<u64>;
    /// A slot of the ring.
    fn slot(&mut self, index: u32) -> Option<&mut Slot>;
    /// Sets a slot's word so that other processors see it after all writes in front of it, and before
    /// all behind it.
    fn publish(place: &mut SlotWord, word: SlotWord);
    /// Sets a slot's word if it still is `expected`, in one step. Did it succeed?
    fn exchange(&mut self, slot: u32, expected: SlotWord, new: SlotWord) -> bool;
    /// Notes a query that goes straight to a backend on this host, and when. There is room for
    /// [`DIRECT_QUERIES`](crate::abi::DIRECT_QUERIES); older notes make way.
    fn note_direct(&mut self, query: &DirectQuery);
    /// Takes a note off again: the [tick](Self::ticks) of when it was made.
    fn take_direct(&mut self, query: &DirectQuery) -> Option<u32>;
    /// Counts a packet that came in.
    fn count_received(&mut self);
    /// Counts how a packet ended. Never changes what happens to it.
    fn count(&mut self, reason: Reason, subject: &Subject);
    /// Counts that a backend's reply took so long, as a bucket of [`latency`](crate::latency).
    fn count_latency(&mut self, backend: u16, bucket: u32);
    /// Counts a slot that was taken while its query still waited.
    fn count_overwritten(&mut self);
}
