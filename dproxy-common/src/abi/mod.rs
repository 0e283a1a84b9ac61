//! Everything that crosses the boundary between kernel and userspace: table entries, limits, the
//! settings fixed at load time.
//!
//! Entries have no implicit padding and no invalid bit patterns; sizes are asserted below.

mod backend;
mod counters;
mod destination;
mod direct;
mod generation;
mod pool;
mod route;
mod settings;
mod slot;

pub use backend::{Backend, BackendLive, Listener, NextHop};
pub use counters::{BackendCounters, Latencies, ListenerCounters, NO_ID, NO_ROUTE, Processor, Subject};
pub use destination::{DESTINATION_SLOTS, Destination};
pub use direct::{DIRECT_QUERIES, DirectQuery};
pub use generation::{Generation, MAX_DEPTHS, NAME_POWERS};
pub use pool::{CANDIDATES_PER_LINE, CandidateLine, HashInput, Pool};
pub use route::{
    Answer, BUCKET_SLOTS, INLINE_NAME_WORDS, LONG_NAME_WORDS, LongName, Route, RouteBucket, RouteTarget,
    Target,
};
pub use settings::{MAGIC, NatSettings, Settings, TokenKeys};
pub use slot::{CHUNK, Cursor, Slot, SlotWord};

/// Raised whenever a type of this module, a map or the meaning of one changes. It is a global of the
/// loaded program.
pub const ABI_VERSION: u32 = if cfg!(feature = "next-schema") { 8 } else { 7 };

/// A table entry: plain integers, no padding, any bit pattern valid.
///
/// # Safety
/// As it says: the value is copied to and from map memory as octets.
pub unsafe trait Entry: Copy + 'static {}

macro_rules! entries {
    ($($t:ty: $size:expr),* $(,)?) => {$(
        // SAFETY: `repr(C)` of integers and arrays of integers; the fields add up to the size
        // asserted here, so that there is no padding.
        unsafe impl Entry for $t {}
        const _: () = assert!(core::mem::size_of::<$t>() == $size);
    )*};
}

/// One cache line.
const LINE: usize = 64;

entries! {
    u64: 8,
    Generation: LINE + 8 + 8 * NAME_POWERS,
    Destination: 32,
    RouteBucket: 16,
    Route: LINE,
    LongName: 8 * LONG_NAME_WORDS,
    Pool: 24,
    CandidateLine: LINE,
    Backend: LINE,
    NextHop: LINE,
    Listener: 32,
    Slot: LINE,
    Cursor: 16,
    Processor: (32 + 8 * crate::reason::Reason::COUNT).next_multiple_of(LINE),
    DirectQuery: 24,
    Settings: 104,
    ListenerCounters: 16,
    BackendCounters: LINE,
    Latencies: 8 * crate::latency::BUCKETS as usize,
}
