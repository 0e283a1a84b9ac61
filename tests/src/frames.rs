//! Frames to send and to expect, written field by field and independent of the code under test.

use std::net::{IpAddr, SocketAddr};

use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, Query},
    rr::{DNSClass, Name, RecordType},
};

/// A link-layer address.
pub type Mac = [u8; 6];

/// The client's, as a frame's source.
pub const CLIENT_MAC: Mac = [2, 0, 0, 0, 0, 1];
/// Ours, on the clients' side.
pub const OUR_MAC: Mac = [2, 0, 0, 0, 0, 2];

/// A UDP datagram in a frame, each field open to abuse.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Receiver.
    pub to_mac: Mac,
    /// Sender.
    pub from_mac: Mac,
    /// VLAN tags, outer first: TPID and TCI.
    pub tags: Vec<(u16, u16)>,
    /// Source.
    pub from: SocketAddr,
    /// Destination.
    pub to: SocketAddr,
    /// TTL or hop limit.
    pub hop_limit: u8,
    /// TOS or traffic class.
    pub traffic_class: u8,
    /// IPv4 identification.
    pub identification: u16,
    /// IPv4 flags and fragment offset.
    pub fragment: u16,
    /// IPv4 options: a multiple of 4 octets.
    pub options: Vec<u8>,
    /// IPv6 flow label.
    pub flow_label: u32,
    /// IPv6 extension headers, as (type, octets without the next header field, which is filled in).
    pub extensions: Vec<(u8, Vec<u8>)>,
    /// IP protocol or next header.
    pub protocol: u8,
    /// The UDP payload.
    pub payload: Vec<u8>,
    /// The UDP checksum: right, absent, or something else.
    pub checksum: Checksum,
    /// Added to the UDP length field.
    pub udp_length_off: i32,
    /// Added to the IP length field.
    pub ip_length_off: i32,
    /// Octets behind the UDP datagram but inside the IP packet.
    pub surplus: Vec<u8>,
    /// Octets behind the IP packet.
    pub trailer: Vec<u8>,
}

/// What stands in a checksum field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// What belongs there.
    Right,
    /// Zero.
    Absent,
    /// What belongs there, plus this.
    Off(u16),
}

impl Frame {
    /// A datagram with a payload, all else as usual.
    pub fn new(from: SocketAddr, to: SocketAddr, payload: Vec<u8>) -> Self {
        Self {
            to_mac: OUR_MAC,
            from_mac: CLIENT_MAC,
            tags: Vec::new(),
            from,
            to,
            hop_limit: 61,
            traffic_class: 0,
            identification: 0x1234,
            fragment: 0,
            options: Vec::new(),
            flow_label: 0x0_5678,
            extensions: Vec::new(),
            protocol: 17,
            payload,
            checksum: Checksum::Right,
            udp_length_off: 0,
            ip_length_off: 0,
            surplus: Vec::new(),
            trailer: Vec::new(),
        }
    }

    /// The octets.
    pub fn octets(&self) -> Vec<u8> {
        let ethertype = if self.to.is_ipv4() { 0x0800 } else { 0x86dd };
        let mut frame = [self.to_mac, self.from_mac].concat();
        for (tpid, tci) in &self.tags {
            frame.extend(tpid.to_be_bytes());
            frame.extend(tci.to_be_bytes());
        }
        frame.extend(u16::to_be_bytes(ethertype));
        frame.extend(self.ip(&self.udp()));
        frame.extend(&self.trailer);
        frame
    }

    fn udp(&self) -> Vec<u8> {
        let length = (8 + self.payload.len() as i32 + self.udp_length_off) as u16;
        let mut udp = Vec::new();
        udp.extend(self.from.port().to_be_bytes());
        udp.extend(self.to.port().to_be_bytes());
        udp.extend(length.to_be_bytes());
        udp.extend([0, 0]);
        udp.extend(&self.payload);
        let right = match udp_checksum(self.from.ip(), self.to.ip(), &udp) {
            0 => 0xffff,
            sum => sum,
        };
        let checksum = match self.checksum {
            Checksum::Right => right,
            Checksum::Absent => 0,
            Checksum::Off(by) => right.wrapping_add(by),
        };
        udp[6..8].copy_from_slice(&checksum.to_be_bytes());
        udp.extend(&self.surplus);
        udp
    }

    fn ip(&self, udp: &[u8]) -> Vec<u8> {
        match (self.from.ip(), self.to.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let words = 5 + self.options.len() / 4;
                let length = (words * 4 + udp.len()) as i32 + self.ip_length_off;
                let mut ip = vec![0x40 | words as u8, self.traffic_class];
                ip.extend((length as u16).to_be_bytes());
                ip.extend(self.identification.to_be_bytes());
                ip.extend(self.fragment.to_be_bytes());
                ip.extend([self.hop_limit, self.protocol, 0, 0]);
                ip.extend(from.octets());
                ip.extend(to.octets());
                ip.extend(&self.options);
                let sum = !ones_sum(&ip);
                ip[10..12].copy_from_slice(&sum.to_be_bytes());
                ip.extend(udp);
                ip
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                let extensions: usize = self.extensions.iter().map(|(_, octets)| octets.len() + 1).sum();
                let length = (extensions + udp.len()) as i32 + self.ip_length_off;
                let first_word = 6 << 28 | u32::from(self.traffic_class) << 20 | self.flow_label;
                let mut ip = first_word.to_be_bytes().to_vec();
                ip.extend((length as u16).to_be_bytes());
                let types = self.extensions.iter().map(|(kind, _)| *kind).chain([self.protocol]);
                let mut types = types.collect::<Vec<_>>().into_iter();
                ip.push(types.next().unwrap_or(self.protocol));
                ip.push(self.hop_limit);
                ip.extend(from.octets());
                ip.extend(to.octets());
                for ((_, octets), next) in self.extensions.iter().zip(types) {
                    ip.push(next);
                    ip.extend(octets);
                }
                ip.extend(udp);
                ip
            }
            _ => panic!("a datagram from {} to {}", self.from, self.to),
        }
    }
}

/// One's complement sum of big-endian words.
pub fn ones_sum(octets: &[u8]) -> u16 {
    let mut sum = 0u32;
    for pair in octets.chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    }
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

fn udp_checksum(from: IpAddr, to: IpAddr, udp: &[u8]) -> u16 {
    let mut pseudo = Vec::new();
    for address in [from, to] {
        match address {
            IpAddr::V4(v4) => pseudo.extend(v4.octets()),
            IpAddr::V6(v6) => pseudo.extend(v6.octets()),
        }
    }
    pseudo.extend([0, 17]);
    // Of a datagram with a wrong length field, the field counts.
    pseudo.extend(&udp[4..6]);
    pseudo.extend(udp);
    !ones_sum(&pseudo)
}

/// A name in wire form from a text in which a dot always separates labels.
pub fn wire_name(text: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in text.split('.').filter(|label| !label.is_empty()) {
        wire.push(label.len() as u8);
        wire.extend(label.as_bytes());
    }
    wire.push(0);
    wire
}

/// A DNS message with one question, field by field.
#[derive(Clone, Debug)]
pub struct Question {
    /// Query ID.
    pub id: u16,
    /// The two flag octets.
    pub flags: u16,
    /// The four counts.
    pub counts: [u16; 4],
    /// The name in wire form, root octet included.
    pub name: Vec<u8>,
    /// Type.
    pub qtype: u16,
    /// Class.
    pub class: u16,
    /// Everything behind the question.
    pub rest: Vec<u8>,
}

impl Question {
    /// A recursive query for the A record of a name without escapes.
    pub fn new(name: &str) -> Self {
        Self::of_wire(wire_name(name))
    }

    /// A recursive query for the A record of a name in wire form.
    pub fn of_wire(name: Vec<u8>) -> Self {
        Self { id: 0xbeef, flags: 0x0100, counts: [1, 0, 0, 0], name, qtype: 1, class: 1, rest: Vec::new() }
    }

    /// The same with an OPT record behind.
    pub fn with_opt(mut self, udp_size: u16, dnssec_ok: bool) -> Self {
        self.counts[3] += 1;
        self.rest.extend(opt(udp_size, 0, 0, dnssec_ok, &[]));
        self
    }

    /// The octets.
    pub fn octets(&self) -> Vec<u8> {
        let mut message = self.id.to_be_bytes().to_vec();
        message.extend(self.flags.to_be_bytes());
        self.counts.iter().for_each(|count| message.extend(count.to_be_bytes()));
        message.extend(&self.name);
        message.extend(self.qtype.to_be_bytes());
        message.extend(self.class.to_be_bytes());
        message.extend(&self.rest);
        message
    }
}

/// An OPT record (RFC 6891 §6.1.2).
pub fn opt(udp_size: u16, extended_rcode: u8, version: u8, dnssec_ok: bool, options: &[u8]) -> Vec<u8> {
    let mut record = vec![0, 0, 41];
    record.extend(udp_size.to_be_bytes());
    record.extend([extended_rcode, version]);
    record.extend((u16::from(dnssec_ok) << 15).to_be_bytes());
    record.extend((options.len() as u16).to_be_bytes());
    record.extend(options);
    record
}

/// A query made by the DNS library rather than by hand.
pub fn library_query(name: &Name, qtype: RecordType, edns: bool) -> Vec<u8> {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    let mut query = Query::query(name.clone(), qtype);
    query.set_query_class(DNSClass::IN);
    message.add_query(query);
    if edns {
        message.set_edns(Edns::new());
    }
    message.to_vec().unwrap_or_default()
}
