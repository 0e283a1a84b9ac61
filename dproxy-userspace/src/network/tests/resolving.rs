//! From facts to resolutions.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;

use dproxy_common::wire::Mac;

use super::super::facts::{Entry, Exit, Facts, Link, Neighbour, Route, Standing, Vlan};
use super::super::{Bypass, Resolution, Why};

const LO: u32 = 1;
const ETH1: u32 = 2;
const ETH2: u32 = 3;
const DOWN: u32 = 4;
const UNPLUGGED: u32 = 5;
const TUN: u32 = 6;
const BRIDGE: u32 = 7;
const PORT: u32 = 8;
/// VLAN 100 of eth1.
const VLAN: u32 = 10;
/// Service VLAN 200 of eth1.
const SERVICE: u32 = 11;
/// VLAN 7 of the service VLAN.
const CUSTOMER: u32 = 12;
/// A VLAN in that, for the third tag.
const THIRD: u32 = 13;
/// A VLAN of an interface in another network namespace.
const ORPHAN: u32 = 14;

fn mac(last: u8) -> Mac {
    Mac::from_octets([2, 0, 0, 0, 0, last])
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// An interface whose MAC address ends in its index.
fn link(index: u32, name: &str) -> (u32, Link) {
    let link = Link {
        name: name.to_owned(),
        kind: None,
        mac: Some(mac(u8::try_from(index).unwrap())),
        up: true,
        carrier: true,
        vlan: None,
        controller: None,
    };
    (index, link)
}

fn vlan(index: u32, name: &str, parent: Option<u32>, tpid: u16, id: u16) -> (u32, Link) {
    let (index, link) = link(index, name);
    (index, Link { kind: Some("vlan".to_owned()), vlan: Some(Vlan { parent, tpid, id }), ..link })
}

fn links() -> BTreeMap<u32, Link> {
    let change = |(index, link): (u32, Link), change: fn(Link) -> Link| (index, change(link));
    BTreeMap::from([
        change(link(LO, "lo"), |link| Link { mac: None, ..link }),
        link(ETH1, "eth1"),
        link(ETH2, "eth2"),
        change(link(DOWN, "eth3"), |link| Link { up: false, carrier: false, ..link }),
        change(link(UNPLUGGED, "eth4"), |link| Link { carrier: false, ..link }),
        change(link(TUN, "tun0"), |link| Link { mac: None, ..link }),
        change(link(BRIDGE, "br0"), |link| Link { kind: Some("bridge".to_owned()), ..link }),
        change(link(PORT, "eth5"), |link| Link { controller: Some(BRIDGE), ..link }),
        vlan(VLAN, "eth1.100", Some(ETH1), 0x8100, 100),
        vlan(SERVICE, "service", Some(ETH1), 0x88a8, 200),
        vlan(CUSTOMER, "customer", Some(SERVICE), 0x8100, 7),
        vlan(THIRD, "third", Some(CUSTOMER), 0x8100, 8),
        vlan(ORPHAN, "orphan", None, 0x8100, 9),
    ])
}

/// A route out of an interface, with a source address.
fn via(interface: u32, gateway: Option<&str>) -> Route {
    Route::Via { interface, gateway: gateway.map(ip), source: Some(ip("10.0.0.1")) }
}

fn entry(standing: Standing) -> Entry {
    Entry { standing, ask: false }
}

/// The verdict for 10.0.0.9 with this route, if everybody has the MAC address 02:00:00:00:00:99.
fn judge(route: Route, attached: &[u32]) -> String {
    let to = ip("10.0.0.9");
    let neighbours = [to, ip("10.0.0.254"), ip("fe80::254")];
    let links = links();
    let on_link = |&interface: &u32| neighbours.map(|address| Neighbour { interface, address });
    let everybody = links.keys().flat_map(on_link).map(|who| (who, entry(Standing::Usable(mac(0x99)))));
    let routes = [(to, route)].into();
    let facts = Facts { neighbours: everybody.collect(), routes, links, ..Facts::default() };
    show(&facts.verdict(to, attached).resolution)
}

fn show(resolution: &Resolution) -> String {
    match resolution {
        Resolution::Reachable(hop) => {
            let tags = hop.tags;
            let [outer, inner] =
                [(tags.outer_tpid, tags.outer_tci), (tags.inner_tpid, tags.inner_tci)].map(|(tpid, tci)| {
                    if tpid.get() == 0 { String::new() } else { format!(" {:x}:{}", tpid.get(), tci.get()) }
                });
            let (source_mac, destination_mac) =
                (hop.macs.source().octets()[5], hop.macs.destination().octets()[5]);
            format!(
                "interface {}{outer}{inner} from {:?} {source_mac:x} to {destination_mac:x}",
                hop.interface, hop.source
            )
        }
        Resolution::Unreachable(why) => why.to_string(),
    }
}

#[test]
fn where_frames_go() {
    let cases: [(&str, Route, &[u32], &str); 17] = [
        ("on-link", via(ETH1, None), &[ETH1], "interface 2 from 10.0.0.1 2 to 99"),
        ("by a gateway", via(ETH1, Some("10.0.0.254")), &[ETH1], "interface 2 from 10.0.0.1 2 to 99"),
        ("by an IPv6 gateway", via(ETH1, Some("fe80::254")), &[ETH1], "interface 2 from 10.0.0.1 2 to 99"),
        ("by the second of two", via(ETH2, None), &[ETH1, ETH2], "interface 3 from 10.0.0.1 3 to 99"),
        ("by a bridge", via(BRIDGE, None), &[BRIDGE], "interface 7 from 10.0.0.1 7 to 99"),
        ("VLAN", via(VLAN, None), &[ETH1], "interface 2 8100:100 from 10.0.0.1 a to 99"),
        ("service VLAN", via(SERVICE, None), &[ETH1], "interface 2 88a8:200 from 10.0.0.1 b to 99"),
        ("QinQ", via(CUSTOMER, None), &[ETH1], "interface 2 88a8:200 8100:7 from 10.0.0.1 c to 99"),
        (
            "QinQ, on the VLAN device",
            via(CUSTOMER, None),
            &[SERVICE],
            "interface 11 8100:7 from 10.0.0.1 c to 99",
        ),
        ("on the VLAN device itself", via(VLAN, None), &[VLAN], "interface 10 from 10.0.0.1 a to 99"),
        ("on both", via(VLAN, None), &[VLAN, ETH1], "interface 2 8100:100 from 10.0.0.1 a to 99"),
        (
            "three tags, two of them ours",
            via(THIRD, None),
            &[ETH1, SERVICE],
            "interface 11 8100:7 8100:8 from 10.0.0.1 d to 99",
        ),
        (
            "three tags",
            via(THIRD, None),
            &[ETH1],
            "its route leaves by third, whose frames have more than two VLAN tags",
        ),
        ("down", via(DOWN, None), &[DOWN], "interface eth3 is down"),
        ("no carrier", via(UNPLUGGED, None), &[UNPLUGGED], "interface eth4 has no carrier"),
        ("no Ethernet", via(TUN, None), &[TUN], "interface tun0 has no Ethernet address"),
        (
            "gone",
            via(77, None),
            &[ETH1],
            "its route leaves by interface number 77, which the kernel does not list",
        ),
    ];
    for (case, route, attached, expected) in cases {
        assert_eq!(judge(route, attached), expected, "{case}");
    }
}

#[test]
fn interfaces_that_are_not_ours() {
    for (interface, description) in [
        (ETH2, "eth2"),
        (LO, "lo"),
        (VLAN, "eth1.100 (VLAN 100 of eth1)"),
        (CUSTOMER, "customer (VLAN 7 of service (VLAN 200 of eth1))"),
        (ORPHAN, "orphan (VLAN 9 of an interface in another network namespace)"),
        (BRIDGE, "br0 (bridge of eth5)"),
    ] {
        let expected = format!("its route leaves by {description}, which is not among listen.interfaces");
        assert_eq!(judge(via(interface, None), &[PORT]), expected);
    }
}

#[test]
fn routes_that_lead_nowhere() {
    for (route, attached, expected) in [
        (Route::Missing, [ETH1].as_slice(), "no route to 10.0.0.9"),
        (Route::Missing, &[ETH1, DOWN], "no route to 10.0.0.9 (interface eth3 is down)"),
        (Route::Refusing("blackhole"), &[ETH1], "the route to 10.0.0.9 is of type blackhole"),
        (Route::Local, &[ETH1], "10.0.0.9 is an address of this host"),
        (
            Route::NotUnicast("a broadcast address"),
            &[ETH1],
            "10.0.0.9 is a broadcast address, not that of one host",
        ),
        (
            Route::Encapsulated,
            &[ETH1],
            "the route to 10.0.0.9 encapsulates packets, which the fast path does not",
        ),
        (Route::Unknown("odd".to_owned()), &[ETH1], "the kernel does not say how it routes to 10.0.0.9: odd"),
    ] {
        assert_eq!(judge(route, attached), expected);
    }
}

#[test]
fn sources() {
    let no_source = "no address of this host can be the source towards 10.0.0.9: give eth1 one";
    for (case, gateway, source, expected) in [
        ("none", None, None, no_source),
        (
            "a link-local one to a neighbour",
            None,
            Some("169.254.0.1"),
            "interface 2 from 169.254.0.1 2 to 99",
        ),
        ("a link-local one to a gateway", Some("10.0.0.254"), Some("169.254.0.1"), no_source),
        ("of IPv6 likewise", Some("fe80::254"), Some("fe80::1"), no_source),
    ] {
        let route = Route::Via { interface: ETH1, gateway: gateway.map(ip), source: source.map(ip) };
        assert_eq!(judge(route, &[ETH1]), expected, "{case}");
    }
}

#[test]
fn neighbours() {
    let gateway = Neighbour { interface: ETH1, address: ip("10.0.0.254") };
    let usable = "interface 2 from 10.0.0.1 2 to 99";
    let asked = "neighbour 10.0.0.254 on eth1 is being asked for its MAC address";
    let silent = "neighbour 10.0.0.254 on eth1 does not answer (FAILED)";
    let usable_entry = Standing::Usable(mac(0x99));
    for (case, entry, expected, ask) in [
        ("unknown", None, asked, true),
        ("being asked", Some(Entry { standing: Standing::Asked, ask: false }), asked, false),
        ("silent", Some(Entry { standing: Standing::Silent, ask: true }), silent, true),
        ("confirmed", Some(Entry { standing: usable_entry, ask: false }), usable, false),
        ("stale", Some(Entry { standing: usable_entry, ask: true }), usable, true),
    ] {
        let to = ip("192.0.2.1");
        let facts = Facts {
            links: links(),
            neighbours: entry.map(|entry| (gateway, entry)).into_iter().collect(),
            routes: [(to, via(ETH1, Some("10.0.0.254")))].into(),
            ..Facts::default()
        };
        let verdict = facts.verdict(to, &[ETH1]);
        assert_eq!(show(&verdict.resolution), expected, "{case}");
        assert_eq!(verdict.ask, ask.then_some(gateway), "{case}");
        assert_eq!(facts.verdict(to, &[ETH2]).ask, None, "{case}: not asked when it would not help");
    }
}

#[test]
fn ways_past_the_fast_path() {
    let bypass = |exits: &[(bool, u32)], attached: &[u32]| {
        let exits = exits.iter().map(|&(is_ipv4, interface)| Exit { is_ipv4, interface });
        let Bypass { v4, v6 } =
            Facts { links: links(), exits: exits.collect(), ..Facts::default() }.bypass(attached);
        [v4, v6].map(|interface| interface.unwrap_or_else(|| "none".to_owned()))
    };
    for (exits, attached, expected) in [
        (&[][..], &[ETH1][..], ["none", "none"]),
        (&[(true, ETH1), (false, ETH1)], &[ETH1], ["none", "none"]),
        (&[(true, ETH1), (false, ETH1)], &[ETH2], ["eth1", "eth1"]),
        (&[(true, ETH1), (true, ETH2), (false, ETH1)], &[ETH1], ["eth2", "none"]),
        (&[(true, ETH1), (false, ETH2)], &[ETH1, ETH2], ["none", "none"]),
        (&[(true, VLAN), (false, CUSTOMER)], &[ETH1], ["none", "none"]),
        (&[(true, VLAN)], &[VLAN], ["none", "none"]),
        (&[(true, ETH1)], &[VLAN], ["eth1", "none"]),
        (&[(true, BRIDGE)], &[PORT], ["br0 (bridge of eth5)", "none"]),
        (
            &[(true, ORPHAN)],
            &[ETH1],
            ["orphan (VLAN 9 of an interface in another network namespace)", "none"],
        ),
        (&[(false, 77)], &[ETH1], ["none", "interface number 77"]),
    ] {
        assert_eq!(bypass(exits, attached), expected, "{exits:?} with {attached:?}");
    }
}

#[test]
fn when_the_kernel_refuses_to_ask() {
    let silent = |address: &str| {
        Resolution::Unreachable(Why::Silent { neighbour: ip(address), interface: "eth1".to_owned() })
    };
    for (address, error, expected) in [
        (
            "10.0.0.9",
            libc::ENOBUFS,
            "No buffer space available (os error 105); raise net.ipv4.neigh.default.gc_thresh3",
        ),
        (
            "fd00::9",
            libc::ENOBUFS,
            "No buffer space available (os error 105); raise net.ipv6.neigh.default.gc_thresh3",
        ),
        ("10.0.0.9", libc::EPERM, "Operation not permitted (os error 1); run dproxy as root"),
        ("10.0.0.9", libc::ENODEV, "No such device (os error 19)"),
    ] {
        let resolution = silent(address).although_not_asked(&io::Error::from_raw_os_error(error));
        let expected = format!("the kernel cannot ask for neighbour {address} on eth1: {expected}");
        assert_eq!(show(&resolution), expected);
    }
}
