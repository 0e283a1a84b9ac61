//! Reading the counters.
//!
//! They are per-CPU arrays, but for those of routes, of which there may be millions. Ids are given out from 0 on, so what has to be read of an array are its
//! elements up to the highest id that has been in use; many at once, as a system call for each would
//! take most of the time.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use dproxy_common::abi::{BackendCounters, ListenerCounters, Processor};

use super::{CounterId, Counters, DatapathError, bpf, table::Table};
use crate::control::Patch;

/// Words of a [`Processor`].
const PROCESSOR_WORDS: usize = size_of::<Processor>() / 8;

/// Elements read by one system call, at most.
const BATCH: usize = 256;

/// A per-CPU array whose elements are `WORDS` counters.
#[derive(Debug)]
struct PerCpu<const WORDS: usize> {
    map: OwnedFd,
    processors: usize,
}

impl<const WORDS: usize> PerCpu<WORDS> {
    /// The first `count` elements, each added up over the processors.
    fn sums(&self, count: usize) -> io::Result<Vec<[u64; WORDS]>> {
        let mut sums = Vec::with_capacity(count);
        let mut values = vec![0; count.min(BATCH) * self.processors * WORDS];
        while sums.len() < count {
            let wanted = (count - sums.len()).min(BATCH);
            // SAFETY: an element has `WORDS` words for each processor, and `values` room for `BATCH` of
            // them or for all.
            let read =
                unsafe { bpf::look_up_batch(self.map.as_fd(), sums.len() as u32, wanted, &mut values) }?;
            if read == 0 {
                break;
            }
            sums.extend(values.chunks_exact(self.processors * WORDS).take(read).map(add_up));
        }
        Ok(sums)
    }

    fn clear(&self, index: u32) -> io::Result<()> {
        // SAFETY: as long as an element.
        unsafe { bpf::update(self.map.as_fd(), index, &vec![0u64; self.processors * WORDS]) }
    }
}

fn add_up<const WORDS: usize>(element: &[u64]) -> [u64; WORDS] {
    let mut sum = [0u64; WORDS];
    for processor in element.chunks_exact(WORDS) {
        for (sum, counter) in sum.iter_mut().zip(processor) {
            *sum = sum.wrapping_add(*counter);
        }
    }
    sum
}

/// Counters of routes: a run for each processor, in our own memory.
#[derive(Debug)]
struct RouteCounters {
    counters: Table<u64>,
    ids: u32,
    processors: u32,
}

impl RouteCounters {
    fn map(map: BorrowedFd<'_>, ids: u32, processors: usize) -> Result<Self, DatapathError> {
        let processors = processors as u32;
        let counters = Table::map(map, ids * processors).map_err(|error| {
            DatapathError(format!("cannot map the counters of routes into memory: {error}"))
        })?;
        Ok(Self { counters, ids, processors })
    }

    /// That of one route, on each processor.
    fn of(&self, id: u32) -> impl Iterator<Item = &AtomicU64> {
        (0..self.processors).filter_map(move |processor| self.counters.word(processor * self.ids + id, 0))
    }

    /// Those of the first `count` routes, each added up over the processors.
    fn sums(&self, count: usize) -> Vec<u64> {
        let sum =
            |id| self.of(id).fold(0u64, |sum, counter| sum.wrapping_add(counter.load(Ordering::Relaxed)));
        (0..count as u32).map(sum).collect()
    }

    fn clear(&self, id: u32) -> io::Result<()> {
        if id >= self.ids {
            return Err(io::Error::from_raw_os_error(libc::ENOENT));
        }
        self.of(id).for_each(|counter| counter.store(0, Ordering::Relaxed));
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
    processors: PerCpu<PROCESSOR_WORDS>,
    listeners: PerCpu<2>,
    routes: RouteCounters,
    pools: PerCpu<1>,
    backends: PerCpu<8>,
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

const _: () = assert!(size_of::<ListenerCounters>() == 2 * 8 && size_of::<BackendCounters>() == 8 * 8);

impl CounterMaps {
    /// Opens them, on a machine that may have so many processors, with counters for so many routes; `map` finds one
    /// by its name.
    pub(super) fn open(
        processors: usize,
        route_ids: u32,
        map: impl Fn(&str) -> Result<OwnedFd, DatapathError>,
    ) -> Result<Self, DatapathError> {
        Ok(Self {
            processors: PerCpu { map: map("PROCESSORS")?, processors },
            listeners: PerCpu { map: map("LISTENER_COUNTERS")?, processors },
            routes: RouteCounters::map(map("ROUTE_COUNTERS")?.as_fd(), route_ids, processors)?,
            pools: PerCpu { map: map("POOL_COUNTERS")?, processors },
            backends: PerCpu { map: map("BACKEND_COUNTERS")?, processors },
            in_use: InUse::default(),
            before: Before::default(),
        })
    }

    /// What routes and pools have counted until now.
    pub(super) fn so_far(&self) -> Result<Before, DatapathError> {
        let Counters { routes, pools, .. } = self.read()?;
        Ok(Before { routes, pools })
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
    pub(super) fn read(&self) -> Result<Counters, DatapathError> {
        let counters = || -> io::Result<Counters> {
            let sums = self.processors.sums(1)?;
            let [_random, _next, _number, received, overwritten, reasons @ ..] =
                sums.first().unwrap_or(&[0; PROCESSOR_WORDS]);
            let mut counters = Counters {
                received: *received,
                reasons: reasons.to_vec(),
                slots_overwritten: *overwritten,
                listeners: self.listeners()?,
                routes: self.routes.sums(self.in_use.routes),
                pools: singles(self.pools.sums(self.in_use.pools)?),
                backends: self.backends.sums(self.in_use.backends)?.into_iter().map(backend).collect(),
            };
            add_before(&mut counters.routes, &self.before.routes);
            add_before(&mut counters.pools, &self.before.pools);
            Ok(counters)
        };
        counters().map_err(unreadable)
    }

    /// Reads those of listeners.
    pub(super) fn read_listeners(&self) -> Result<Vec<ListenerCounters>, DatapathError> {
        self.listeners().map_err(unreadable)
    }

    /// Reads those of backends.
    pub(super) fn read_backends(&self) -> Result<Vec<BackendCounters>, DatapathError> {
        let sums = self.backends.sums(self.in_use.backends).map_err(unreadable)?;
        Ok(sums.into_iter().map(backend).collect())
    }

    /// Reads how many packets came in.
    pub(super) fn read_received(&self) -> Result<u64, DatapathError> {
        let sums = self.processors.sums(1).map_err(unreadable)?;
        let [_random, _next, _number, received, ..] = sums.first().unwrap_or(&[0; PROCESSOR_WORDS]);
        Ok(*received)
    }

    fn listeners(&self) -> io::Result<Vec<ListenerCounters>> {
        Ok(self.listeners.sums(self.in_use.listeners)?.into_iter().map(listener).collect())
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
            CounterId::Backend(id) => self.backends.clear(u32::from(id)),
        };
        cleared.map_err(|error| DatapathError(format!("cannot clear the counters of {counter:?}: {error}")))
    }
}

fn unreadable(error: io::Error) -> DatapathError {
    DatapathError(format!("cannot read the counters: {error}; restart dproxy"))
}

fn singles(sums: Vec<[u64; 1]>) -> Vec<u64> {
    sums.into_iter().map(|[sum]| sum).collect()
}

fn listener([queries, responses]: [u64; 2]) -> ListenerCounters {
    ListenerCounters { queries, responses }
}

fn backend(words: [u64; 8]) -> BackendCounters {
    let [queries, replies, noerror, nxdomain, servfail, refused, other, reserved] = words;
    BackendCounters { queries, replies, noerror, nxdomain, servfail, refused, other, reserved }
}
