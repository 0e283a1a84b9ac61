//! What should happen to a query, found by other people's parsers: etherparse for the headers,
//! hickory-proto for the message and its name.
//!
//! It is slow and simple: all routes are tried, by comparing names.

use std::net::{IpAddr, SocketAddr};

use dproxy_userspace::config::{Config, PatternKind, Target};
use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use hickory_proto::{
    op::{Message, MessageType, OpCode},
    rr::Name,
};

/// Where a well-formed query leads: the target of its route, or nothing for "no route".
pub fn target<'c>(config: &'c Config, name: &Name) -> Option<&'c Target> {
    let mut best: Option<(usize, u8, &Target)> = None;
    for (pattern, target) in &config.routes {
        let wire = [pattern.name.wire(), &[0]].concat();
        let route = name_of(&wire)?;
        let is_same = labels(&route) == labels(name) && route.zone_of(name);
        let (applies, rank) = match pattern.kind {
            PatternKind::Exact => (is_same, 2),
            PatternKind::Wildcard => (route.zone_of(name) && !is_same, 1),
            PatternKind::Subtree => (route.zone_of(name), 0),
        };
        let key = (labels(&route), rank);
        if applies && best.is_none_or(|(labels, rank, _)| key > (labels, rank)) {
            best = Some((key.0, key.1, target));
        }
    }
    best.map(|(_, _, target)| target)
}

/// Labels without the root; `Name::num_labels` leaves out an asterisk.
fn labels(name: &Name) -> usize {
    name.iter().count()
}

/// A name from its wire form.
pub fn name_of(wire: &[u8]) -> Option<Name> {
    use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};
    Name::read(&mut BinDecoder::new(wire)).ok()
}

/// The query name of a frame that the fast path must be able to handle: IP without options, fragments or
/// extension headers, UDP, one question, opcode QUERY, and a message that the library reads to its end.
pub fn question(frame: &[u8]) -> Option<Name> {
    let packet = SlicedPacket::from_ethernet(frame).ok()?;
    match packet.net.as_ref()? {
        NetSlice::Ipv4(ip) if ip.header().ihl() != 5 || ip.is_payload_fragmented() => return None,
        NetSlice::Ipv6(ip) if ip.extensions().first_header().is_some() => return None,
        NetSlice::Ipv4(_) | NetSlice::Ipv6(_) => {}
        NetSlice::Arp(_) => return None,
    }
    let TransportSlice::Udp(udp) = packet.transport? else { return None };
    let message = Message::from_vec(udp.payload()).ok()?;
    let is_query =
        message.metadata.message_type == MessageType::Query && message.metadata.op_code == OpCode::Query;
    match message.queries.as_slice() {
        [query] if is_query => Some(query.name().clone()),
        _ => None,
    }
}

/// Are all checksums of this frame right, computed anew by somebody else? A UDP checksum of 0 over IPv4 is
/// none.
pub fn checksums_are_right(frame: &[u8]) -> bool {
    let Ok(packet) = SlicedPacket::from_ethernet(frame) else { return false };
    let Some(TransportSlice::Udp(udp)) = &packet.transport else { return false };
    let header = udp.to_header();
    match &packet.net {
        Some(NetSlice::Ipv4(ip)) => {
            let ip = ip.header().to_header();
            let udp_is_right = header.checksum == 0
                || header.calc_checksum_ipv4(&ip, udp.payload()).is_ok_and(|sum| sum == header.checksum);
            ip.calc_header_checksum() == ip.header_checksum && udp_is_right
        }
        Some(NetSlice::Ipv6(ip)) => {
            let ip = ip.header().to_header();
            header.checksum != 0
                && header.calc_checksum_ipv6(&ip, udp.payload()).is_ok_and(|sum| sum == header.checksum)
        }
        Some(NetSlice::Arp(_)) | None => false,
    }
}

/// Who sent the UDP datagram in a frame, and its payload.
pub fn datagram(frame: &[u8]) -> Option<(SocketAddr, &[u8])> {
    let packet = SlicedPacket::from_ethernet(frame).ok()?;
    let source: IpAddr = match packet.net.as_ref()? {
        NetSlice::Ipv4(ip) => ip.header().source_addr().into(),
        NetSlice::Ipv6(ip) => ip.header().source_addr().into(),
        NetSlice::Arp(_) => return None,
    };
    let TransportSlice::Udp(udp) = packet.transport? else { return None };
    Some((SocketAddr::new(source, udp.source_port()), udp.payload()))
}
