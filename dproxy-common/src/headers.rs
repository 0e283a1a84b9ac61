//! New headers for a packet: over the old ones, where they fit, else written from its front.

use crate::{
    checksum::{Sum, ipv4_checksum},
    frame::{Frame, Network},
    packet::Packet,
    plan::Headers,
    verifier::forget,
    wire::{
        Address, Be16, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Family, Fragmentation, Ipv4Header, Ipv4Tail,
        Ipv6Header, Ipv6Tail, PROTOCOL_UDP, UdpHeader, VlanHeader, VlanTags,
    },
};

/// Octets in front of the UDP header.
#[inline(always)]
pub const fn length(tags: VlanTags, address: Address) -> usize {
    tags.header_length()
        + match address.family() {
            Family::V4 => 20,
            Family::V6 => 40,
        }
}

/// Do new headers stand where the old ones do? So it is for nearly all packets.
#[inline(always)]
pub fn stay(frame: &Frame, new: &Headers) -> bool {
    let families = (frame.network.destination.family(), new.destination.family());
    frame.link.tags == new.tags && matches!(families, (Family::V4, Family::V4) | (Family::V6, Family::V6))
}

/// Writes over the old headers what differs in the new ones; `udp` is the new UDP header, and `addresses` what a checksum
/// over the addresses changes by. The hop limit sinks by `hops`.
#[inline(always)]
pub fn overwrite<P: Packet>(
    packet: &mut P,
    frame: &Frame,
    new: &Headers,
    (udp, addresses): (UdpHeader, Sum),
    hops: u8,
) -> Option<()> {
    let (network, udp_offset) = (&frame.network, frame.transport_offset as usize);
    packet.store(0, new.macs.copied())?;
    match new.destination.family() {
        Family::V4 => {
            let (source, destination) = (new.source.ipv4_raw(), new.destination.ipv4_raw());
            let old = network.ttl_protocol_checksum;
            // The TTL is the low octet of its word.
            let ttl_protocol = (old & 0xffff) - hops as u32;
            let checksum = Sum::of_checksum((old >> 16) as u16)
                .remove(old & 0xffff)
                .add(ttl_protocol)
                .add_sum(addresses)
                .header_checksum();
            let tail = Ipv4Tail([ttl_protocol | (checksum as u32) << 16, source, destination]);
            packet.store(udp_offset - size_of::<Ipv4Tail>(), tail)?;
        }
        Family::V6 => {
            let at = udp_offset - size_of::<Ipv6Tail>();
            packet.store(at - 1, network.hop_limit - hops)?;
            packet.store(at, Ipv6Tail([new.source, new.destination]))?;
        }
    }
    packet.store(udp_offset, udp)
}

/// What of the IP header is carried over. To the other family only the traffic class is; the new
/// packet is not to be fragmented and so needs no identification (RFC 6864 §4.1).
#[inline(always)]
pub const fn translated(network: &Network, family: Family) -> Network {
    match (network.source.family(), family) {
        (Family::V4, Family::V4) | (Family::V6, Family::V6) => *network,
        (Family::V4, Family::V6) | (Family::V6, Family::V4) => {
            Network { fragmentation: Fragmentation::NEVER, flow_label: 0, ..*network }
        }
    }
}

/// Writes Ethernet, VLAN, IP and UDP headers from the front of the frame; returns where UDP begins.
#[inline(always)]
pub fn write<P: Packet>(
    packet: &mut P,
    headers: &Headers,
    network: &Network,
    udp: UdpHeader,
    memory: &mut u32,
) -> Option<usize> {
    write_link(packet, headers, network.destination.family())?;
    let network_offset = forget(memory, headers.tags.header_length() as u32) as usize;
    let payload_length = udp.length().get();
    let udp_offset = match network.destination.family() {
        Family::V4 => {
            let version_tos = 0x45 | (network.traffic_class as u32) << 8;
            let total_length = Be16::new(20 + payload_length);
            let mut ip = Ipv4Header([
                version_tos | (total_length.raw() as u32) << 16,
                network.fragmentation.0,
                network.hop_limit as u32 | (PROTOCOL_UDP as u32) << 8,
                network.source.ipv4_raw(),
                network.destination.ipv4_raw(),
            ]);
            ip.0[2] |= (ipv4_checksum(&ip) as u32) << 16;
            packet.store(network_offset, ip)?;
            network_offset + 20
        }
        Family::V6 => {
            let ip = Ipv6Header {
                version_class_flow: (6 << 28 | (network.traffic_class as u32) << 20).to_be()
                    | network.flow_label,
                payload_length: Be16::new(payload_length),
                next_header: PROTOCOL_UDP,
                hop_limit: network.hop_limit,
                source: network.source,
                destination: network.destination,
            };
            packet.store(network_offset, ip)?;
            network_offset + 40
        }
    };
    let udp_offset = forget(memory, udp_offset as u32) as usize;
    packet.store(udp_offset, udp)?;
    Some(udp_offset)
}

/// Writes the Ethernet header and VLAN tags.
#[inline(always)]
fn write_link<P: Packet>(packet: &mut P, headers: &Headers, family: Family) -> Option<()> {
    let ethertype = Be16::new(match family {
        Family::V4 => ETHERTYPE_IPV4,
        Family::V6 => ETHERTYPE_IPV6,
    });
    let Headers { tags, macs, .. } = *headers;
    let (first, second) = match tags.header_length() {
        14 => (ethertype, ethertype),
        18 => (tags.outer_tpid, ethertype),
        _ => (tags.outer_tpid, tags.inner_tpid),
    };
    packet.store(0, macs)?;
    packet.store(12, first)?;
    if tags.header_length() >= 18 {
        packet.store(14, VlanHeader { tci: tags.outer_tci, ethertype: second })?;
    }
    if tags.header_length() >= 22 {
        packet.store(18, VlanHeader { tci: tags.inner_tci, ethertype })?;
    }
    Some(())
}
