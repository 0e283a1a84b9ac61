//! A generation as the slow path sees it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use dproxy_common::{
    abi::{self, Backend, BackendLive, NatSettings, NextHop},
    wire::Be16,
};

use crate::config::{Config, Pool};
use crate::control::{Memory, Snapshot};

/// The tables of one generation, and which backends the kernel's own stack can reach.
///
/// To the slow path a backend can be reached or not; the way there is the stack's business.
#[derive(Clone, Debug)]
pub struct View {
    memory: Memory,
    /// By id; a pool without an entry has the default.
    pools: BTreeMap<u16, PoolSettings>,
}

/// What only the slow path needs to know about a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolSettings {
    /// Id of the backend that gets NOTIFY and UPDATE.
    pub primary: Option<u16>,
    /// Do its backends expect the PROXY protocol?
    pub proxy_protocol: bool,
}

impl View {
    /// The generation that `config` was compiled to, and which backends' addresses can be reached.
    pub fn of(config: &Config, snapshot: Arc<Snapshot>, is_reachable: impl Fn(IpAddr) -> bool) -> Self {
        let names = &snapshot.names;
        let ids: BTreeMap<_, _> = names.backends.iter().map(|(id, address)| (*address, *id)).collect();
        let settings = |name: &String| {
            let Pool { primary, proxy_protocol, .. } = config.pools.get(name)?;
            let primary = primary.and_then(|address| ids.get(&address).copied());
            Some(PoolSettings { primary, proxy_protocol: *proxy_protocol })
        };
        let pools = names.pools.iter().filter_map(|(id, name)| Some((*id, settings(name)?))).collect();
        Self::new(snapshot, pools, is_reachable)
    }

    /// A generation, the settings of its pools by id, and which backends' addresses can be reached.
    pub fn new(
        snapshot: Arc<Snapshot>,
        pools: BTreeMap<u16, PoolSettings>,
        is_reachable: impl Fn(IpAddr) -> bool,
    ) -> Self {
        let memory = Memory {
            snapshot,
            nat: NatSettings::default(),
            backends: Vec::new(),
            // What every backend that can be reached refers to.
            next_hops: vec![NextHop::default()],
            listeners: Vec::new(),
        };
        let mut view = Self { memory, pools };
        view.set_reachable(is_reachable);
        view
    }

    /// Sets anew which backends can be reached.
    pub fn set_reachable(&mut self, is_reachable: impl Fn(IpAddr) -> bool) {
        let names = &self.memory.snapshot.names.backends;
        let length = names.keys().next_back().map_or(0, |last| usize::from(*last) + 1);
        let mut backends = vec![Backend::default(); length];
        for (id, address) in names {
            backends[usize::from(*id)] = Backend {
                address: address.ip().into(),
                port: Be16::new(address.port()),
                live: if is_reachable(address.ip()) {
                    BackendLive::reachable(0)
                } else {
                    BackendLive::UNRESOLVED
                },
                ..Backend::default()
            };
        }
        self.memory.backends = backends;
    }

    /// Its tables.
    pub(super) const fn tables(&self) -> &Memory {
        &self.memory
    }

    /// The number of the generation.
    pub fn generation(&self) -> u64 {
        self.memory.snapshot.generation.number
    }

    /// A listener's id.
    pub(super) fn listener_id(&self, listener: &SocketAddr) -> Option<u16> {
        let mut ids = self.memory.snapshot.names.listeners.iter();
        ids.find(|(_, address)| *address == listener).map(|(id, _)| *id)
    }

    /// A pool, by its index in the generation.
    pub(super) fn pool_at(&self, index: u16) -> Option<&abi::Pool> {
        self.memory.snapshot.pools.get(usize::from(index))
    }

    /// A pool's settings, by its id.
    pub(super) fn settings(&self, pool: u16) -> PoolSettings {
        self.pools.get(&pool).copied().unwrap_or_default()
    }

    /// Where a backend listens, by its id.
    pub(super) fn address(&self, backend: u16) -> Option<SocketAddr> {
        let Backend { address, port, .. } = *self.memory.backends.get(usize::from(backend))?;
        Some(SocketAddr::new(address.into(), port.get()))
    }

    /// Can a backend be reached?
    pub(super) fn is_reachable(&self, backend: u16) -> bool {
        self.memory
            .backends
            .get(usize::from(backend))
            .is_some_and(|backend| backend.live.next_hop().is_some())
    }

    /// Each backend of a pool that has weight.
    pub(super) fn members<'v>(&'v self, pool: &abi::Pool) -> impl Iterator<Item = u16> + 'v {
        let first = pool.member_line() as usize;
        let lines = self.memory.snapshot.candidates.get(first..).unwrap_or_default();
        lines.iter().flat_map(|line| line.0).take(pool.members as usize)
    }
}
