//! Every map, and the typed look-ups that the packet path makes in them.
//!
//! The sizes here are placeholders: userspace sets them when it loads the object. ARCHITECTURE.md has
//! the table of who writes and who reads what.

use aya_ebpf::{
    Global,
    bindings::BPF_F_MMAPABLE,
    helpers::generated::{bpf_get_smp_processor_id, bpf_jiffies64, bpf_ktime_get_ns},
    macros::map,
    maps::{Array, LruHashMap, PerCpuArray, ProgramArray},
};
#[cfg(not(bpf_target_arch = "x86_64"))]
use core::intrinsics::atomic_xchg;
use core::intrinsics::{AtomicOrdering, atomic_cxchg, atomic_xadd};
use dproxy_common::{
    abi::{
        Backend, BackendCounters, CHUNK, CandidateLine, Cursor, DESTINATION_SLOTS, DIRECT_QUERIES,
        Destination, DirectQuery, Generation, Listener, ListenerCounters, LongName, NatSettings, NextHop,
        Pool, Processor, Route, RouteBucket, Settings, Slot, SlotWord, Subject,
    },
    latency::{self, BUCKETS},
    reason::Reason,
    tables::{Half, State, Tables},
    work::Work,
};

use crate::{counters, table::Table};

/// Set by userspace before the program is loaded; constant since.
#[unsafe(no_mangle)]
pub static SETTINGS: Global<Settings> = Global::new(Settings::ZERO);

/// Tables: what userspace creates and the program addresses directly.
macro_rules! tables {
    ($($section:literal $name:ident: $entry:ty;)*) => {$(
        #[unsafe(no_mangle)]
        #[unsafe(link_section = $section)]
        pub(crate) static $name: Table<$entry> = Table::new();
    )*};
}

tables! {
    ".bss.ACTIVE" ACTIVE: u64;
    ".bss.DESTINATIONS" DESTINATIONS: Destination;
    ".bss.CANDIDATES" CANDIDATES: CandidateLine;
    ".bss.BACKENDS" BACKENDS: Backend;
    ".bss.NEXT_HOPS" NEXT_HOPS: NextHop;
    ".bss.LISTENERS" LISTENERS: Listener;
    ".bss.SLOTS" SLOTS: Slot;
    ".bss.NEXT_CHUNK" NEXT_CHUNK: u64;
    ".bss.PROCESSORS" PROCESSORS: Processor;
    ".bss.LISTENER_COUNTERS" LISTENER_COUNTERS: ListenerCounters;
    ".bss.POOL_COUNTERS" POOL_COUNTERS: u64;
    ".bss.BACKEND_COUNTERS" BACKEND_COUNTERS: BackendCounters;
    // For all processors together: few packets are timed, and there is much of it.
    ".bss.BACKEND_LATENCY" BACKEND_LATENCY: u64;
}

// VERIFIER: these four are looked up by key. As tables, each would at least double what there is to be looked at, since
// the index of an entry would be a part of what distinguishes two paths from then on.
#[map]
static GENERATIONS: Array<Generation> = Array::with_max_entries(2, BPF_F_MMAPABLE);
#[map]
static ROUTE_BUCKETS: Array<RouteBucket> = Array::with_max_entries(1, BPF_F_MMAPABLE);
#[map]
static ROUTES: Array<Route> = Array::with_max_entries(1, BPF_F_MMAPABLE);
#[map]
static POOLS: Array<Pool> = Array::with_max_entries(1, BPF_F_MMAPABLE);

// These two may be larger than a table can be (512 MiB).
#[map]
static LONG_NAMES: Array<LongName> = Array::with_max_entries(1, BPF_F_MMAPABLE);
/// A run of counters for each processor: too many of them for a table of a large machine.
#[map]
pub(crate) static ROUTE_COUNTERS: Array<u64> = Array::with_max_entries(1, BPF_F_MMAPABLE);
#[map]
static DIRECT: LruHashMap<DirectQuery, u32> = LruHashMap::with_max_entries(DIRECT_QUERIES, 0);
/// Who forwarded queries before this program, and keeps slots that it does not know.
#[map]
pub static PREDECESSOR: ProgramArray = ProgramArray::with_max_entries(1, 0);
#[map]
static WORK: PerCpuArray<Work> = PerCpuArray::with_max_entries(1, 0);

/// Reads one setting. Volatile, because the compiler must not take the initial value for the final one;
/// field by field, because a volatile read of the whole is made in whole.
macro_rules! setting {
    ($($field:ident).+) => {{
        let settings = (&raw const $crate::maps::SETTINGS).cast::<dproxy_common::abi::Settings>();
        // SAFETY: `Global` is a transparent wrapper, and statics are valid for reads.
        unsafe { (&raw const (*settings).$($field).+).read_volatile() }
    }};
}
pub(crate) use setting;

/// An entry that is read while userspace may change single words of it.
#[inline(always)]
fn shared<T>(entry: Option<*mut T>) -> Option<&'static T> {
    // SAFETY: an entry is valid for reads.
    entry.map(|entry| unsafe { &*entry })
}

/// The tables in maps.
pub struct Maps;

impl Maps {
    /// What an explain request must begin with.
    #[inline(always)]
    pub fn explain_key(&self) -> u64 {
        setting!(explain_key)
    }
}

impl Tables for Maps {
    #[inline(always)]
    fn nat(&self) -> NatSettings {
        setting!(nat)
    }

    #[inline(always)]
    fn active(&self) -> u64 {
        // SAFETY: a map element is valid for reads. Volatile, because userspace changes it.
        ACTIVE.at(0, 1).map_or(0, |number| unsafe { number.read_volatile() })
    }

    #[inline(always)]
    fn generation(&self, half: Half) -> Option<&Generation> {
        GENERATIONS.get(half.index())
    }

    #[inline(always)]
    fn destination(&self, half: Half, index: u32) -> Option<&Destination> {
        DESTINATIONS.in_half(half, index, DESTINATION_SLOTS)
    }

    #[inline(always)]
    fn route_bucket(&self, half: Half, index: u32) -> Option<&RouteBucket> {
        ROUTE_BUCKETS.get(half.entry(index, setting!(route_buckets)))
    }

    #[inline(always)]
    fn route(&self, half: Half, index: u32) -> Option<&Route> {
        ROUTES.get(half.entry(index, setting!(routes)))
    }

    /// Most routes are counted at their own place among the routes (`RouteSpace::build`). Of a million routes asked for at
    /// random, a query takes 160 ns less with both on their way from memory at once (docs/performance.md).
    #[inline(always)]
    fn foresee_count(&self, route: u32) {
        if let Some(counter) = ROUTE_COUNTERS.get_ptr(processor_number() * setting!(route_ids) + route) {
            // SAFETY: the element is this processor's; nothing is done with what it holds.
            unsafe { counter.read_volatile() };
        }
    }

    #[inline(always)]
    fn long_name(&self, half: Half, index: u32) -> Option<&LongName> {
        LONG_NAMES.get(half.entry(index, setting!(long_names)))
    }

    #[inline(always)]
    fn pool(&self, half: Half, id: u32) -> Option<&Pool> {
        POOLS.get(half.entry(id, setting!(pools)))
    }

    #[inline(always)]
    fn candidate_line(&self, half: Half, index: u32) -> Option<&CandidateLine> {
        CANDIDATES.in_half(half, index, setting!(candidate_lines))
    }

    #[inline(always)]
    fn backend(&self, id: u16) -> Option<&Backend> {
        shared(BACKENDS.at(u32::from(id), setting!(backends)))
    }

    #[inline(always)]
    fn next_hop(&self, index: u32) -> Option<&NextHop> {
        shared(NEXT_HOPS.at(index, setting!(next_hops)))
    }

    #[inline(always)]
    fn listener(&self, id: u16) -> Option<&Listener> {
        shared(LISTENERS.at(u32::from(id), setting!(listeners)))
    }
}

/// This processor's room for what is known about a packet.
#[inline(always)]
pub fn work() -> Option<&'static mut Work> {
    // SAFETY: the element is this processor's, and XDP does not interrupt itself. A map begins as
    // zeroes, which every field of `Work` allows.
    WORK.get_ptr_mut(0).map(|work| unsafe { &mut *work })
}

/// The kernel's tick.
#[inline(always)]
pub fn ticks() -> u32 {
    // SAFETY: a helper call without arguments.
    unsafe { bpf_jiffies64() as u32 }
}

/// Which processor this is. Asked for where it is needed: kept in a register, it would be one thing more that tells two
/// paths apart.
#[inline(always)]
pub fn processor_number() -> u32 {
    // SAFETY: a helper call without arguments.
    unsafe { bpf_get_smp_processor_id() }
}

/// What the packet path changes, in maps.
pub struct PerPacket {
    /// What this processor keeps from packet to packet.
    pub processor: &'static mut Processor,
}

impl PerPacket {
    /// This processor's.
    #[inline(always)]
    pub fn here() -> Option<Self> {
        let processor = PROCESSORS.at(processor_number(), setting!(processors))?;
        // SAFETY: the entry is this processor's, and neither XDP nor TC interrupts itself or the other one.
        Some(Self { processor: unsafe { &mut *processor } })
    }
}

impl State for PerPacket {
    #[inline(always)]
    fn ticks(&self) -> u32 {
        ticks()
    }

    #[inline(always)]
    fn units(&self) -> u32 {
        // SAFETY: a helper call without arguments.
        latency::units(unsafe { bpf_ktime_get_ns() })
    }

    #[inline(always)]
    fn cursor(&mut self) -> &mut Cursor {
        &mut self.processor.cursor
    }

    #[inline(always)]
    fn turn(&self, pool: u16) -> u32 {
        let turns = counters::of_pool(pool).map_or(0, |turns| *turns);
        // These are not counted as the pool's, since the slow path will do it. Whoever's they are: turns move on.
        (turns + self.processor.reasons[Reason::BackendSlowPath as usize]) as u32
    }

    #[inline(always)]
    fn next_chunk(&self) -> Option<u64> {
        // SAFETY: a map element is valid for reads. Volatile, because other processors change it.
        NEXT_CHUNK.at(0, 1).map(|next| unsafe { next.read_volatile() })
    }

    #[inline(always)]
    fn take_chunk(&mut self) -> Option<u64> {
        let next = NEXT_CHUNK.at(0, 1)?;
        // SAFETY: a map element is valid for atomic access.
        Some(unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::SeqCst }>(next, CHUNK) })
    }

    #[inline(always)]
    fn slot(&mut self, index: u32) -> Option<&mut Slot> {
        // SAFETY: a map element is valid for reads and writes. Another processor may touch the same
        // one; `Slot::word` is how that is noticed.
        SLOTS.at(index, 1 << (setting!(nat.slot_bits) & 31)).map(|slot| unsafe { &mut *slot })
    }

    #[cfg(bpf_target_arch = "x86_64")]
    #[inline(always)]
    fn publish(place: &mut SlotWord, word: SlotWord) {
        let mut value = word.0;
        // SAFETY: changes nothing; a reference is valid for writes. x86 keeps stores in order, so only
        // the compiler must be kept from moving them, which assembly that may touch memory does.
        unsafe {
            core::arch::asm!("{0} = {0}", inout(reg) value);
            core::ptr::from_mut(place).cast::<u64>().write_volatile(value);
            core::arch::asm!("{0} = {0}", inout(reg) value);
        }
        let _ = value;
    }

    #[cfg(not(bpf_target_arch = "x86_64"))]
    #[inline(always)]
    fn publish(place: &mut SlotWord, word: SlotWord) {
        let place = core::ptr::from_mut(place).cast::<u64>();
        // SAFETY: a reference is valid for atomic access. An exchange is a full barrier.
        unsafe { atomic_xchg::<u64, { AtomicOrdering::SeqCst }>(place, word.0) };
    }

    #[inline(always)]
    fn exchange(&mut self, slot: u32, expected: SlotWord, new: SlotWord) -> bool {
        let Some(slot) = SLOTS.at(slot, 1 << (setting!(nat.slot_bits) & 31)) else { return false };
        const { assert!(core::mem::offset_of!(Slot, word) == 0) };
        // SAFETY: a map element is valid for atomic access.
        let (before, _) = unsafe {
            atomic_cxchg::<u64, { AtomicOrdering::SeqCst }, { AtomicOrdering::SeqCst }>(
                slot.cast(),
                expected.0,
                new.0,
            )
        };
        before == expected.0
    }

    #[inline(always)]
    fn note_direct(&mut self, query: &DirectQuery) {
        // Without a note, the response leaves as the listener's, and the client asks again.
        let _ = DIRECT.insert(query, self.ticks(), 0);
    }

    #[inline(always)]
    fn take_direct(&mut self, query: &DirectQuery) -> Option<u32> {
        // SAFETY: the element is valid for reads. Another note may take its place meanwhile, made by then.
        let noted = unsafe { DIRECT.get_ptr(query)?.read_volatile() };
        // Whoever is first with it has it.
        DIRECT.remove(query).ok().map(|()| noted)
    }

    #[inline(always)]
    fn count_received(&mut self) {
        self.processor.received += 1;
    }

    #[inline(always)]
    fn count(&mut self, reason: Reason, subject: &Subject) {
        counters::ended(self.processor, reason, subject);
    }

    #[inline(always)]
    fn count_latency(&mut self, backend: u16, bucket: u32) {
        let counter = BACKEND_LATENCY.in_run(u32::from(backend), setting!(backends), bucket, BUCKETS);
        if let Some(counter) = counter {
            // SAFETY: an entry is valid for atomic access.
            unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::Relaxed }>(counter, 1) };
        }
    }

    #[inline(always)]
    fn count_overwritten(&mut self) {
        self.processor.overwritten += 1;
    }
}
