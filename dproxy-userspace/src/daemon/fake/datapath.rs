//! A fast path in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};

use dproxy_common::abi::{
    Backend, BackendCounters, BackendLive, Destination, Latencies, Listener, ListenerCounters, NatSettings,
    NextHop,
};
use dproxy_common::explain::Explain;
use dproxy_common::host::{HostPacket, HostState};
use dproxy_common::pipeline::{self, Outcome};
use dproxy_common::reason::Reason;
use dproxy_common::tables::{Half, Tables as _};
use dproxy_common::wire::{Address, Be16};
use dproxy_common::work::Work;

use super::INTERFACE;
use crate::config::{Config, XdpMode};
use crate::control::{Capacity, Held, MemberKey, Memory, Patch, Snapshot, SnapshotNames};
use crate::daemon::capacity;
use crate::datapath::{Attachment, CounterId, Counters, Datapath, DatapathError, Inheritance};

/// A fast path in memory. Clones are handles to one.
#[derive(Clone)]
pub(crate) struct FakeDatapath(Arc<Mutex<Tables>>);

pub(crate) struct Tables {
    pub(crate) capacity: Capacity,
    pub(crate) published: Option<Snapshot>,
    idle: Snapshot,
    prepared: Option<Patch>,
    behind: Option<Patch>,
    /// How often a generation was put in force.
    flips: u64,
    pub(crate) enlarged: u64,
    pub(crate) backends: BTreeMap<u16, Backend>,
    pub(crate) next_hops: BTreeMap<u32, NextHop>,
    listeners: BTreeMap<u16, SocketAddr>,
    pub(crate) counters: Counters,
    pub(crate) cleared: Vec<CounterId>,
    /// What there is of a program before.
    pub(crate) inherited: Inheritance,
    /// What the next publication fails with.
    pub(crate) refusal: Option<String>,
    pub(crate) is_attached: bool,
    /// The ways to the backends when the generation in force got there.
    pub(crate) first_ways: BTreeMap<SocketAddr, Option<NextHop>>,
}

impl FakeDatapath {
    pub(crate) fn new(config: &Config) -> Self {
        Self(Arc::new(Mutex::new(Tables {
            capacity: capacity(config),
            published: None,
            idle: Snapshot::empty(),
            prepared: None,
            behind: None,
            flips: 0,
            enlarged: 0,
            backends: BTreeMap::new(),
            next_hops: BTreeMap::new(),
            listeners: BTreeMap::new(),
            counters: Counters { reasons: vec![0; Reason::COUNT], ..Counters::default() },
            cleared: Vec::new(),
            inherited: Inheritance::default(),
            refusal: None,
            is_attached: false,
            first_ways: BTreeMap::new(),
        })))
    }

    pub(crate) fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap()
    }

    /// How often a generation was put in force, be it because of the network.
    pub(crate) fn generation(&self) -> u64 {
        self.tables().flips
    }

    /// The id of a route.
    pub(crate) fn route_id(&self, pattern: &str) -> u32 {
        self.held().unwrap().route_id(&pattern.parse().unwrap()).unwrap()
    }
}

impl Tables {
    /// The addresses that the generation in force takes replies at.
    pub(crate) fn sources(&self) -> BTreeSet<IpAddr> {
        let destinations = &self.published.as_ref().unwrap().destinations;
        let sources = destinations
            .iter()
            .filter(|entry| entry.kind & Destination::NAT_SOURCE != 0 && entry.port == Be16::default());
        sources.map(|entry| entry.address.into()).collect()
    }

    /// The addresses of the backends on this host whose replies the generation in force knows.
    pub(crate) fn locals(&self) -> BTreeSet<Address> {
        let destinations = &self.published.as_ref().unwrap().destinations;
        let locals = destinations.iter().filter(|entry| entry.kind == Destination::LOCAL_BACKEND);
        locals.map(|entry| entry.address).collect()
    }

    /// The live word of a backend.
    pub(crate) fn live(&self, address: &str) -> BackendLive {
        let address: SocketAddr = address.parse().unwrap();
        let is_meant = |backend: &&Backend| {
            backend.address == address.ip().into() && backend.port.get() == address.port()
        };
        self.backends.values().find(is_meant).unwrap().live
    }

    /// The live word of a backend as a member of a pool.
    pub(crate) fn live_of(&self, pool: &str, address: &str) -> BackendLive {
        let MemberKey { pool, address } = MemberKey::new(pool, address.parse().unwrap());
        let is_meant = |backend: &&Backend| {
            (backend.pool, backend.address, backend.port.get()) == (pool, address.ip().into(), address.port())
        };
        self.backends.values().find(is_meant).unwrap().live
    }

    /// The ids of these backends.
    pub(crate) fn ids<const N: usize>(&self, addresses: [&str; N]) -> Vec<usize> {
        let id = |text: &str| {
            let address: SocketAddr = text.parse().unwrap();
            let is_meant = |(_, backend): &(&u16, &Backend)| {
                (backend.address, backend.port.get()) == (address.ip().into(), address.port())
            };
            usize::from(*self.backends.iter().find(is_meant).unwrap().0)
        };
        addresses.into_iter().map(id).collect()
    }

    /// The backends' addresses, and where frames to them go.
    pub(crate) fn ways(&self) -> BTreeMap<SocketAddr, Option<NextHop>> {
        let way = |backend: &Backend| backend.live.next_hop().map(|index| self.next_hops[&index]);
        let address = |backend: &Backend| SocketAddr::new(backend.address.into(), backend.port.get());
        self.backends.values().map(|backend| (address(backend), way(backend))).collect()
    }

    fn memory(&self) -> Memory {
        fn dense<T: Clone + Default>(entries: impl Iterator<Item = (usize, T)>) -> Vec<T> {
            let mut table = Vec::new();
            for (index, entry) in entries {
                table.resize(table.len().max(index + 1), T::default());
                table[index] = entry;
            }
            table
        }
        let listener = |(id, address): (&u16, &SocketAddr)| {
            let (address, port) = (address.ip().into(), Be16::new(address.port()));
            (usize::from(*id), Listener { address, port, ..Listener::default() })
        };
        Memory {
            snapshot: Arc::new(self.published.clone().unwrap()),
            nat: NatSettings { slot_bits: 10, port_first: 16384, port_bits: 14, ..NatSettings::default() },
            backends: dense(self.backends.iter().map(|(id, backend)| (usize::from(*id), *backend))),
            next_hops: dense(self.next_hops.iter().map(|(index, hop)| (*index as usize, *hop))),
            listeners: dense(self.listeners.iter().map(listener)),
        }
    }
}

impl Datapath for FakeDatapath {
    fn capacity(&self) -> Capacity {
        self.tables().capacity
    }

    fn introduce(&mut self, names: &SnapshotNames) -> Result<(), DatapathError> {
        let mut tables = self.tables();
        tables.listeners.extend(&names.listeners);
        for (&id, member) in &names.backends {
            let backend = names.entry(member).expect("a pool that has a name");
            let known = tables.backends.get(&id);
            if known.is_none_or(|known| Backend { live: backend.live, ..*known } != backend) {
                tables.backends.insert(id, backend);
            }
        }
        Ok(())
    }

    fn idle(&self) -> Half {
        let number = self.tables().published.as_ref().map_or(0, |snapshot| snapshot.generation.number);
        Half::of_generation(number).other()
    }

    fn held(&self) -> Option<Held> {
        self.tables().published.clone().map(Held::from)
    }

    fn settle(&mut self) -> Result<(), DatapathError> {
        let mut tables = self.tables();
        if let Some(patch) = tables.behind.take() {
            tables.idle.apply(&patch);
        }
        Ok(())
    }

    fn prepare(&mut self, patch: Patch) -> Result<(), DatapathError> {
        if let Some(refusal) = self.tables().refusal.take() {
            return Err(DatapathError(refusal));
        }
        assert_eq!(Half::of_generation(patch.generation.number), self.idle());
        self.settle()?;
        self.introduce(&patch.names)?;
        self.tables().prepared = Some(patch);
        Ok(())
    }

    fn activate(&mut self) {
        let mut tables = self.tables();
        let Some(patch) = tables.prepared.take() else { return };
        let mut snapshot = tables.idle.clone();
        snapshot.apply(&patch);
        let known = |backend: &Backend| {
            let mut entries = snapshot.destinations.iter();
            entries.any(|entry| entry.kind == Destination::LOCAL_BACKEND && entry.address == backend.address)
        };
        let in_use = snapshot.names.backends.keys().map(|id| &tables.backends[id]);
        let mut locals = in_use.filter(|backend| backend.live == BackendLive::LOCAL);
        assert!(locals.all(known), "replies under way to their listener would not be known");
        tables.idle = tables.published.replace(snapshot).unwrap_or_else(Snapshot::empty);
        tables.behind = Some(patch);
        tables.flips += 1;
        tables.first_ways = tables.ways();
    }

    fn abandon(&mut self) {
        self.tables().prepared = None;
    }

    fn enlarge(&mut self, capacity: Capacity, patch: Patch) -> Result<(), DatapathError> {
        let mut tables = self.tables();
        tables.capacity = capacity;
        tables.enlarged += 1;
        let mut snapshot = Snapshot::empty();
        snapshot.apply(&patch);
        tables.idle = snapshot.clone();
        tables.published = Some(snapshot);
        tables.behind = None;
        Ok(())
    }

    fn inherited(&self) -> Inheritance {
        self.tables().inherited.clone()
    }

    fn set_next_hop(&mut self, index: u32, hop: &NextHop) -> Result<(), DatapathError> {
        let mut tables = self.tables();
        assert!(
            tables.backends.values().all(|backend| backend.live.next_hop() != Some(index)),
            "a next hop in use must not change"
        );
        tables.next_hops.insert(index, *hop);
        Ok(())
    }

    fn set_live(&mut self, backend: u16, live: BackendLive) -> Result<(), DatapathError> {
        let mut tables = self.tables();
        let in_use =
            tables.published.as_ref().is_some_and(|snapshot| snapshot.names.backends.contains_key(&backend));
        if live == BackendLive::LOCAL && in_use {
            let backend = tables.backends[&backend];
            assert!(tables.locals().contains(&backend.address), "replies from it would not be known");
        }
        if let Some(hop) = live.next_hop().filter(|_| in_use).map(|index| tables.next_hops[&index]) {
            assert!(tables.sources().contains(&hop.source.into()), "replies to it would not be known");
        }
        tables.backends.get_mut(&backend).expect("a backend that was introduced").live = live;
        Ok(())
    }

    fn egress(&self) -> Result<(), String> {
        Ok(())
    }

    fn explain(&self, frame: &[u8], generation: u64) -> Result<Explain, DatapathError> {
        let memory = self.tables().memory();
        let (mut packet, mut state) = (HostPacket::new(frame, INTERFACE), HostState::new(10, 1));
        let mut work = Work::EMPTY;
        let number = if generation == 0 { memory.active() } else { generation };
        match pipeline::run(&mut packet, &memory, &mut state, &mut work, number, true) {
            Outcome::Explained(explanation) => Ok(explanation),
            Outcome::Ended(action, reason) => panic!("{reason:?}, {action:?} instead of an explanation"),
        }
    }

    fn counters(&self) -> Result<Counters, DatapathError> {
        Ok(self.tables().counters.clone())
    }

    fn listener_counters(&self) -> Result<Vec<ListenerCounters>, DatapathError> {
        Ok(self.tables().counters.listeners.clone())
    }

    fn backend_counters(&self) -> Result<Vec<BackendCounters>, DatapathError> {
        Ok(self.tables().counters.backends.clone())
    }

    fn latencies(&self, backend: u16) -> Latencies {
        self.tables().counters.latencies.get(usize::from(backend)).copied().unwrap_or_default()
    }

    fn received(&self) -> Result<u64, DatapathError> {
        Ok(self.tables().counters.received)
    }

    fn clear(&mut self, counter: CounterId) -> Result<(), DatapathError> {
        self.tables().cleared.push(counter);
        Ok(())
    }

    fn attach(&mut self) -> Result<(), DatapathError> {
        assert!(self.generation() > 0, "no packet may see an empty table");
        self.tables().is_attached = true;
        Ok(())
    }

    fn attachments(&self) -> Vec<Attachment> {
        let mode = if self.tables().is_attached { XdpMode::Native } else { XdpMode::Auto };
        vec![Attachment { interface: "eth0".to_owned(), index: INTERFACE, mode, fallback: None }]
    }
}
