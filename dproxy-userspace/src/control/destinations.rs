//! The table of destinations that are ours: a perfect hash.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use dproxy_common::{
    abi::{DESTINATION_SLOTS, Destination},
    select::mix,
    wire::{Address, Be16},
};

/// Seeds tried before giving up. Sixty-four listeners on as many addresses take some thousands.
const SEEDS: u64 = 100_000;

/// The table and its seed, or `None` if no seed was found: too many addresses.
pub(super) fn table(
    listeners: &BTreeMap<u16, SocketAddr>,
    sources: &BTreeSet<IpAddr>,
) -> Option<(u64, Vec<Destination>)> {
    let entries = entries(listeners, sources);
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
        address: Address::from(socket.ip()),
        port: Be16::new(socket.port()),
        listener: id,
        kind: Destination::LISTENER,
        reserved: 0,
    };
    let address =
        |(address, kind)| Destination { address: Address::from(address), kind, ..Destination::default() };
    listeners.iter().map(listener).chain(addresses.into_iter().map(address)).collect()
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

    #[test]
    fn sixty_four_listeners_on_as_many_addresses_fit() {
        let listeners = (0..64).map(|n| (n, SocketAddr::from(([192, 0, 2, n as u8 + 1], 53)))).collect();
        let sources = BTreeSet::from(["198.51.100.1".parse().unwrap(), "2001:db8::1".parse().unwrap()]);
        let (seed, table) = table(&listeners, &sources).unwrap();
        assert_eq!(table.iter().filter(|entry| entry.kind != 0).count(), 64 + 64 + 2);
        for (index, entry) in table.iter().enumerate().filter(|(_, entry)| entry.kind != 0) {
            assert_eq!(Destination::index(seed, entry.address, entry.port) as usize, index);
        }
    }

    #[test]
    fn a_listener_address_that_is_a_source_too_is_both() {
        let listeners = BTreeMap::from([(0, "192.0.2.1:53".parse().unwrap())]);
        let (_, table) = table(&listeners, &BTreeSet::from(["192.0.2.1".parse().unwrap()])).unwrap();
        let kinds: Vec<_> = table.iter().filter(|entry| entry.port.get() == 0 && entry.kind != 0).collect();
        assert_eq!(kinds.len(), 1);
        assert_eq!(kinds[0].kind, Destination::ADDRESS | Destination::NAT_SOURCE);
    }
}
