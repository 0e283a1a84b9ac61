//! A reply of a backend on this host, on its way out: it has to come from the listener that was asked.
//!
//! Nothing remembers the query: a backend's address and port stand for one listener. Remembered are only those
//! that asked the backend itself (see [`direct`]). What happens to the packet's checksums is up to the kernel,
//! which may not have made them yet.

use crate::{
    abi::{Destination, Listener, Subject},
    classify, direct,
    message::UDP_HEADER,
    packet::Packet,
    tables::{Half, State, Tables},
    wire::{
        Address, Be16, DnsHeader, ETHERTYPE_IPV4, ETHERTYPE_IPV6, EthernetHeader, Family, Ipv4Header,
        Ipv6FragmentHeader, Ipv6Header, PROTOCOL_FRAGMENT, PROTOCOL_UDP, UdpHeader, VlanHeader, is_vlan,
    },
};

/// A reply whose source is to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restoration {
    /// Where its IP header begins.
    pub network_offset: usize,
    /// Where its UDP header begins.
    pub udp_offset: usize,
    /// The source that it has.
    pub address: Address,
    /// The source port that it has.
    pub port: Be16,
    /// The source to give it; of the same IP version.
    pub listener: Listener,
    /// Whom it concerns.
    pub subject: Subject,
}

/// The head of an IP packet that holds UDP.
#[derive(Clone, Copy)]
struct Head {
    network_offset: usize,
    udp_offset: usize,
    source: Address,
    destination: Address,
    is_fragment: bool,
}

/// What to change about a packet that leaves this host; nothing, if it is no reply of a backend of ours, or
/// one to a client that asked the backend itself, whose note this takes.
///
/// Of a reply in fragments, only the first has ports. So it changes if that is all there is to change; if the
/// backend has an address of its own, the others would not fit the first.
#[inline(always)]
pub fn plan<P: Packet, T: Tables, S: State>(packet: &P, tables: &T, state: &mut S) -> Option<Restoration> {
    let Head { network_offset, udp_offset, source, destination, is_fragment } = head(packet)?;
    let udp: UdpHeader = packet.load(udp_offset)?;
    let half = Half::of_generation(tables.active());
    let generation = tables.generation(half)?;
    let backend = classify::look_up(tables, half, generation, source, udp.source())?;
    if backend.kind & Destination::LOCAL_BACKEND == 0 {
        return None;
    }
    let dns: DnsHeader = packet.load(udp_offset + UDP_HEADER as usize)?;
    if !dns.is_response()
        || direct::is_awaited(state, destination, udp.destination(), dns.id, backend.backend)
    {
        return None;
    }
    let listener = *tables.listener(backend.listener)?;
    if listener.address != source && (is_fragment || listener.address.family() != source.family()) {
        return None;
    }
    let subject = Subject {
        listener: backend.listener,
        backend: backend.backend,
        rcode: dns.rcode() as u16,
        ..Subject::UNKNOWN
    };
    Some(Restoration { network_offset, udp_offset, address: source, port: udp.source(), listener, subject })
}

/// Reads a packet up to its UDP header. A tag that the kernel keeps beside the packet is not in the way.
#[inline(always)]
fn head<P: Packet>(packet: &P) -> Option<Head> {
    let ethernet: EthernetHeader = packet.load(0)?;
    let (mut ethertype, mut offset) = (ethernet.ethertype, 14);
    for _ in 0..2 {
        if is_vlan(ethertype.get()) {
            let vlan: VlanHeader = packet.load(offset)?;
            ethertype = vlan.ethertype;
            offset += 4;
        }
    }
    match ethertype.get() {
        ETHERTYPE_IPV4 => head_ipv4(packet, offset),
        ETHERTYPE_IPV6 => head_ipv6(packet, offset),
        _ => None,
    }
}

#[inline(always)]
fn head_ipv4<P: Packet>(packet: &P, offset: usize) -> Option<Head> {
    let ip: Ipv4Header = packet.load(offset)?;
    let fragment = ip.fragmentation().flags();
    if ip.version_ihl() != 0x45 || ip.protocol() != PROTOCOL_UDP || fragment & FRAGMENT_OFFSET != 0 {
        return None;
    }
    Some(Head {
        network_offset: offset,
        udp_offset: offset + 20,
        source: Address::from_ipv4_raw(ip.source()),
        destination: Address::from_ipv4_raw(ip.destination()),
        is_fragment: fragment & MORE_FRAGMENTS != 0,
    })
}

#[inline(always)]
fn head_ipv6<P: Packet>(packet: &P, offset: usize) -> Option<Head> {
    let ip: Ipv6Header = packet.load(offset)?;
    // An IPv4-mapped source would be taken for IPv4.
    if u32::from_be(ip.version_class_flow) >> 28 != 6 || ip.source.family() == Family::V4 {
        return None;
    }
    let head = Head {
        network_offset: offset,
        udp_offset: offset + 40,
        source: ip.source,
        destination: ip.destination,
        is_fragment: false,
    };
    match ip.next_header {
        PROTOCOL_UDP => Some(head),
        PROTOCOL_FRAGMENT => {
            let fragment: Ipv6FragmentHeader = packet.load(offset + 40)?;
            let is_first = fragment.next_header == PROTOCOL_UDP && fragment.offset.get() >> 3 == 0;
            is_first.then_some(Head { udp_offset: offset + 48, is_fragment: true, ..head })
        }
        _ => None,
    }
}

/// RFC 791 §3.1.
const MORE_FRAGMENTS: u16 = 0x2000;
/// See [`MORE_FRAGMENTS`].
const FRAGMENT_OFFSET: u16 = 0x1fff;
