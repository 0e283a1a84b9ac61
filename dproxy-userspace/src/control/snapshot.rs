//! One generation, as it stands in the maps.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use dproxy_common::{
    abi::{
        Backend, CandidateLine, Destination, Generation, Listener, LongName, NatSettings, NextHop, Pool,
        Route, RouteBucket,
    },
    tables::{Half, Tables},
};

use crate::config::Pattern;

/// How much the maps hold: fixed when the program is loaded. Of halved tables, the entries of one half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Routes, that is names with routes besides the root.
    pub routes: u32,
    /// Route buckets; a power of two.
    pub route_buckets: u32,
    /// Names of more than 40 octets.
    pub long_names: u32,
    /// Pools.
    pub pools: u32,
    /// Candidate lines.
    pub candidate_lines: u32,
    /// Ids of route counters.
    pub route_ids: u32,
    /// Ids of backends.
    pub backend_ids: u32,
    /// Ids of listeners.
    pub listener_ids: u32,
    /// Next hops.
    pub next_hops: u32,
    /// The slot ring has 2 to this power entries.
    pub slot_bits: u32,
}

impl Capacity {
    /// Ids of pools: twice as many as pools, so that a removed one's may rest.
    pub const fn pool_ids(&self) -> u32 {
        let twice = self.pools.saturating_mul(2);
        if twice < u16::MAX as u32 { twice } else { u16::MAX as u32 }
    }

    /// For so many names with routes and 2 to the power `slot_bits` queries in flight.
    pub fn for_routes(routes: u32, slot_bits: u32) -> Self {
        Self {
            routes,
            route_buckets: super::routes::buckets_for(routes),
            long_names: (routes / 4).max(1024),
            pools: 4096,
            candidate_lines: 65536,
            // A name has up to three routes; the fourth is room for edits, until freed ids are free.
            route_ids: routes.saturating_mul(4).max(1024),
            backend_ids: 16384,
            listener_ids: 256,
            next_hops: 16384,
            slot_bits,
        }
    }
}

/// One generation.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// What holds for the whole of it; its number says which half it goes to.
    pub generation: Generation,
    /// The destination table, all of it.
    pub destinations: Vec<Destination>,
    /// The route index: `generation.bucket_mask + 1` buckets.
    pub buckets: Vec<RouteBucket>,
    /// Routes by index.
    pub routes: Vec<Route>,
    /// Long names by index.
    pub long_names: Vec<LongName>,
    /// Pools by index.
    pub pools: Vec<Pool>,
    /// The pools' candidates.
    pub candidates: Vec<CandidateLine>,
    /// Who is meant by the ids in it.
    pub names: SnapshotNames,
}

/// What the ids in a generation stand for.
#[derive(Clone, Debug, Default)]
pub struct SnapshotNames {
    /// Listeners by id.
    pub listeners: BTreeMap<u16, SocketAddr>,
    /// Backends by id.
    pub backends: BTreeMap<u16, SocketAddr>,
    /// Pools by id.
    pub pools: BTreeMap<u16, String>,
    /// Routes by id.
    pub routes: BTreeMap<u32, Pattern>,
}

impl SnapshotNames {
    /// Nobody.
    pub const fn new() -> Self {
        Self {
            listeners: BTreeMap::new(),
            backends: BTreeMap::new(),
            pools: BTreeMap::new(),
            routes: BTreeMap::new(),
        }
    }
}

/// The tables in memory: for the slow path, which decides as the kernel does, and for tests.
#[derive(Clone, Debug)]
pub struct Memory {
    /// The generation in force.
    pub snapshot: Arc<Snapshot>,
    /// How queries in flight are numbered.
    pub nat: NatSettings,
    /// Backends by id.
    pub backends: Vec<Backend>,
    /// Next hops by index.
    pub next_hops: Vec<NextHop>,
    /// Listeners by id.
    pub listeners: Vec<Listener>,
}

impl Tables for Memory {
    fn nat(&self) -> NatSettings {
        self.nat
    }

    fn active(&self) -> u64 {
        self.snapshot.generation.number
    }

    fn generation(&self, _half: Half) -> Option<&Generation> {
        Some(&self.snapshot.generation)
    }

    fn destination(&self, _half: Half, index: u32) -> Option<&Destination> {
        self.snapshot.destinations.get(index as usize)
    }

    fn route_bucket(&self, _half: Half, index: u32) -> Option<&RouteBucket> {
        self.snapshot.buckets.get(index as usize)
    }

    fn route(&self, _half: Half, index: u32) -> Option<&Route> {
        self.snapshot.routes.get(index as usize)
    }

    fn long_name(&self, _half: Half, index: u32) -> Option<&LongName> {
        self.snapshot.long_names.get(index as usize)
    }

    fn pool(&self, _half: Half, index: u32) -> Option<&Pool> {
        self.snapshot.pools.get(index as usize)
    }

    fn candidate_line(&self, _half: Half, index: u32) -> Option<&CandidateLine> {
        self.snapshot.candidates.get(index as usize)
    }

    fn backend(&self, id: u16) -> Option<&Backend> {
        self.backends.get(usize::from(id))
    }

    fn next_hop(&self, index: u32) -> Option<&NextHop> {
        self.next_hops.get(index as usize)
    }

    fn listener(&self, id: u16) -> Option<&Listener> {
        self.listeners.get(usize::from(id))
    }
}
