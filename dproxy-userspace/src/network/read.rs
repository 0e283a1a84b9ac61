//! From netlink messages to facts. Pure.

use std::io;
use std::net::IpAddr;

use dproxy_common::wire::Mac;
use rtnetlink::packet_route::{
    AddressFamily,
    link::{InfoData, InfoKind, InfoVlan, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage},
    neighbour::{
        NeighbourAddress, NeighbourAttribute, NeighbourExtFlags, NeighbourFlags, NeighbourMessage,
        NeighbourState,
    },
    route::{RouteAddress, RouteAttribute, RouteMessage, RouteType, RouteVia},
};

use super::facts::{Entry, Exit, Link, Neighbour, Route, Standing, Vlan};

/// The value of the first attribute that the pattern fits.
macro_rules! attribute {
    ($attributes:expr, $pattern:pat => $value:expr) => {
        $attributes.iter().find_map(|attribute| if let $pattern = attribute { Some($value) } else { None })
    };
}

/// The IP address in the first attribute of a kind.
macro_rules! ip {
    ($attributes:expr, $attribute:path, $address:ident) => {
        attribute!($attributes, $attribute($address::Inet(v4)) => IpAddr::V4(*v4))
            .or_else(|| attribute!($attributes, $attribute($address::Inet6(v6)) => IpAddr::V6(*v6)))
    };
}

/// An interface and its index.
pub(super) fn link(message: &LinkMessage) -> (u32, Link) {
    let LinkMessage { header, attributes, .. } = message;
    let info = attribute!(attributes, LinkAttribute::LinkInfo(info) => info.as_slice()).unwrap_or_default();
    let kind: Option<&InfoKind> = attribute!(info, LinkInfo::Kind(kind) => kind);
    let address = attribute!(attributes, LinkAttribute::Address(address) => address.as_slice());
    let link = Link {
        name: attribute!(attributes, LinkAttribute::IfName(name) => name.clone()).unwrap_or_default(),
        kind: kind.map(InfoKind::to_string),
        mac: address.filter(|_| header.link_layer_type == LinkLayerType::Ether).and_then(mac),
        up: header.flags.contains(LinkFlags::Up),
        carrier: header.flags.contains(LinkFlags::LowerUp),
        vlan: vlan(attributes, info),
        controller: attribute!(attributes, LinkAttribute::Controller(index) => *index),
    };
    (header.index, link)
}

fn vlan(attributes: &[LinkAttribute], info: &[LinkInfo]) -> Option<Vlan> {
    let data = attribute!(info, LinkInfo::Data(InfoData::Vlan(data)) => data)?;
    // The parent's index is one of another namespace, if its namespace is named.
    let elsewhere = attribute!(attributes, LinkAttribute::LinkNetNsId(_) => ()).is_some();
    let parent = attribute!(attributes, LinkAttribute::Link(index) => *index);
    Some(Vlan {
        parent: parent.filter(|_| !elsewhere),
        tpid: attribute!(data, InfoVlan::Protocol(protocol) => *protocol).unwrap_or_default().into(),
        id: attribute!(data, InfoVlan::Id(id) => *id)?,
    })
}

/// Who is meant by a neighbour's entry, and what it says; `None` for entries of other families, such as a
/// bridge's table of addresses.
pub(super) fn neighbour(message: &NeighbourMessage) -> Option<(Neighbour, Entry)> {
    let NeighbourMessage { header, attributes, .. } = message;
    let address = ip!(attributes, NeighbourAttribute::Destination, NeighbourAddress)?;
    let bytes = attribute!(attributes, NeighbourAttribute::LinkLayerAddress(bytes) => bytes.as_slice());
    let standing = match (&header.state, bytes.and_then(mac)) {
        (NeighbourState::Incomplete | NeighbourState::None, _) => Standing::Asked,
        (NeighbourState::Failed, _) | (_, None) => Standing::Silent,
        (_, Some(mac)) => Standing::Usable(mac),
    };
    let due = matches!(header.state, NeighbourState::Stale | NeighbourState::Failed | NeighbourState::None);
    let marks = attribute!(attributes, NeighbourAttribute::ExtFlags(flags) => *flags).unwrap_or_default();
    // To ask would take these marks off the entry; whoever set them keeps it fresh.
    let theirs =
        marks.contains(NeighbourExtFlags::Managed) || header.flags.contains(NeighbourFlags::ExtLearned);
    Some((Neighbour { interface: header.ifindex, address }, Entry { standing, ask: due && !theirs }))
}

/// The kernel's answer to RTM_GETROUTE.
pub(super) fn route(message: &RouteMessage) -> Route {
    let RouteMessage { header, attributes, .. } = message;
    if let Some(refusal) = refusal(header.kind) {
        return refusal;
    }
    if attribute!(attributes, RouteAttribute::EncapType(_) => ()).is_some() {
        return Route::Encapsulated;
    }
    let gateway = ip!(attributes, RouteAttribute::Gateway, RouteAddress);
    // An IPv4 route by an IPv6 gateway (RFC 8950) has the gateway in another attribute.
    let gateway = gateway.or_else(|| ip!(attributes, RouteAttribute::Via, RouteVia));
    let source = ip!(attributes, RouteAttribute::PrefSource, RouteAddress);
    match attribute!(attributes, RouteAttribute::Oif(index) => *index) {
        Some(interface) => Route::Via { interface, gateway, source },
        None => Route::Unknown("its answer names no interface".to_owned()),
    }
}

/// The interfaces by which a route leaves for hosts that are not neighbours, whatever its table: rules may
/// choose any, by the source address above all.
pub(super) fn exits(message: &RouteMessage) -> Vec<Exit> {
    let RouteMessage { header, attributes, .. } = message;
    // Routes to multicast groups may well be of type unicast.
    let destination = ip!(attributes, RouteAttribute::Destination, RouteAddress);
    if header.kind != RouteType::Unicast || destination.is_some_and(|to| to.is_multicast()) {
        return Vec::new();
    }
    let is_ipv4 = header.address_family == AddressFamily::Inet;
    let is_wide = header.destination_prefix_length < if is_ipv4 { WIDEST_LINK_V4 } else { WIDEST_LINK_V6 };
    let leaves = |attributes: &[RouteAttribute]| {
        is_wide || attribute!(attributes, RouteAttribute::Gateway(_) | RouteAttribute::Via(_) => ()).is_some()
    };
    let only = attribute!(attributes, RouteAttribute::Oif(index) => *index).filter(|_| leaves(attributes));
    let hops = attribute!(attributes, RouteAttribute::MultiPath(hops) => hops.as_slice()).unwrap_or_default();
    let hops = hops.iter().filter(|hop| leaves(&hop.attributes));
    let interfaces = only.into_iter().chain(hops.map(|hop| hop.interface_index));
    interfaces.map(|interface| Exit { is_ipv4, interface }).collect()
}

/// The shortest prefix of a route without a gateway that leads to neighbours: theirs is the interface that
/// their queries come in by. 10.0.0.0/8 is the largest network that may be one link; what is wider, such as
/// the halves of a default route, leads through a tunnel to everybody.
const WIDEST_LINK_V4: u8 = 8;
/// The same for IPv6, where nobody is assigned as much.
const WIDEST_LINK_V6: u8 = 16;

/// What a route is instead of unicast.
fn refusal(kind: RouteType) -> Option<Route> {
    Some(match kind.into() {
        libc::RTN_UNICAST => return None,
        libc::RTN_LOCAL => Route::Local,
        libc::RTN_BROADCAST => Route::NotUnicast("a broadcast address"),
        libc::RTN_MULTICAST => Route::NotUnicast("a multicast address"),
        libc::RTN_ANYCAST => Route::NotUnicast("an anycast address"),
        libc::RTN_BLACKHOLE => Route::Refusing("blackhole"),
        libc::RTN_UNREACHABLE => Route::Refusing("unreachable"),
        libc::RTN_PROHIBIT => Route::Refusing("prohibit"),
        other => Route::Unknown(format!("the route is of type {other}")),
    })
}

/// The kernel's refusal to answer RTM_GETROUTE: it looks the route up as if for a packet, and returns what
/// the packet would have died of.
pub(super) fn route_error(error: &io::Error) -> Route {
    match error.raw_os_error() {
        Some(libc::ENETUNREACH) => Route::Missing,
        Some(libc::EINVAL) => Route::Refusing("blackhole"),
        Some(libc::EHOSTUNREACH) => Route::Refusing("unreachable"),
        Some(libc::EACCES) => Route::Refusing("prohibit"),
        _ => Route::Unknown(error.to_string()),
    }
}

fn mac(bytes: &[u8]) -> Option<Mac> {
    bytes.try_into().ok().map(Mac::from_octets)
}
