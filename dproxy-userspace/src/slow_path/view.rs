//! A generation as the slow path sees it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use dproxy_common::{
    abi::{
        self, Backend, BackendLive, CandidateLine, Destination, Generation, Listener, LongName, NatSettings,
        NextHop, Route, RouteBucket,
    },
    tables::{Half, Tables},
    wire::Be16,
};

use crate::config::{Config, Pool, WhenDown};
use crate::control::{Held, Member, SnapshotNames};

/// The tables of one generation, and which backends the kernel's own stack can reach.
///
/// The tables are those of the fast path. To the slow path a backend can be reached or not; the way there is the
/// stack's business.
#[derive(Clone, Debug)]
pub struct View {
    held: Held,
    names: Arc<SnapshotNames>,
    /// By id.
    backends: Vec<Backend>,
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
    /// What happens to its queries when none of its backends can be used.
    pub when_down: Instead,
}

/// What happens to a query that its pool has no backend for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Instead {
    /// It is answered SERVFAIL.
    #[default]
    Servfail,
    /// It is dropped.
    Drop,
    /// It goes to the pool with this id, once.
    Pool(u16),
}

impl View {
    /// The generation that `config` was compiled to, and the words of its backends, by id.
    pub fn of(
        config: &Config,
        held: Held,
        names: Arc<SnapshotNames>,
        live: impl Fn(u16) -> BackendLive,
    ) -> Self {
        let ids: BTreeMap<_, _> = names.backends.iter().map(|(id, member)| (*member, *id)).collect();
        let settings = |(&pool, name): (&u16, &String)| {
            let Pool { primary, proxy_protocol, when_down, .. } = config.pools.get(name)?;
            let primary = primary.and_then(|address| ids.get(&Member { pool, address }).copied());
            let when_down = match when_down {
                WhenDown::Servfail => Instead::Servfail,
                WhenDown::Drop => Instead::Drop,
                WhenDown::Pool(to) => {
                    let id = names.pools.iter().find(|(_, name)| **name == **to).map(|(id, _)| *id);
                    id.map_or(Instead::Servfail, Instead::Pool)
                }
            };
            Some((pool, PoolSettings { primary, proxy_protocol: *proxy_protocol, when_down }))
        };
        let pools = names.pools.iter().filter_map(settings).collect();
        let mut view = Self { held, names, backends: Vec::new(), pools };
        view.set_lives(live);
        view
    }

    /// Sets anew the words of the backends, by id.
    pub fn set_lives(&mut self, live: impl Fn(u16) -> BackendLive) {
        let names = &self.names.backends;
        let length = names.keys().next_back().map_or(0, |last| usize::from(*last) + 1);
        self.backends = vec![Backend::default(); length];
        for (id, Member { address, .. }) in names {
            self.backends[usize::from(*id)] = Backend {
                address: address.ip().into(),
                port: Be16::new(address.port()),
                live: live(*id),
                ..Backend::default()
            };
        }
    }

    /// The half of the tables that it is in.
    pub(super) fn half(&self) -> Half {
        self.held.half()
    }

    /// A listener's id.
    pub(super) fn listener_id(&self, listener: &SocketAddr) -> Option<u16> {
        let mut ids = self.names.listeners.iter();
        ids.find(|(_, address)| *address == listener).map(|(id, _)| *id)
    }

    /// A pool, by its id, if there is one in this generation.
    pub(super) fn pool_in_use(&self, id: u16) -> Option<&abi::Pool> {
        self.pool(self.half(), u32::from(id)).filter(|_| self.names.pools.contains_key(&id))
    }

    /// A pool's settings, by its id.
    pub(super) fn settings(&self, pool: u16) -> PoolSettings {
        self.pools.get(&pool).copied().unwrap_or_default()
    }

    /// Where a backend listens, by its id.
    pub(super) fn address(&self, backend: u16) -> Option<SocketAddr> {
        let Backend { address, port, .. } = *self.backends.get(usize::from(backend))?;
        Some(SocketAddr::new(address.into(), port.get()))
    }

    /// Can a backend be reached?
    pub(super) fn is_reachable(&self, backend: u16) -> bool {
        self.backends.get(usize::from(backend)).is_some_and(|backend| backend.live.is_usable())
    }

    /// What is withheld from each backend, by id.
    #[cfg(test)]
    pub(crate) fn withheld(&self) -> Vec<u16> {
        self.backends.iter().map(|backend| backend.live.withheld()).collect()
    }

    /// Each backend of a pool that has weight.
    pub(super) fn members<'v>(&'v self, pool: &abi::Pool) -> impl Iterator<Item = u16> + 'v {
        let lines = (pool.member_line()..).map_while(|line| self.candidate_line(self.half(), line));
        lines.flat_map(|line| line.0).take(pool.members as usize)
    }
}

impl Tables for View {
    fn nat(&self) -> NatSettings {
        NatSettings::default()
    }

    fn active(&self) -> u64 {
        self.generation(self.half()).map_or(0, |generation| generation.number)
    }

    fn generation(&self, half: Half) -> Option<&Generation> {
        self.held.tables().generation(half)
    }

    fn destination(&self, half: Half, index: u32) -> Option<&Destination> {
        self.held.tables().destination(half, index)
    }

    fn route_bucket(&self, half: Half, index: u32) -> Option<&RouteBucket> {
        self.held.tables().route_bucket(half, index)
    }

    fn route(&self, half: Half, index: u32) -> Option<&Route> {
        self.held.tables().route(half, index)
    }

    fn long_name(&self, half: Half, index: u32) -> Option<&LongName> {
        self.held.tables().long_name(half, index)
    }

    fn pool(&self, half: Half, id: u32) -> Option<&abi::Pool> {
        self.held.tables().pool(half, id)
    }

    fn candidate_line(&self, half: Half, index: u32) -> Option<&CandidateLine> {
        self.held.tables().candidate_line(half, index)
    }

    fn backend(&self, id: u16) -> Option<&Backend> {
        self.backends.get(usize::from(id))
    }

    fn next_hop(&self, _index: u32) -> Option<&NextHop> {
        None
    }

    fn listener(&self, _id: u16) -> Option<&Listener> {
        None
    }
}
