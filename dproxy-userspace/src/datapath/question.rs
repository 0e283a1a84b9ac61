//! The frame of a query that nobody has sent.

use std::net::{IpAddr, SocketAddr};

use dproxy_common::wire::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, IPV4_DONT_FRAGMENT, PROTOCOL_UDP, flags};

use super::DatapathError;

/// CLASS IN (RFC 1035 §3.2.4).
const CLASS_IN: u16 = 1;
/// What hosts send with.
const HOP_LIMIT: u8 = 64;

/// A query from `client` to `listener`, as it would come in, with valid checksums.
///
/// `name` is in wire form without the root octet, upper and lower case as they are to be sent. It fails
/// when the two addresses are of different IP versions.
pub fn query_frame(
    client: SocketAddr,
    listener: SocketAddr,
    name: &[u8],
    qtype: u16,
) -> Result<Vec<u8>, DatapathError> {
    let mut udp = Vec::with_capacity(UDP_HEADER + DNS_HEADER + name.len() + 5);
    let length = (UDP_HEADER + DNS_HEADER + name.len() + 5) as u16;
    for field in [client.port(), listener.port(), length, 0] {
        udp.extend(field.to_be_bytes());
    }
    // One question and nothing else, RD set (RFC 1035 §4.1.1).
    for field in [0, u16::from(flags::RD) << 8, 1, 0, 0, 0] {
        udp.extend(field.to_be_bytes());
    }
    udp.extend(name);
    udp.push(0);
    udp.extend(qtype.to_be_bytes());
    udp.extend(CLASS_IN.to_be_bytes());
    match (client.ip(), listener.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let (source, destination) = (source.octets(), destination.octets());
            seal(&mut udp, &source, &destination);
            Ok([ethernet(ETHERTYPE_IPV4), ipv4(source, destination, length), udp].concat())
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let (source, destination) = (source.octets(), destination.octets());
            seal(&mut udp, &source, &destination);
            Ok([ethernet(ETHERTYPE_IPV6), ipv6(source, destination, length), udp].concat())
        }
        (client, listener) => Err(DatapathError(format!(
            "{client} cannot ask {listener}, which is of another IP version; choose a client or a listener of \
             the other's"
        ))),
    }
}

/// The DNS message in a frame of [`query_frame`]'s.
pub fn dns_message(frame: &[u8]) -> &[u8] {
    let ip_header = if frame.get(14).is_some_and(|octet| octet >> 4 == 6) { 40 } else { 20 };
    frame.get(14 + ip_header + UDP_HEADER..).unwrap_or_default()
}

const UDP_HEADER: usize = 8;
const DNS_HEADER: usize = 12;

/// From one locally administered address to another.
fn ethernet(ethertype: u16) -> Vec<u8> {
    let mut header = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    header.extend(ethertype.to_be_bytes());
    header
}

/// RFC 791 §3.1.
fn ipv4(source: [u8; 4], destination: [u8; 4], payload: u16) -> Vec<u8> {
    let mut header = vec![0x45, 0];
    for field in [20 + payload, 0, IPV4_DONT_FRAGMENT] {
        header.extend(field.to_be_bytes());
    }
    header.extend([HOP_LIMIT, PROTOCOL_UDP, 0, 0]);
    header.extend(source);
    header.extend(destination);
    let checksum = !sum(&header, 0);
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    header
}

/// RFC 8200 §3.
fn ipv6(source: [u8; 16], destination: [u8; 16], payload: u16) -> Vec<u8> {
    let mut header = vec![0x60, 0, 0, 0];
    header.extend(payload.to_be_bytes());
    header.extend([PROTOCOL_UDP, HOP_LIMIT]);
    header.extend(source);
    header.extend(destination);
    header
}

/// Sets the UDP checksum, which also covers addresses and protocol (RFC 768, RFC 8200 §8.1).
fn seal(udp: &mut [u8], source: &[u8], destination: &[u8]) {
    let addresses = sum(destination, sum(source, 0));
    let pseudo_header = sum(&(udp.len() as u16).to_be_bytes(), sum(&[0, PROTOCOL_UDP], addresses));
    let checksum = match !sum(udp, pseudo_header) {
        0 => 0xffff,
        checksum => checksum,
    };
    udp[6..8].copy_from_slice(&checksum.to_be_bytes());
}

/// The one's complement sum of 16-bit words (RFC 1071), added to another one.
fn sum(octets: &[u8], before: u16) -> u16 {
    octets.chunks(2).fold(before, |sum, pair| {
        let word = u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]);
        let (sum, carry) = sum.overflowing_add(word);
        sum + u16::from(carry)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(octets: &[u8]) -> String {
        octets.iter().map(|octet| format!("{octet:02x}")).collect()
    }

    fn frame(client: &str, listener: &str, name: &[u8], qtype: u16) -> Result<Vec<u8>, DatapathError> {
        query_frame(client.parse().unwrap(), listener.parse().unwrap(), name, qtype)
    }

    /// The expected octets are another program's.
    #[test]
    fn frames_are_whole_and_their_checksums_right() {
        let v4 = frame("198.51.100.7:4711", "192.0.2.1:53", b"\x03wWw\x07Example", 28).unwrap();
        let expected = "0200000000010200000000020800\
                        450000390000400040114e78c6336407c0000201\
                        126700350025\
                        2e60\
                        00000100000100000000000003775777074578616d706c6500001c0001";
        assert_eq!(hex(&v4), expected);
        let v6 = frame("[2001:db8::7]:4711", "[2001:db8::53]:5353", b"", 1).unwrap();
        let expected = "02000000000102000000000286dd\
                        600000000019114020010db800000000000000000000000720010db8000000000000000000000053\
                        126714e90019799f\
                        0000010000010000000000000000010001";
        assert_eq!(hex(&v6), expected);
    }

    #[test]
    fn an_odd_length_and_carries_add_up() {
        assert_eq!(sum(&[0xff, 0xff, 0xff, 0xff, 0x01], 0), 0x0100);
        assert_eq!(sum(&[0x80, 0x00, 0x80, 0x01], 0xffff), 0x0002);
    }

    #[test]
    fn both_ends_are_of_one_ip_version() {
        let error = frame("192.0.2.1:1", "[2001:db8::53]:53", b"", 1).unwrap_err().to_string();
        assert!(error.starts_with("192.0.2.1 cannot ask 2001:db8::53"), "{error}");
    }
}
