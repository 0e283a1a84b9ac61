//! One generation, as it stands in the maps.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use dproxy_common::{
    abi::{
        Backend, CandidateLine, Destination, Generation, Listener, LongName, MAX_DEPTHS, NAME_POWERS,
        NatSettings, NextHop, Pool, Route, RouteBucket, RouteTarget,
    },
    tables::{Half, Tables},
    wire::Be16,
};

use super::{Held, MemberKey, Patch, Question, Rows};
use crate::config::{Config, Pattern};

/// One whole generation.
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
    /// Pools by id.
    pub pools: Vec<Pool>,
    /// The pools' candidates.
    pub candidates: Vec<CandidateLine>,
    /// Who is meant by the ids in it.
    pub names: SnapshotNames,
    /// Routes by id, but for those that others of the same name hide.
    pub route_names: BTreeMap<u32, Pattern>,
    /// What to ask the program before it is put in force.
    pub questions: Vec<Question>,
}

impl Snapshot {
    /// What a whole patch writes into empty tables.
    pub fn of(patch: &Patch, config: &Config) -> Self {
        let mut snapshot = Self::empty();
        snapshot.apply(patch);
        let held = Held::from(snapshot.clone());
        let ids = config.routes.keys().filter_map(|pattern| Some((held.route_id(pattern)?, pattern.clone())));
        Self { route_names: ids.collect(), ..snapshot }
    }

    /// No generation.
    pub fn empty() -> Self {
        Self {
            generation: Generation {
                number: 0,
                destination_seed: 0,
                root_at: RouteTarget::NONE,
                root_below: RouteTarget::NONE,
                bucket_mask: 0,
                depth_count: 0,
                edns_udp_size: 0,
                depths: [0; MAX_DEPTHS],
                powers: [1; NAME_POWERS],
            },
            destinations: Vec::new(),
            buckets: vec![RouteBucket::default()],
            routes: Vec::new(),
            long_names: Vec::new(),
            pools: Vec::new(),
            candidates: Vec::new(),
            names: SnapshotNames::default(),
            route_names: BTreeMap::new(),
            questions: Vec::new(),
        }
    }

    /// Makes the generation that a patch of this one leads to.
    pub fn apply(&mut self, patch: &Patch) {
        let Patch {
            generation,
            destinations,
            buckets,
            routes,
            long_names,
            pools,
            candidates,
            names,
            questions,
        } = patch;
        self.generation = *generation;
        if let Some(destinations) = destinations {
            self.destinations.clone_from(destinations);
        }
        buckets.write_to(&mut self.buckets);
        routes.write_to(&mut self.routes);
        long_names.write_to(&mut self.long_names);
        pools.write_to(&mut self.pools);
        candidates.write_to(&mut self.candidates);
        self.names = SnapshotNames::clone(names);
        self.questions.clone_from(questions);
    }

    /// The patch that writes all of it.
    pub fn patch(&self) -> Patch {
        let Self {
            generation,
            destinations,
            buckets,
            routes,
            long_names,
            pools,
            candidates,
            names,
            route_names: _,
            questions,
        } = self;
        Patch {
            generation: *generation,
            destinations: Some(destinations.clone()),
            buckets: Rows::All(buckets.clone()),
            routes: Rows::All(routes.clone()),
            long_names: Rows::All(long_names.clone()),
            pools: Rows::All(pools.clone()),
            candidates: Rows::All(candidates.clone()),
            names: Arc::new(names.clone()),
            questions: questions.clone(),
        }
    }
}

/// What the ids in a generation stand for.
#[derive(Clone, Debug, Default)]
pub struct SnapshotNames {
    /// Listeners by id.
    pub listeners: BTreeMap<u16, SocketAddr>,
    /// Backends by id, one for each pool that has it.
    pub backends: BTreeMap<u16, Member>,
    /// Pools by id.
    pub pools: BTreeMap<u16, String>,
}

/// A backend as a member of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// Id of the pool.
    pub pool: u16,
    /// Where it listens.
    pub address: SocketAddr,
}

impl SnapshotNames {
    /// The name of a member's pool.
    pub fn pool_of(&self, member: &Member) -> Option<&str> {
        self.pools.get(&member.pool).map(String::as_str)
    }

    /// What a member is recognised by.
    pub fn key(&self, member: &Member) -> Option<MemberKey> {
        self.pool_of(member).map(|pool| MemberKey::new(pool, member.address))
    }

    /// The backend of an id, as its table has it, without a way to it yet.
    pub fn entry(&self, member: &Member) -> Option<Backend> {
        let MemberKey { pool, address } = self.key(member)?;
        let (address, port) = (address.ip().into(), Be16::new(address.port()));
        Some(Backend { address, port, pool, ..Backend::default() })
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

impl Tables for Snapshot {
    fn nat(&self) -> NatSettings {
        NatSettings::default()
    }

    fn active(&self) -> u64 {
        self.generation.number
    }

    fn generation(&self, _half: Half) -> Option<&Generation> {
        Some(&self.generation)
    }

    fn destination(&self, _half: Half, index: u32) -> Option<&Destination> {
        self.destinations.get(index as usize)
    }

    fn route_bucket(&self, _half: Half, index: u32) -> Option<&RouteBucket> {
        self.buckets.get(index as usize)
    }

    fn route(&self, _half: Half, index: u32) -> Option<&Route> {
        self.routes.get(index as usize)
    }

    fn long_name(&self, _half: Half, index: u32) -> Option<&LongName> {
        self.long_names.get(index as usize)
    }

    fn pool(&self, _half: Half, id: u32) -> Option<&Pool> {
        self.pools.get(id as usize)
    }

    fn candidate_line(&self, _half: Half, index: u32) -> Option<&CandidateLine> {
        self.candidates.get(index as usize)
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

impl Tables for Memory {
    fn nat(&self) -> NatSettings {
        self.nat
    }

    fn active(&self) -> u64 {
        self.snapshot.active()
    }

    fn generation(&self, half: Half) -> Option<&Generation> {
        self.snapshot.generation(half)
    }

    fn destination(&self, half: Half, index: u32) -> Option<&Destination> {
        self.snapshot.destination(half, index)
    }

    fn route_bucket(&self, half: Half, index: u32) -> Option<&RouteBucket> {
        self.snapshot.route_bucket(half, index)
    }

    fn route(&self, half: Half, index: u32) -> Option<&Route> {
        self.snapshot.route(half, index)
    }

    fn long_name(&self, half: Half, index: u32) -> Option<&LongName> {
        self.snapshot.long_name(half, index)
    }

    fn pool(&self, half: Half, id: u32) -> Option<&Pool> {
        self.snapshot.pool(half, id)
    }

    fn candidate_line(&self, half: Half, index: u32) -> Option<&CandidateLine> {
        self.snapshot.candidate_line(half, index)
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
