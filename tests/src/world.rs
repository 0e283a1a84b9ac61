//! A configuration compiled into tables, with made-up next hops.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use dproxy_common::{
    abi::{Backend, BackendLive, Listener, NatSettings, NextHop, Subject, TokenKeys},
    nat::token_bits,
    reason::Reason,
    wire::{Address, Be16, Mac, Macs, VlanTags},
};
use dproxy_userspace::{
    config::{Config, Pattern},
    control::{Capacity, Host, Ids, Member, Memory, Snapshot, compile},
};

/// Our address towards IPv4 backends.
pub const SOURCE_V4: &str = "203.0.113.1";
/// Our address towards IPv6 backends.
pub const SOURCE_V6: &str = "2001:db8:f::1";

/// The interface that queries come from.
pub const CLIENT_SIDE: usize = 0;
/// The interface that most backends are behind.
pub const BACKEND_SIDE: usize = 1;

/// Link-layer addresses on the backends' side: ours and the neighbour's.
pub const BACKEND_MACS: ([u8; 6], [u8; 6]) = ([2, 0, 0, 0, 1, 2], [2, 0, 0, 0, 1, 1]);

/// A compiled configuration.
pub struct World {
    /// The configuration.
    pub config: Config,
    /// Its generation.
    pub snapshot: Snapshot,
    /// How backends are reached, by id.
    pub hops: BTreeMap<u16, NextHop>,
    /// Live words of the backends that are not reached by a next hop, by id.
    pub lives: BTreeMap<u16, BackendLive>,
    /// How much the tables hold.
    pub capacity: Capacity,
}

impl World {
    /// Compiles a configuration. `interfaces` are the indices of the two sides. Every backend is reachable
    /// on the backends' side.
    pub fn new(text: &str, interfaces: [u32; 2]) -> Self {
        Self::with_locals(text, interfaces, &[])
    }

    /// The same with backends on this host, each with the listener that it stands for.
    pub fn with_locals(text: &str, interfaces: [u32; 2], locals: &[(&str, &str)]) -> Self {
        let config = Config::parse(text, "test").unwrap_or_else(|error| panic!("{error}"));
        let capacity = Capacity::for_routes(config.fast_path.routes, config.fast_path.slots.trailing_zeros());
        let ids = Ids::new(&capacity);
        let sources = BTreeSet::from([SOURCE_V4, SOURCE_V6].map(|text| text.parse().unwrap()));
        let locals =
            locals.iter().map(|(backend, listener)| [backend, listener].map(|text| text.parse().unwrap()));
        let host = Host { sources, locals: locals.map(|[backend, listener]| (backend, listener)).collect() };
        let snapshot = compile(&config, &host, &ids, 3, &capacity).expect("it compiles");
        let hops = snapshot
            .names
            .backends
            .iter()
            .map(|(&id, member)| (id, hop(&member.address, interfaces[BACKEND_SIDE])));
        let (hops, ids) = (hops.collect(), snapshot.names.backends.iter());
        let lives = ids.filter(|(_, member)| host.locals.contains_key(&member.address));
        let lives = lives.map(|(id, _)| (*id, BackendLive::LOCAL)).collect();
        Self { hops, lives, config, snapshot, capacity }
    }

    /// Numbering for the host; the kernel draws keys of its own.
    pub fn nat(&self) -> NatSettings {
        let port_bits = u32::from(self.config.fast_path.nat_ports.bits());
        let random = [0x0bad_cafe, 0x1234_5679, 0xdead_beef];
        NatSettings {
            token_keys: TokenKeys::from_random(random, token_bits(port_bits)),
            slot_bits: self.capacity.slot_bits,
            port_first: u32::from(self.config.fast_path.nat_ports.first()),
            port_bits,
        }
    }

    /// The tables in memory. Next hops have the index of their backend's id.
    pub fn memory(&self) -> Memory {
        let names = &self.snapshot.names;
        let mut memory = Memory {
            snapshot: Arc::new(self.snapshot.clone()),
            nat: self.nat(),
            backends: vec![Backend::default(); names.backends.len()],
            next_hops: vec![NextHop::default(); names.backends.len()],
            listeners: vec![Listener::default(); names.listeners.len()],
        };
        for (&id, member) in &names.backends {
            let address = member.address;
            let hop = self.hops.get(&id);
            let by_hop = hop.map_or(BackendLive::UNRESOLVED, |_| BackendLive::reachable(u32::from(id)));
            memory.backends[usize::from(id)] = Backend {
                address: Address::from(address.ip()),
                port: Be16::new(address.port()),
                live: self.lives.get(&id).copied().unwrap_or(by_hop),
                ..Backend::default()
            };
            memory.next_hops[usize::from(id)] = hop.copied().unwrap_or_default();
        }
        for (&id, address) in &names.listeners {
            let (address, port) = (Address::from(address.ip()), Be16::new(address.port()));
            memory.listeners[usize::from(id)] = Listener { address, port, ..Listener::default() };
        }
        memory
    }

    /// The pattern of a route, by id.
    pub fn route(&self, id: u32) -> Option<&Pattern> {
        self.snapshot.route_names.get(&id)
    }

    /// What a query leads to, in words: its pool, or the reason for something else.
    pub fn leads_to(&self, (reason, subject): (Reason, Subject)) -> &str {
        if matches!(
            reason,
            Reason::QueryForwarded | Reason::QueryDelivered | Reason::BackendSlowPath | Reason::PoolSlowPath
        ) {
            self.snapshot.names.pools.get(&subject.pool).map_or("no pool", String::as_str)
        } else {
            reason.label()
        }
    }

    /// A backend's address, by id.
    pub fn backend(&self, id: u16) -> Option<SocketAddr> {
        self.snapshot.names.backends.get(&id).map(|member| member.address)
    }

    /// A backend's id as a member of a pool.
    pub fn member_id(&self, pool: &str, address: &str) -> u16 {
        let (names, address) = (&self.snapshot.names, address.parse().expect("an address"));
        let is_meant = |member: &Member| member.address == address && names.pool_of(member) == Some(pool);
        let found = names.backends.iter().find(|(_, member)| is_meant(member));
        *found.unwrap_or_else(|| panic!("no backend {address} in pool {pool}")).0
    }

    /// A backend's id; of one in several pools, the lowest.
    pub fn backend_id(&self, address: &str) -> u16 {
        let address: SocketAddr = address.parse().expect("an address");
        let found = self.snapshot.names.backends.iter().find(|(_, member)| member.address == address);
        *found.unwrap_or_else(|| panic!("no backend {address}")).0
    }
}

fn hop(backend: &SocketAddr, interface: u32) -> NextHop {
    let source: IpAddr = if backend.is_ipv4() { SOURCE_V4 } else { SOURCE_V6 }.parse().expect("an address");
    NextHop {
        source: Address::from(source),
        interface,
        tags: VlanTags::NONE,
        macs: Macs::new(Mac::from_octets(BACKEND_MACS.1), Mac::from_octets(BACKEND_MACS.0)),
        ..NextHop::default()
    }
}
