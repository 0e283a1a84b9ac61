//! Ethernet, VLAN, IP and UDP: what a frame is, without judging it.

use crate::{
    checksum::ipv4_is_intact,
    packet::Packet,
    reason::Reason,
    verifier,
    wire::{
        Address, Be16, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Family, Fragmentation, IPV4_FRAGMENT_MASK, Ipv4Header,
        Ipv6Header, Mac, Macs, PROTOCOL_FRAGMENT, PROTOCOL_TCP, PROTOCOL_UDP, UdpHeader, VlanHeader,
        VlanTags, is_vlan,
    },
};

/// The transport protocol of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
}

/// What keeps the fast path from reading further than the IP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// A fragment, first or other.
    Fragment,
    /// An IPv6 extension header.
    ExtensionHeader,
}

/// What of an IP header does not change when addresses do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Source address.
    pub source: Address,
    /// Destination address.
    pub destination: Address,
    /// TTL or hop limit.
    pub hop_limit: u8,
    /// TOS or traffic class.
    pub traffic_class: u8,
    /// IPv4 TTL, protocol and checksum; 0 for IPv6.
    pub ttl_protocol_checksum: u32,
    /// IPv4 identification, flags and fragment offset; 0 for IPv6.
    pub fragmentation: Fragmentation,
    /// IPv6 flow label, raw, as the low 20 bits stand in the header's first word; 0 for IPv4.
    pub flow_label: u32,
}

/// The link-layer head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Receiver and sender.
    pub macs: Macs,
    /// VLAN tags behind it.
    pub tags: VlanTags,
}

/// A frame that holds IP, as far as its first eight transport octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Link layer.
    pub link: Link,
    /// Network layer.
    pub network: Network,
    /// Why nothing behind `network` means anything, if so.
    pub obstacle: Option<Obstacle>,
    /// Which protocol `udp` belongs to.
    pub transport: Transport,
    /// The UDP header; of TCP only the ports mean anything.
    pub udp: UdpHeader,
    /// Where the UDP header begins.
    pub transport_offset: u32,
    /// Octets of the IP payload, according to the IP header.
    pub payload_length: u32,
    /// Does the IPv4 header have options?
    pub has_options: bool,
    /// Does the IP header contradict itself or the frame? (IPv4 checksum, lengths.)
    pub header_fault: Option<Reason>,
}

impl Frame {
    /// Before anything is known.
    pub const EMPTY: Self = Self {
        link: Link {
            macs: Macs::new(Mac::from_octets([0; 6]), Mac::from_octets([0; 6])),
            tags: VlanTags::NONE,
        },
        network: Network {
            source: Address { high: 0, low: 0 },
            destination: Address { high: 0, low: 0 },
            hop_limit: 0,
            traffic_class: 0,
            ttl_protocol_checksum: 0,
            fragmentation: Fragmentation(0),
            flow_label: 0,
        },
        obstacle: None,
        transport: Transport::Udp,
        udp: UdpHeader::new(Be16::new(0), Be16::new(0), Be16::new(0), 0),
        transport_offset: 0,
        payload_length: 0,
        has_options: false,
        header_fault: None,
    };
}

/// Reads a packet's headers. What is not IP with readable ports is a reason to pass, except for
/// obstacles, which concern us if the address is ours.
#[inline(always)]
pub fn parse<P: Packet>(packet: &P, frame: &mut Frame) -> Result<(), Reason> {
    let macs: Macs = packet.load(0).ok_or(Reason::NotIp)?;
    let mut tags = VlanTags::NONE;
    let mut ethertype: Be16 = packet.load(12).ok_or(Reason::NotIp)?;
    let mut offset = 14;
    if is_vlan(ethertype.get()) {
        let vlan: VlanHeader = packet.load(14).ok_or(Reason::NotIp)?;
        tags.outer_tpid = ethertype;
        tags.outer_tci = vlan.tci;
        ethertype = vlan.ethertype;
        offset = 18;
        if is_vlan(ethertype.get()) {
            let vlan: VlanHeader = packet.load(18).ok_or(Reason::NotIp)?;
            tags.inner_tpid = ethertype;
            tags.inner_tci = vlan.tci;
            ethertype = vlan.ethertype;
            offset = 22;
        }
    }
    frame.link = Link { macs, tags };
    match ethertype.get() {
        ETHERTYPE_IPV4 => parse_ipv4(packet, frame, offset),
        ETHERTYPE_IPV6 => parse_ipv6(packet, frame, offset),
        _ => Err(Reason::NotIp),
    }
}

#[inline(always)]
fn parse_ipv4<P: Packet>(packet: &P, frame: &mut Frame, offset: usize) -> Result<(), Reason> {
    let ip: Ipv4Header = packet.load(offset).ok_or(Reason::NotIp)?;
    let header_length = ((ip.version_ihl() & 0x0f) as usize) * 4;
    if ip.version_ihl() >> 4 != 4 || header_length < 20 {
        return Err(Reason::NotIp);
    }
    frame.network = Network {
        source: Address::from_ipv4_raw(ip.source()),
        destination: Address::from_ipv4_raw(ip.destination()),
        hop_limit: ip.ttl(),
        traffic_class: ip.tos(),
        ttl_protocol_checksum: ip.ttl_protocol_checksum(),
        fragmentation: ip.fragmentation(),
        flow_label: 0,
    };
    if ip.fragmentation().flags() & IPV4_FRAGMENT_MASK != 0 {
        frame.obstacle = Some(Obstacle::Fragment);
        return Ok(());
    }
    let total = ip.total_length().get() as usize;
    frame.has_options = header_length != 20;
    let fault = if total < header_length + 8 || offset + total > packet.length() {
        Some(Reason::BadLength)
    } else if !frame.has_options && !ipv4_is_intact(&ip) {
        Some(Reason::BadIpChecksum)
    } else {
        None
    };
    let payload_length = total.wrapping_sub(header_length);
    parse_transport(packet, frame, ip.protocol(), offset + header_length, payload_length, fault)
}

#[inline(always)]
fn parse_ipv6<P: Packet>(packet: &P, frame: &mut Frame, offset: usize) -> Result<(), Reason> {
    let ip: Ipv6Header = packet.load(offset).ok_or(Reason::NotIp)?;
    let word = u32::from_be(ip.version_class_flow);
    if word >> 28 != 6 {
        return Err(Reason::NotIp);
    }
    // An IPv4-mapped address must not be on the wire, and here it would be taken for IPv4. The stack
    // refuses it (ipv6_rcv_core).
    if ip.source.family() == Family::V4 || ip.destination.family() == Family::V4 {
        return Err(Reason::NotForListener);
    }
    frame.network = Network {
        source: ip.source,
        destination: ip.destination,
        hop_limit: ip.hop_limit,
        traffic_class: (word >> 20) as u8,
        ttl_protocol_checksum: 0,
        fragmentation: Fragmentation(0),
        flow_label: ip.version_class_flow & FLOW_LABEL_MASK.to_be(),
    };
    if is_extension(ip.next_header) {
        let is_fragment = ip.next_header == PROTOCOL_FRAGMENT;
        frame.obstacle = Some(if is_fragment { Obstacle::Fragment } else { Obstacle::ExtensionHeader });
        return Ok(());
    }
    let payload_length = ip.payload_length.get() as usize;
    frame.has_options = false;
    let fault = if payload_length < 8 || offset + 40 + payload_length > packet.length() {
        Some(Reason::BadLength)
    } else {
        None
    };
    parse_transport(packet, frame, ip.next_header, offset + 40, payload_length, fault)
}

#[inline(always)]
fn parse_transport<P: Packet>(
    packet: &P,
    frame: &mut Frame,
    protocol: u8,
    offset: usize,
    payload_length: usize,
    fault: Option<Reason>,
) -> Result<(), Reason> {
    frame.transport = match protocol {
        PROTOCOL_UDP => Transport::Udp,
        PROTOCOL_TCP => Transport::Tcp,
        _ => return Err(Reason::NotForListener),
    };
    frame.udp = packet.load(offset).ok_or(Reason::NotForListener)?;
    // VERIFIER: else there are six ways through all that follows, one for each offset.
    verifier::store(&mut frame.transport_offset, offset as u32);
    frame.payload_length = payload_length as u32;
    frame.header_fault = fault;
    frame.obstacle = None;
    Ok(())
}

/// The flow label's bits of an IPv6 header's first word.
pub const FLOW_LABEL_MASK: u32 = 0x000f_ffff;

/// Is this next header an extension header? (IANA, IPv6 Extension Header Types)
#[inline(always)]
const fn is_extension(next_header: u8) -> bool {
    matches!(next_header, 0 | 43 | PROTOCOL_FRAGMENT | 51 | 60 | 135 | 139 | 140)
}
