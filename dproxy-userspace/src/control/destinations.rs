//! The table of destinations that are ours: a perfect hash.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use dproxy_common::{
    abi::{DESTINATION_SLOTS, Destination},
    select::mix,
    wire::{Address, Be16},
};

use super::{Delivery, SnapshotNames};

/// Seeds tried before giving up. Sixty-four listeners on as many addresses take some hundreds.
const SEEDS: u64 = 100_000;

/// What a generation has to know of the host that it is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// The addresses that forwarded queries are sent from.
    pub sources: BTreeSet<IpAddr>,
    /// The backends on this host that the fast path serves, and the listener that each stands for.
    pub locals: BTreeMap<SocketAddr, SocketAddr>,
}

impl Host {
    /// When its backends get their queries like this.
    pub fn new(sources: BTreeSet<IpAddr>, deliveries: &BTreeMap<SocketAddr, Delivery>) -> Self {
        let locals = deliveries.iter().filter_map(|(backend, delivery)| match delivery {
            Delivery::Local(listener) => Some((*backend, *listener)),
            Delivery::NextHop(_) | Delivery::SlowPath(_) | Delivery::Unreachable(_) => None,
        });
        Self { sources, locals: locals.collect() }
    }
}

/// The table and its seed, or `None` if no seed was found: too many addresses.
pub(super) fn table(names: &SnapshotNames, host: &Host) -> Option<(u64, Vec<Destination>)> {
    let mut entries = entries(&names.listeners, &host.sources);
    // One entry for a backend in several pools: it is one server.
    let backends: BTreeMap<SocketAddr, u16> =
        names.backends.iter().rev().map(|(id, member)| (member.address, *id)).collect();
    entries.extend(backends.into_iter().filter_map(|(backend, id)| {
        let listener = host.locals.get(&backend)?;
        let (&listener, _) = names.listeners.iter().find(|(_, address)| *address == listener)?;
        Some(Destination { listener, kind: Destination::LOCAL_BACKEND, backend: id, ..key(backend) })
    }));
    // A fixed sequence of seeds, so that the same configuration gives the same table.
    (1..=SEEDS).map(mix).find_map(|seed| place(seed, &entries).map(|table| (seed, table)))
}

fn entries(listeners: &BTreeMap<u16, SocketAddr>, sources: &BTreeSet<IpAddr>) -> Vec<Destination> {
    let mut addresses: BTreeMap<IpAddr, u32> = BTreeMap::new();
    for listener in listeners.values() {
        addresses.insert(listener.ip(), Destination::ADDRESS);
    }
    for source in sources {
        *addresses.entry(*source).or_default() |= Destination::ADDRESS | Destination::NAT_SOURCE;
    }
    let listener = |(&id, socket): (&u16, &SocketAddr)| Destination {
        listener: id,
        kind: Destination::LISTENER,
        ..key(*socket)
    };
    let address =
        |(address, kind)| Destination { address: Address::from(address), kind, ..Destination::default() };
    listeners.iter().map(listener).chain(addresses.into_iter().map(address)).collect()
}

/// An entry that says nothing yet of an address and port.
fn key(socket: SocketAddr) -> Destination {
    Destination {
        address: Address::from(socket.ip()),
        port: Be16::new(socket.port()),
        ..Destination::default()
    }
}

fn place(seed: u64, entries: &[Destination]) -> Option<Vec<Destination>> {
    let mut table = vec![Destination::default(); DESTINATION_SLOTS as usize];
    for entry in entries {
        let place = &mut table[Destination::index(seed, entry.address, entry.port) as usize];
        if place.kind != 0 {
            return None;
        }
        *place = *entry;
    }
    Some(table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Member;

    #[test]
    fn sixty_four_listeners_on_as_many_addresses_fit() {
        let listeners = (0..64).map(|n| (n, SocketAddr::from(([192, 0, 2, n as u8 + 1], 53))));
        let backend = |n: u16| SocketAddr::from(([203, 0, 113, n as u8 % 16 + 1], 5300));
        // Each in two pools.
        let backends = (0..32).map(|n| (n, Member { pool: n / 16, address: backend(n) }));
        let names = SnapshotNames {
            listeners: listeners.collect(),
            backends: backends.collect(),
            ..SnapshotNames::default()
        };
        let sources = BTreeSet::from(["198.51.100.1".parse().unwrap(), "2001:db8::1".parse().unwrap()]);
        let locals = names.backends.values().map(|member| (member.address, names.listeners[&7])).collect();
        let (seed, table) = table(&names, &Host { sources, locals }).unwrap();
        assert_eq!(table.iter().filter(|entry| entry.kind != 0).count(), 64 + 64 + 2 + 16);
        let local =
            table.iter().find(|entry| entry.address == names.backends[&3].address.ip().into()).unwrap();
        assert_eq!((local.kind, local.listener, local.backend), (Destination::LOCAL_BACKEND, 7, 3));
        for (index, entry) in table.iter().enumerate().filter(|(_, entry)| entry.kind != 0) {
            assert_eq!(Destination::index(seed, entry.address, entry.port) as usize, index);
        }
    }

    #[test]
    fn a_listener_address_that_is_a_source_too_is_both() {
        let listeners = BTreeMap::from([(0, "192.0.2.1:53".parse().unwrap())]);
        let names = SnapshotNames { listeners, ..SnapshotNames::default() };
        let sources = BTreeSet::from(["192.0.2.1".parse().unwrap()]);
        let (_, table) = table(&names, &Host { sources, ..Host::default() }).unwrap();
        let kinds: Vec<_> = table.iter().filter(|entry| entry.port.get() == 0 && entry.kind != 0).collect();
        assert_eq!(kinds.len(), 1);
        assert_eq!(kinds[0].kind, Destination::ADDRESS | Destination::NAT_SOURCE);
    }
}
