//! New headers for a packet, written from its front.

use crate::{
    checksum::ipv4_checksum,
    frame::Network,
    packet::Packet,
    plan::Headers,
    verifier::forget,
    wire::{
        Address, Be16, ETHERTYPE_IPV4, ETHERTYPE_IPV6, EthernetHeader, Family, IPV4_DONT_FRAGMENT,
        Ipv4Header, Ipv6Header, PROTOCOL_UDP, UdpHeader, VlanHeader, VlanTags,
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

/// What of the IP header is carried over. To the other family only the traffic class is; the new
/// packet is not to be fragmented and so needs no identification (RFC 6864 §4.1).
#[inline(always)]
pub const fn translated(network: &Network, family: Family) -> Network {
    match (network.source.family(), family) {
        (Family::V4, Family::V4) | (Family::V6, Family::V6) => *network,
        (Family::V4, Family::V6) | (Family::V6, Family::V4) => Network {
            identification: Be16::new(0),
            fragment: Be16::new(IPV4_DONT_FRAGMENT),
            flow_label: 0,
            ..*network
        },
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
    let payload_length = udp.length.get();
    let udp_offset = match network.destination.family() {
        Family::V4 => {
            let mut ip = Ipv4Header {
                version_ihl: 0x45,
                tos: network.traffic_class,
                total_length: Be16::new(20 + payload_length),
                identification: network.identification,
                fragment: network.fragment,
                ttl: network.hop_limit,
                protocol: PROTOCOL_UDP,
                checksum: 0,
                source: network.source.ipv4_raw(),
                destination: network.destination.ipv4_raw(),
            };
            ip.checksum = ipv4_checksum(&ip);
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
    let Headers { tags, destination_mac: destination, source_mac: source, .. } = *headers;
    let (first, second) = match tags.header_length() {
        14 => (ethertype, ethertype),
        18 => (tags.outer_tpid, ethertype),
        _ => (tags.outer_tpid, tags.inner_tpid),
    };
    packet.store(0, EthernetHeader { destination, source, ethertype: first })?;
    if tags.header_length() >= 18 {
        packet.store(14, VlanHeader { tci: tags.outer_tci, ethertype: second })?;
    }
    if tags.header_length() >= 22 {
        packet.store(18, VlanHeader { tci: tags.inner_tci, ethertype })?;
    }
    Some(())
}
