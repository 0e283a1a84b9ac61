//! Rules for `[listen]`.

use std::collections::HashMap;
use std::net::SocketAddr;

use crate::config::address::Special;
use crate::config::model::{Config, Listen};
use crate::config::port_range::PortRange;
use crate::config::problem::{Place, Problem};
use crate::config::words::XdpMode;

/// Most listeners.
pub const MAX_LISTENERS: usize = 64;
/// The name that every network namespace has for it.
const LOOPBACK: &str = "lo";
/// Longest name of an interface, in octets (IFNAMSIZ less the final zero, netdevice(7)).
const MAX_INTERFACE_NAME: usize = 15;

/// What [`Listen::edns_udp_size`] may be.
pub(in crate::config) const EDNS_UDP_SIZE: &str = "512 to 4096, or \"off\"";

pub(super) fn check(config: &Config, found: &mut Vec<Problem>) {
    let Listen { interfaces, addresses, xdp, edns_udp_size } = &config.listen;
    check_interfaces(interfaces, *xdp, found);
    check_number(addresses.len(), found);
    let mut first = HashMap::new();
    for (index, &address) in addresses.iter().enumerate() {
        let place = Place::Listener(index, address);
        match first.get(&address) {
            None => {
                check_listener(&place, address, found);
                if *xdp != XdpMode::Off {
                    check_port(&place, address, config.fast_path.nat_ports, found);
                }
            }
            Some(&first) => found.push(
                Problem::new(place.clone(), "is listed twice", "each listener once")
                    .against(Place::Listener(first, address)),
            ),
        }
        first.entry(address).or_insert(index);
    }
    if let Some(size) = edns_udp_size.filter(|size| !(512..=4096).contains(size)) {
        found.push(Problem::new(Place::EdnsUdpSize, format!("is {size}"), EDNS_UDP_SIZE));
    }
}

/// Without a fast path, interfaces mean nothing; but they may stand there, so that it takes one word to
/// switch it off and on.
fn check_interfaces(interfaces: &[String], xdp: XdpMode, found: &mut Vec<Problem>) {
    if interfaces.is_empty() && xdp != XdpMode::Off {
        found.push(Problem::new(
            Place::Interfaces,
            "names no interface",
            "the interfaces that queries and replies arrive on: [\"eth0\"]; none is needed with xdp = \"off\"",
        ));
    }
    let mut first = HashMap::new();
    for (index, name) in interfaces.iter().enumerate() {
        let place = Place::Interface(index, name.clone());
        if let Some(&first) = first.get(name) {
            found.push(
                Problem::new(place, "is listed twice", "each interface once")
                    .against(Place::Interface(first, name.clone())),
            );
            continue;
        }
        first.insert(name, index);
        if name == LOOPBACK && xdp != XdpMode::Off {
            let allowed = "interfaces of packets from other hosts; clients on this one are served without";
            found.push(Problem::new(place, "is the loopback interface", allowed));
        } else if name.len() > MAX_INTERFACE_NAME {
            let says = format!("has a name of {} octets", name.len());
            found.push(Problem::new(place, says, format!("1 to {MAX_INTERFACE_NAME} octets")));
        } else if !could_be_an_interface(name) {
            let allowed = "the name of an interface, as `ip link` shows it";
            found.push(Problem::new(place, "cannot exist", allowed));
        }
    }
}

/// What Linux takes as the name of an interface (`dev_valid_name`), its length aside.
fn could_be_an_interface(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && !name.contains(|character: char| matches!(character, '/' | ':') || character.is_ascii_whitespace())
}

fn check_number(listeners: usize, found: &mut Vec<Problem>) {
    if listeners == 0 {
        found.push(Problem::new(
            Place::Listeners,
            "names no address",
            "the addresses that clients query: [\"192.0.2.53\", \"[2001:db8::53]:53\"]",
        ));
    }
    if listeners > MAX_LISTENERS {
        found.push(Problem::new(
            Place::Listeners,
            format!("has {listeners} addresses"),
            format!("at most {MAX_LISTENERS}"),
        ));
    }
}

fn check_listener(place: &Place, address: SocketAddr, found: &mut Vec<Problem>) {
    let mut refuse = |says: String, allowed: &str| {
        found.push(Problem::new(place.clone(), says, allowed));
    };
    match Special::of(address.ip()) {
        // XDP sees no packets on the loopback interface; the slow path does.
        None | Some(Special::LinkLocal | Special::Loopback) => {}
        Some(Special::Unspecified) => refuse(
            "stands for every address of this host, but both paths must know which packets are for it".into(),
            "the addresses themselves, each one listed",
        ),
        Some(Special::Multicast) => refuse("is a multicast address".into(), "a unicast address"),
        Some(Special::Broadcast) => refuse("is the broadcast address".into(), "a unicast address"),
        Some(Special::V4Mapped(v4)) => refuse(
            "is an IPv4 address in IPv6 form, which no packet carries".into(),
            &format!("the IPv4 address: {}", SocketAddr::new(v4.into(), address.port())),
        ),
    }
    if address.port() == 0 {
        refuse("has port 0".into(), "port 1 to 65535");
    }
}

fn check_port(place: &Place, address: SocketAddr, nat_ports: PortRange, found: &mut Vec<Problem>) {
    if nat_ports.contains(address.port()) {
        found.push(
            Problem::new(
                place.clone(),
                format!("has a port within fast_path.nat_ports, {nat_ports}, where replies arrive"),
                "a port outside that range",
            )
            .against(Place::NatPorts),
        );
    }
}
