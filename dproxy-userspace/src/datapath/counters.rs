//! Reading the counters.
//!
//! Each processor has its own, in a table that is mapped into our memory. Ids are given out from 0 on, so what has to be
//! read are the counters of ids up to the highest one that has been in use.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering};

use dproxy_common::{
    abi::{BackendCounters, Entry, Latencies, ListenerCounters, Processor},
    latency::BUCKETS,
    reason::Reason,
};

use super::{CounterId, Counters, DatapathError, table::Table};
use crate::control::{Capacity, Patch};

/// Words of a [`Processor`].
const PROCESSOR_WORDS: usize = size_of::<Processor>() / 8;

/// Counters by id, `WORDS` for each: a run of ids for each processor.
#[derive(Debug)]
struct ByProcessor<T, const WORDS: usize> {
    counters: Table<T>,
    ids: u32,
    processors: u32,
}

impl<T: Entry, const WORDS: usize> ByProcessor<T, WORDS> {
    fn map(map: BorrowedFd<'_>, ids: u32, processors: u32) -> Result<Self, DatapathError> {
        const { assert!(size_of::<T>() == WORDS * 8) };
        let counters = Table::map(map, ids.saturating_mul(processors))
            .map_err(|error| DatapathError(format!("cannot map counters into memory: {error}")))?;
        Ok(Self { counters, ids, processors })
    }

    /// A word of an id's, on each processor.
    fn word(&self, id: u32, word: usize) -> impl Iterator<Item = &AtomicU64> {
        (0..self.processors)
            .filter_map(move |processor| self.counters.word(processor * self.ids + id, word * 8))
    }

    /// Those of one id, added up over the processors.
    fn sum(&self, id: u32) -> [u64; WORDS] {
        std::array::from_fn(|word| {
            let counters = self.word(id, word).map(|counter| counter.load(Ordering::Relaxed));
            counters.fold(0, u64::wrapping_add)
        })
    }

    /// Those of the first `count` ids.
    fn sums(&self, count: usize) -> impl Iterator<Item = [u64; WORDS]> {
        (0..count as u32).map(|id| self.sum(id))
    }

    fn clear(&self, id: u32) -> io::Result<()> {
        if id >= self.ids {
            return Err(io::Error::from_raw_os_error(libc::ENOENT));
        }
        let words = (0..WORDS).flat_map(|word| self.word(id, word));
        words.for_each(|counter| counter.store(0, Ordering::Relaxed));
        Ok(())
    }
}

/// How many ids of each kind have been in use: the highest one, plus one.
#[derive(Clone, Copy, Debug, Default)]
struct InUse {
    listeners: usize,
    routes: usize,
    pools: usize,
    backends: usize,
}

/// The maps of counters.
#[derive(Debug)]
pub(super) struct CounterMaps {
    processors: ByProcessor<Processor, PROCESSOR_WORDS>,
    listeners: ByProcessor<ListenerCounters, 2>,
    routes: ByProcessor<u64, 1>,
    pools: ByProcessor<u64, 1>,
    backends: ByProcessor<BackendCounters, 8>,
    /// Of all processors together.
    latencies: ByProcessor<Latencies, { BUCKETS as usize }>,
    in_use: InUse,
    /// What routes and pools had counted in smaller tables.
    before: Before,
}

/// Counts of routes and pools, by id.
#[derive(Clone, Debug, Default)]
pub(super) struct Before {
    routes: Vec<u64>,
    pools: Vec<u64>,
}

fn add_before(counts: &mut [u64], before: &[u64]) {
    counts.iter_mut().zip(before).for_each(|(count, before)| *count = count.wrapping_add(*before));
}

impl CounterMaps {
    /// Opens them, on a machine whose processors have numbers below `processors`; `map` finds one by its name.
    pub(super) fn open<'a>(
        processors: u32,
        capacity: &Capacity,
        map: impl Fn(&str) -> Result<BorrowedFd<'a>, DatapathError>,
    ) -> Result<Self, DatapathError> {
        Ok(Self {
            processors: ByProcessor::map(map("PROCESSORS")?, 1, processors)?,
            listeners: ByProcessor::map(map("LISTENER_COUNTERS")?, capacity.listener_ids, processors)?,
            routes: ByProcessor::map(map("ROUTE_COUNTERS")?, capacity.route_ids, processors)?,
            pools: ByProcessor::map(map("POOL_COUNTERS")?, capacity.pool_ids(), processors)?,
            backends: ByProcessor::map(map("BACKEND_COUNTERS")?, capacity.backend_ids, processors)?,
            latencies: ByProcessor::map(map("BACKEND_LATENCY")?, capacity.backend_ids, 1)?,
            in_use: InUse::default(),
            before: Before::default(),
        })
    }

    /// What routes and pools have counted until now.
    pub(super) fn so_far(&self) -> Before {
        let Counters { routes, pools, .. } = self.read();
        Before { routes, pools }
    }

    /// Goes on from there.
    pub(super) fn go_on(&mut self, before: Before) {
        self.in_use.routes = self.in_use.routes.max(before.routes.len());
        self.in_use.pools = self.in_use.pools.max(before.pools.len());
        self.before = before;
    }

    /// The ids of a generation are in use from now on.
    pub(super) fn use_ids(&mut self, patch: &Patch) {
        let names = &patch.names;
        let InUse { listeners, routes, pools, backends } = &mut self.in_use;
        let end = |last: Option<usize>| last.map_or(0, |last| last + 1);
        *listeners = end(names.listeners.last_key_value().map(|(id, _)| usize::from(*id))).max(*listeners);
        let written = patch.routes.iter().flat_map(|(_, route)| [route.at, route.below]);
        let root = [patch.generation.root_at, patch.generation.root_below];
        let ids =
            written.chain(root).filter(|target| target.target.is_some()).map(|target| target.route as usize);
        *routes = end(ids.max()).max(*routes);
        *pools = end(names.pools.last_key_value().map(|(id, _)| usize::from(*id))).max(*pools);
        *backends = end(names.backends.last_key_value().map(|(id, _)| usize::from(*id))).max(*backends);
    }

    /// Reads all counters of ids that have been in use.
    pub(super) fn read(&self) -> Counters {
        let [_random, _next, received, overwritten, counts @ ..] = self.processors.sum(0);
        let mut counters = Counters {
            received,
            reasons: counts[..Reason::COUNT].to_vec(),
            slots_overwritten: overwritten,
            listeners: self.read_listeners(),
            routes: self.routes.sums(self.in_use.routes).flatten().collect(),
            pools: self.pools.sums(self.in_use.pools).flatten().collect(),
            backends: self.read_backends(),
            latencies: self.latencies.sums(self.in_use.backends).map(Latencies).collect(),
        };
        add_before(&mut counters.routes, &self.before.routes);
        add_before(&mut counters.pools, &self.before.pools);
        counters
    }

    /// Reads those of listeners.
    pub(super) fn read_listeners(&self) -> Vec<ListenerCounters> {
        self.listeners.sums(self.in_use.listeners).map(listener).collect()
    }

    /// Reads those of backends.
    pub(super) fn read_backends(&self) -> Vec<BackendCounters> {
        self.backends.sums(self.in_use.backends).map(backend).collect()
    }

    /// Reads how long a backend took.
    pub(super) fn read_latencies(&self, backend: u16) -> Latencies {
        Latencies(self.latencies.sum(u32::from(backend)))
    }

    /// Reads how many packets came in by interfaces. (Replies of backends on this host, which leave, are counted as
    /// received, too.)
    pub(super) fn read_received(&self) -> u64 {
        let [_random, _next, received, _overwritten, counts @ ..] = self.processors.sum(0);
        received.saturating_sub(counts[Reason::ReplyDelivered as usize])
    }

    /// Sets the counters of an id to zero.
    pub(super) fn clear(&mut self, counter: CounterId) -> Result<(), DatapathError> {
        let forget = |before: &mut [u64], id: usize| before.get_mut(id).map_or((), |count| *count = 0);
        match counter {
            CounterId::Route(id) => forget(&mut self.before.routes, id as usize),
            CounterId::Pool(id) => forget(&mut self.before.pools, usize::from(id)),
            CounterId::Listener(_) | CounterId::Backend(_) => {}
        }
        let cleared = match counter {
            CounterId::Listener(id) => self.listeners.clear(u32::from(id)),
            CounterId::Route(id) => self.routes.clear(id),
            CounterId::Pool(id) => self.pools.clear(u32::from(id)),
            CounterId::Backend(id) => {
                self.backends.clear(u32::from(id)).and_then(|()| self.latencies.clear(u32::from(id)))
            }
        };
        cleared.map_err(|error| DatapathError(format!("cannot clear the counters of {counter:?}: {error}")))
    }
}

fn listener([queries, responses]: [u64; 2]) -> ListenerCounters {
    ListenerCounters { queries, responses }
}

fn backend(words: [u64; 8]) -> BackendCounters {
    let [queries, replies, noerror, nxdomain, servfail, refused, other, late] = words;
    BackendCounters { queries, replies, noerror, nxdomain, servfail, refused, other, late }
}
