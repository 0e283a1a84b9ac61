//! From netlink messages to facts.

use std::io;
use std::net::IpAddr;

use dproxy_common::wire::Mac;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::link::{
    InfoData, InfoKind, InfoVlan, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage,
    VlanProtocol,
};
use rtnetlink::packet_route::neighbour::{
    NeighbourAttribute, NeighbourExtFlags, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteLwEnCapType, RouteMessage, RouteNextHop, RouteType,
    RouteVia,
};

use super::super::facts::{Entry, Exit, Link, Route, Standing, Vlan};
use super::super::read;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn vlan_message() -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = 10;
    message.header.link_layer_type = LinkLayerType::Ether;
    message.header.flags = LinkFlags::Up | LinkFlags::LowerUp;
    let data = vec![InfoVlan::Protocol(VlanProtocol::Ieee8021Ad), InfoVlan::Id(200)];
    message.attributes = vec![
        LinkAttribute::IfName("service".to_owned()),
        LinkAttribute::Address(MAC.to_vec()),
        LinkAttribute::Link(2),
        LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Vlan), LinkInfo::Data(InfoData::Vlan(data))]),
    ];
    message
}

#[test]
fn links() {
    let (index, link) = read::link(&vlan_message());
    let expected = Link {
        name: "service".to_owned(),
        kind: Some("vlan".to_owned()),
        mac: Some(Mac::from_octets(MAC)),
        up: true,
        carrier: true,
        vlan: Some(Vlan { parent: Some(2), tpid: 0x88a8, id: 200 }),
        controller: None,
    };
    assert_eq!((index, link), (10, expected));

    let mut elsewhere = vlan_message();
    elsewhere.attributes.push(LinkAttribute::LinkNetNsId(0));
    let (_, link) = read::link(&elsewhere);
    assert_eq!(
        link.vlan,
        Some(Vlan { parent: None, tpid: 0x88a8, id: 200 }),
        "an index of another namespace"
    );

    let mut loopback = vlan_message();
    loopback.header.link_layer_type = LinkLayerType::Loopback;
    assert_eq!(read::link(&loopback).1.mac, None);
}

#[test]
fn neighbours() {
    let usable = Standing::Usable(Mac::from_octets(MAC));
    for (state, standing, ask) in [
        (NeighbourState::Reachable, usable, false),
        (NeighbourState::Stale, usable, true),
        (NeighbourState::Delay, usable, false),
        (NeighbourState::Probe, usable, false),
        (NeighbourState::Permanent, usable, false),
        (NeighbourState::Noarp, usable, false),
        (NeighbourState::Incomplete, Standing::Asked, false),
        (NeighbourState::None, Standing::Asked, true),
        (NeighbourState::Failed, Standing::Silent, true),
    ] {
        let mut message = NeighbourMessage::default();
        message.header.ifindex = 2;
        message.header.state = state;
        message.attributes = vec![
            NeighbourAttribute::Destination(ip("fd00::9").into()),
            NeighbourAttribute::LinkLayerAddress(MAC.to_vec()),
        ];
        let entry = |message: &NeighbourMessage| {
            let (neighbour, entry) = read::neighbour(message).unwrap();
            assert_eq!((neighbour.interface, neighbour.address), (2, ip("fd00::9")));
            entry
        };
        assert_eq!(entry(&message), Entry { standing, ask }, "{state:?}", state = message.header.state);

        let mut learned = message.clone();
        learned.header.flags = NeighbourFlags::ExtLearned;
        assert_eq!(entry(&learned), Entry { standing, ask: false }, "a routing daemon keeps it");

        let mut managed = message;
        managed.attributes.push(NeighbourAttribute::ExtFlags(NeighbourExtFlags::Managed));
        assert_eq!(entry(&managed), Entry { standing, ask: false }, "the kernel keeps it");
    }
    assert_eq!(read::neighbour(&NeighbourMessage::default()), None, "a bridge's");
}

#[test]
fn routes() {
    let mut message = RouteMessage::default();
    message.header.kind = RouteType::Unicast;
    message.attributes = vec![RouteAttribute::Oif(2), RouteAttribute::PrefSource(ip("10.0.0.1").into())];
    let via = |gateway: Option<&str>| Route::Via {
        interface: 2,
        gateway: gateway.map(ip),
        source: Some(ip("10.0.0.1")),
    };
    assert_eq!(read::route(&message), via(None));

    let with = |attribute: RouteAttribute| {
        let mut message = message.clone();
        message.attributes.push(attribute);
        read::route(&message)
    };
    assert_eq!(with(RouteAttribute::Gateway(ip("10.0.0.254").into())), via(Some("10.0.0.254")));
    assert_eq!(with(RouteAttribute::Via(RouteVia::from(ip("fe80::1")))), via(Some("fe80::1")));
    assert_eq!(with(RouteAttribute::EncapType(RouteLwEnCapType::Mpls)), Route::Encapsulated);

    for (kind, expected) in [
        (RouteType::Local, Route::Local),
        (RouteType::Anycast, Route::NotUnicast("an anycast address")),
        (RouteType::BlackHole, Route::Refusing("blackhole")),
        (RouteType::Nat, Route::Unknown("the route is of type 10".to_owned())),
    ] {
        let mut message = message.clone();
        message.header.kind = kind;
        assert_eq!(read::route(&message), expected);
    }
}

#[test]
fn route_errors() {
    for (error, expected) in [
        (libc::ENETUNREACH, Route::Missing),
        (libc::EINVAL, Route::Refusing("blackhole")),
        (libc::EHOSTUNREACH, Route::Refusing("unreachable")),
        (libc::EACCES, Route::Refusing("prohibit")),
        (libc::EOPNOTSUPP, Route::Unknown("Operation not supported (os error 95)".to_owned())),
    ] {
        assert_eq!(read::route_error(&io::Error::from_raw_os_error(error)), expected);
    }
}

#[test]
fn exits() {
    let gateway = || RouteAttribute::Gateway(RouteAddress::Inet("10.0.0.254".parse().unwrap()));
    let hop = |interface_index, attributes| {
        let mut hop = RouteNextHop::default();
        (hop.interface_index, hop.attributes) = (interface_index, attributes);
        RouteAttribute::MultiPath(vec![hop])
    };
    let main = RouteHeader::RT_TABLE_MAIN;
    let read_of = |family, prefix_length, table, kind, attributes: Vec<RouteAttribute>| -> Vec<u32> {
        let mut message = RouteMessage::default();
        message.header.address_family = family;
        message.header.destination_prefix_length = prefix_length;
        (message.header.table, message.header.kind) = (table, kind);
        message.attributes = attributes;
        let exits = read::exits(&message);
        assert!(exits.iter().all(|exit| exit.is_ipv4 == (family == AddressFamily::Inet)));
        exits.into_iter().map(|Exit { interface, .. }| interface).collect()
    };
    let read = |prefix_length, table, kind, attributes| {
        read_of(AddressFamily::Inet, prefix_length, table, kind, attributes)
    };
    let oif = || RouteAttribute::Oif(2);
    assert_eq!(read(24, main, RouteType::Unicast, vec![oif(), gateway()]), [2]);
    assert_eq!(read(24, main, RouteType::Unicast, vec![oif()]), [0; 0], "neighbours");
    assert_eq!(read(0, main, RouteType::Unicast, vec![oif()]), [2], "the default route, without a gateway");
    assert_eq!(read(24, main, RouteType::Unicast, vec![hop(3, vec![gateway()])]), [3], "one of several");
    assert_eq!(read(24, main, RouteType::Unicast, vec![hop(3, vec![])]), [0; 0]);
    for (family, prefix_length, expected) in [
        (AddressFamily::Inet, 1, &[2][..]),
        (AddressFamily::Inet, 7, &[2]),
        (AddressFamily::Inet, 8, &[]),
        (AddressFamily::Inet6, 3, &[2]),
        (AddressFamily::Inet6, 15, &[2]),
        (AddressFamily::Inet6, 16, &[]),
    ] {
        let exits = read_of(family, prefix_length, main, RouteType::Unicast, vec![oif()]);
        assert_eq!(exits, expected, "{family:?} /{prefix_length} without a gateway");
    }
    assert_eq!(read(24, 100, RouteType::Unicast, vec![oif(), gateway()]), [2], "a rule may choose it");
    let groups = RouteAttribute::Destination(ip("224.0.0.0").into());
    assert_eq!(read(4, main, RouteType::Unicast, vec![oif(), groups]), [0; 0], "multicast");
    assert_eq!(read(24, main, RouteType::BlackHole, vec![oif(), gateway()]), [0; 0], "leads nowhere");
}
