//! The maps that userspace writes, and how a generation gets into them.

use std::io;
use std::mem::{offset_of, size_of};
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::slice;
use std::sync::atomic::Ordering;

use dproxy_common::{
    abi::{
        Backend, BackendCounters, BackendLive, CandidateLine, DESTINATION_SLOTS, Destination, Entry,
        Generation, Latencies, Listener, ListenerCounters, LongName, NatSettings, NextHop, Pool, Processor,
        Route, RouteBucket, Slot,
    },
    tables::{Half, Tables},
    wire::{Address, Be16},
};

use super::{
    DatapathError,
    table::{Halved, Table},
};
use crate::control::{Capacity, MemberKey, Patch, Rows, SnapshotNames};

/// A map whose size userspace decides.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) name: &'static str,
    /// Octets of an entry.
    pub(super) entry: u32,
    pub(super) entries: u32,
}

impl Size {
    const fn of<T: Entry>(name: &'static str, entries: u32) -> Self {
        Self { name, entry: size_of::<T>() as u32, entries }
    }

    /// Of all entries together.
    pub(super) const fn octets(&self) -> u64 {
        self.entry as u64 * self.entries as u64
    }
}

/// The maps of a program for so many processors.
pub(super) fn sizes(capacity: &Capacity, processors: u32) -> [Size; 19] {
    let each = |ids: u32| ids.saturating_mul(processors);
    [
        Size::of::<u64>("ACTIVE", 1),
        Size::of::<Generation>("GENERATIONS", 2),
        Size::of::<Destination>("DESTINATIONS", 2 * DESTINATION_SLOTS),
        Size::of::<RouteBucket>("ROUTE_BUCKETS", 2 * capacity.route_buckets),
        Size::of::<Route>("ROUTES", 2 * capacity.routes),
        Size::of::<LongName>("LONG_NAMES", 2 * capacity.long_names),
        Size::of::<Pool>("POOLS", 2 * capacity.pool_ids()),
        Size::of::<CandidateLine>("CANDIDATES", 2 * capacity.candidate_lines),
        Size::of::<Backend>("BACKENDS", capacity.backend_ids),
        Size::of::<NextHop>("NEXT_HOPS", capacity.next_hops),
        Size::of::<Listener>("LISTENERS", capacity.listener_ids),
        Size::of::<Slot>("SLOTS", 1 << capacity.slot_bits),
        Size::of::<u64>("NEXT_CHUNK", 1),
        Size::of::<Processor>("PROCESSORS", processors),
        Size::of::<u64>("ROUTE_COUNTERS", each(capacity.route_ids)),
        Size::of::<ListenerCounters>("LISTENER_COUNTERS", each(capacity.listener_ids)),
        Size::of::<u64>("POOL_COUNTERS", each(capacity.pool_ids())),
        Size::of::<BackendCounters>("BACKEND_COUNTERS", each(capacity.backend_ids)),
        Size::of::<Latencies>("BACKEND_LATENCY", capacity.backend_ids),
    ]
}

/// The maps that control writes and the packet path reads.
#[derive(Debug)]
pub(super) struct Maps {
    active: Table<u64>,
    generations: Halved<Generation>,
    destinations: Halved<Destination>,
    buckets: Halved<RouteBucket>,
    routes: Halved<Route>,
    long_names: Halved<LongName>,
    pools: Halved<Pool>,
    candidates: Halved<CandidateLine>,
    backends: Table<Backend>,
    next_hops: Table<NextHop>,
    listeners: Table<Listener>,
}

impl Maps {
    /// Maps them; `map` finds one by its name.
    pub(super) fn open<'a>(
        capacity: &Capacity,
        map: impl Fn(&str) -> Result<BorrowedFd<'a>, DatapathError>,
    ) -> Result<Self, DatapathError> {
        let failed = |error: io::Error| DatapathError(format!("cannot map a BPF map into memory: {error}"));
        Ok(Self {
            active: Table::map(map("ACTIVE")?, 1).map_err(failed)?,
            generations: Halved::map(map("GENERATIONS")?, 1).map_err(failed)?,
            destinations: Halved::map(map("DESTINATIONS")?, DESTINATION_SLOTS).map_err(failed)?,
            buckets: Halved::map(map("ROUTE_BUCKETS")?, capacity.route_buckets).map_err(failed)?,
            routes: Halved::map(map("ROUTES")?, capacity.routes).map_err(failed)?,
            long_names: Halved::map(map("LONG_NAMES")?, capacity.long_names).map_err(failed)?,
            pools: Halved::map(map("POOLS")?, capacity.pool_ids()).map_err(failed)?,
            candidates: Halved::map(map("CANDIDATES")?, capacity.candidate_lines).map_err(failed)?,
            backends: Table::map(map("BACKENDS")?, capacity.backend_ids).map_err(failed)?,
            next_hops: Table::map(map("NEXT_HOPS")?, capacity.next_hops).map_err(failed)?,
            listeners: Table::map(map("LISTENERS")?, capacity.listener_ids).map_err(failed)?,
        })
    }

    /// The generation in force, as [`Generation::number`] has it; 0 before the first.
    pub(super) fn active(&self) -> u64 {
        self.active.word(0, 0).map_or(0, |word| word.load(Ordering::Acquire))
    }

    /// Puts a generation in force. What has been written before is seen by whoever sees the number.
    pub(super) fn activate(&self, number: u64) {
        if let Some(word) = self.active.word(0, 0) {
            word.store(number, Ordering::Release);
        }
    }

    /// Writes a patch into a half.
    ///
    /// # Safety
    /// Nobody in this process reads that half, or writes at the same time. (If a packet reads it, the grace period was
    /// not waited for, and it sees a mixture; that is no matter of memory safety.)
    pub(super) unsafe fn fill(&self, half: Half, patch: &Patch) -> Result<(), DatapathError> {
        let Patch { generation, destinations, buckets, routes, long_names, pools, candidates, .. } = patch;
        let destinations = destinations.as_ref().map_or(Rows::NONE, |all| Rows::All(all.clone()));
        // SAFETY: as the caller promises.
        unsafe {
            self.generations.fill(half, &Rows::All(vec![*generation]), "generations")?;
            self.destinations.fill(half, &destinations, "destinations")?;
            self.buckets.fill(half, buckets, "route buckets")?;
            self.routes.fill(half, routes, "routes")?;
            self.long_names.fill(half, long_names, "names of more than 40 octets")?;
            self.pools.fill(half, pools, "pools")?;
            self.candidates.fill(half, candidates, "lines of candidates")
        }
    }

    /// Makes what a patch has overwritten in a half what it is in the other one.
    ///
    /// # Safety
    /// As [`fill`](Self::fill).
    pub(super) unsafe fn restore(&self, half: Half, patch: &Patch) {
        let Patch { destinations, buckets, routes, long_names, pools, candidates, .. } = patch;
        let destinations = destinations.as_ref().map_or(Rows::NONE, |all| Rows::All(all.clone()));
        // SAFETY: as the caller promises.
        unsafe {
            self.destinations.restore(half, &destinations);
            self.buckets.restore(half, buckets);
            self.routes.restore(half, routes);
            self.long_names.restore(half, long_names);
            self.pools.restore(half, pools);
            self.candidates.restore(half, candidates);
        }
    }

    /// The backends that a program before this one has used: by id, which member of which pool, and its live word.
    pub(super) fn known_backends(&self) -> impl Iterator<Item = (u16, MemberKey, BackendLive)> + '_ {
        (0..=u16::MAX).map_while(|id| Some((id, self.backends.read(u32::from(id))?))).filter_map(
            |(id, Backend { address, port, pool, live, .. })| {
                let address = socket(address, port)?;
                Some((id, MemberKey { pool, address }, live))
            },
        )
    }

    /// The listeners that it has used.
    pub(super) fn known_listeners(&self) -> impl Iterator<Item = (u16, SocketAddr)> + '_ {
        (0..=u16::MAX)
            .map_while(|id| Some((id, self.listeners.read(u32::from(id))?)))
            .filter_map(|(id, listener)| Some((id, socket(listener.address, listener.port)?)))
    }

    /// A next hop.
    pub(super) fn known_next_hop(&self, index: u32) -> Option<NextHop> {
        self.next_hops.read(index)
    }

    /// Writes the backends and listeners that are not there yet under their ids. The live word of those
    /// that are stays as it is; others begin unresolved.
    pub(super) fn introduce(&self, names: &SnapshotNames) -> Result<(), DatapathError> {
        for (&id, member) in &names.backends {
            let backend = names.entry(member).ok_or_else(|| no_such("pool", member.pool))?;
            let known = self.backends.read(u32::from(id)).ok_or_else(|| no_such("backend", id))?;
            if (Backend { live: backend.live, ..known }) != backend {
                self.set_live(id, BackendLive::UNRESOLVED)?;
                // SAFETY: nobody refers to an id of this table before a generation does.
                let written = unsafe { self.backends.write(u32::from(id), &[backend]) };
                written.ok_or_else(|| no_such("backend", id))?;
            }
        }
        for (&id, address) in &names.listeners {
            let listener = Listener {
                address: Address::from(address.ip()),
                port: Be16::new(address.port()),
                ..Listener::default()
            };
            if !self.listeners.holds(u32::from(id), &[listener]) {
                // SAFETY: as above.
                let written = unsafe { self.listeners.write(u32::from(id), &[listener]) };
                written.ok_or_else(|| no_such("listener", id))?;
            }
        }
        Ok(())
    }

    /// Sets a backend's live word.
    pub(super) fn set_live(&self, id: u16, live: BackendLive) -> Result<(), DatapathError> {
        let word = self.backends.word(u32::from(id), offset_of!(Backend, live));
        word.ok_or_else(|| no_such("backend", id))?.store(live.0, Ordering::Release);
        Ok(())
    }

    /// Writes a next hop.
    pub(super) fn set_next_hop(&self, index: u32, hop: &NextHop) -> Result<(), DatapathError> {
        // SAFETY: nobody in this process refers to next hops, which are for packets.
        let written = unsafe { self.next_hops.write(index, slice::from_ref(hop)) };
        written.ok_or_else(|| no_such("next hop", index))
    }
}

/// Where somebody listens; nobody listens at port 0.
fn socket(address: Address, port: Be16) -> Option<SocketAddr> {
    (port.get() != 0).then(|| SocketAddr::new(address.into(), port.get()))
}

fn no_such(what: &str, id: impl std::fmt::Display) -> DatapathError {
    DatapathError(format!("the tables have no {what} {id}; restart dproxy to make room"))
}

/// For whoever decides as the packet path does. How a backend is reached, and the slots, are the kernel's business.
impl Tables for Maps {
    fn nat(&self) -> NatSettings {
        NatSettings::default()
    }

    fn active(&self) -> u64 {
        self.active()
    }

    fn generation(&self, half: Half) -> Option<&Generation> {
        self.generations.get(half, 0)
    }

    fn destination(&self, half: Half, index: u32) -> Option<&Destination> {
        self.destinations.get(half, index)
    }

    fn route_bucket(&self, half: Half, index: u32) -> Option<&RouteBucket> {
        self.buckets.get(half, index)
    }

    fn route(&self, half: Half, index: u32) -> Option<&Route> {
        self.routes.get(half, index)
    }

    fn long_name(&self, half: Half, index: u32) -> Option<&LongName> {
        self.long_names.get(half, index)
    }

    fn pool(&self, half: Half, id: u32) -> Option<&Pool> {
        self.pools.get(half, id)
    }

    fn candidate_line(&self, half: Half, index: u32) -> Option<&CandidateLine> {
        self.candidates.get(half, index)
    }

    fn backend(&self, _id: u16) -> Option<&Backend> {
        None
    }

    fn next_hop(&self, _index: u32) -> Option<&NextHop> {
        None
    }

    fn listener(&self, _id: u16) -> Option<&Listener> {
        None
    }
}
