use super::Cursor;
use crate::{latency::BUCKETS, reason::Reason};

/// "No route", "none counted".
pub const NO_ROUTE: u32 = u32::MAX;
/// "No listener", "no pool", "no backend".
pub const NO_ID: u16 = u16::MAX;

/// Whom a packet concerns, as far as it is known: ids for counters and for explain.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The route that applied, or [`NO_ROUTE`].
    pub route: u32,
    /// The listener asked, or [`NO_ID`].
    pub listener: u16,
    /// The pool chosen, or [`NO_ID`].
    pub pool: u16,
    /// The backend chosen, or that replied, or [`NO_ID`].
    pub backend: u16,
    /// Lower four bits of a reply's response code.
    pub rcode: u16,
}

impl Subject {
    /// Nothing is known yet.
    pub const UNKNOWN: Self =
        Self { route: NO_ROUTE, listener: NO_ID, pool: NO_ID, backend: NO_ID, rcode: 0 };
}

/// What one processor keeps from packet to packet. Others have theirs in other cache lines.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Processor {
    /// Its place in the ring.
    pub cursor: Cursor,
    /// Packets that came in.
    pub received: u64,
    /// Slots that were taken while their query still waited.
    pub overwritten: u64,
    /// Packets by reason, in the order of [`Reason::ALL`].
    pub reasons: [u64; Reason::COUNT],
    /// Unused, zero.
    pub reserved: [u64; RESERVED],
}

/// Words that complete a cache line.
const RESERVED: usize = (4 + Reason::COUNT).next_multiple_of(8) - (4 + Reason::COUNT);

impl Processor {
    /// Nothing has come yet. `random` is the state of the processor's generator, other than 0.
    pub const fn new(random: u64) -> Self {
        Self {
            cursor: Cursor { random, next: 0 },
            received: 0,
            overwritten: 0,
            reasons: [0; Reason::COUNT],
            reserved: [0; RESERVED],
        }
    }
}

/// Packets of one listener.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListenerCounters {
    /// Queries forwarded or answered.
    pub queries: u64,
    /// Responses sent to clients: replies forwarded and answers made.
    pub responses: u64,
}

/// Packets of one backend.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackendCounters {
    /// Queries forwarded to it.
    pub queries: u64,
    /// Replies from it that were forwarded.
    pub replies: u64,
    /// Replies with NOERROR.
    pub noerror: u64,
    /// Replies with NXDOMAIN.
    pub nxdomain: u64,
    /// Replies with SERVFAIL.
    pub servfail: u64,
    /// Replies with REFUSED.
    pub refused: u64,
    /// Replies with another response code.
    pub other: u64,
    /// Replies that came too late to be forwarded.
    pub late: u64,
}

/// How long a backend took to reply: see [`crate::latency`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latencies(pub [u64; BUCKETS as usize]);

impl Default for Latencies {
    fn default() -> Self {
        Self([0; BUCKETS as usize])
    }
}
