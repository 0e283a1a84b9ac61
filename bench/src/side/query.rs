//! The query that all frames have, as the programs are told.

use std::net::SocketAddrV4;
use std::ops::Range;

use super::frame::{
    DESTINATION, DESTINATION_PORT, DIGITS, DNS, ETHERTYPE, IP, LENGTH, SOURCE, Template, UDP, WORDS,
};
use crate::contestant::ZONE;
use crate::load::Queries;

/// An IPv4 header without options that allows no fragments, its TTL, and UDP.
const DONT_FRAGMENT: u8 = 0x40;
const TTL: u8 = 64;
const UDP_PROTOCOL: u8 = 17;

/// A query to `server` in a frame with these MAC addresses, receiver and sender.
pub fn template(macs: [u8; 12], server: SocketAddrV4) -> Template {
    let frame = blank(macs, server);
    let sum = |octets: Range<usize>| -> u32 {
        let word = |pair: &[u8]| u16::from_ne_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]);
        frame[octets].chunks(2).map(|pair| u32::from(word(pair))).sum()
    };
    // The pseudo header (RFC 768): addresses, protocol, and the length once more.
    let length = (LENGTH - UDP) as u16;
    let pseudo = sum(SOURCE..UDP) + u32::from(u16::from(UDP_PROTOCOL).to_be()) + u32::from(length.to_be());
    let mut words = [0; WORDS];
    for (word, octets) in words.iter_mut().zip(frame.as_chunks().0) {
        *word = u64::from_ne_bytes(*octets);
    }
    Template { words, ip_sum: sum(IP..UDP), udp_sum: pseudo + sum(UDP..LENGTH) }
}

/// Its frame, where all that varies is zero.
pub fn blank(macs: [u8; 12], server: SocketAddrV4) -> [u8; LENGTH] {
    let mut frame = [0; LENGTH];
    let mut put = |offset: usize, octets: &[u8]| frame[offset..offset + octets.len()].copy_from_slice(octets);
    put(0, &macs);
    put(ETHERTYPE, &0x0800_u16.to_be_bytes());
    put(IP, &[0x45, 0]);
    put(IP + 2, &((LENGTH - IP) as u16).to_be_bytes());
    put(IP + 6, &[DONT_FRAGMENT, 0, TTL, UDP_PROTOCOL]);
    put(DESTINATION, &server.ip().octets());
    put(DESTINATION_PORT, &server.port().to_be_bytes());
    put(UDP + 4, &((LENGTH - UDP) as u16).to_be_bytes());
    put(DNS, Queries::one(&format!("www000.{ZONE}")).message(0));
    // What shares a word with a digit is written together with it.
    put(DIGITS, &[0; 4]);
    frame
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use dproxy_lab::dns::op::Message;

    use super::*;
    use crate::side::frame::{FIRST_PORT, IP_CHECKSUM, MOST_CLIENTS, Query, UDP_CHECKSUM};

    const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 53), 53);

    fn frame(query: Query) -> [u8; LENGTH] {
        let mut frame = [0xff; LENGTH];
        // What the template leaves alone is as it is in the first frame.
        frame.copy_from_slice(&blank([2; 12], SERVER));
        // SAFETY: a frame is that long.
        unsafe { template([2; 12], SERVER).write(frame.as_mut_ptr(), query) };
        frame
    }

    /// RFC 1071, octet by octet.
    fn folded(octets: impl IntoIterator<Item = u8>) -> u16 {
        let sum = octets.into_iter().enumerate().fold(0_u32, |sum, (place, octet)| {
            sum + (u32::from(octet) << if place % 2 == 0 { 8 } else { 0 })
        });
        let sum = (sum >> 16) + (sum & 0xffff);
        ((sum >> 16) + (sum & 0xffff)) as u16
    }

    #[test]
    fn every_query_is_a_message_with_checksums_that_are_right() {
        for number in 0..5000 {
            let query = Query::random(number, MOST_CLIENTS);
            let frame = frame(query);
            let message = Message::from_vec(&frame[DNS..]).unwrap();
            assert_eq!(message.queries[0].name().to_string(), format!("www{:03}.{ZONE}.", query.name));
            assert_eq!(message.id.to_be_bytes(), query.id().to_ne_bytes());
            assert_eq!(folded(frame[IP..UDP].iter().copied()), 0xffff, "the IP header's checksum");
            let length = ((LENGTH - UDP) as u16).to_be_bytes();
            let pseudo = frame[SOURCE..UDP].iter().copied().chain([0, UDP_PROTOCOL]).chain(length);
            assert_eq!(folded(pseudo.chain(frame[UDP..].iter().copied())), 0xffff, "UDP's checksum");
            assert_ne!(frame[UDP_CHECKSUM..][..2], [0, 0]);
            assert_ne!(frame[IP_CHECKSUM..][..2], [0, 0]);
        }
    }

    #[test]
    fn an_answer_tells_client_and_name() {
        for client in [0, 1, 255, 256, 59_999, MOST_CLIENTS - 1] {
            let query = Query { client, name: client % 1000 };
            assert_eq!(Query::client_of(query.address(), query.port()), Some(client));
            assert_eq!(Query::name_of(query.digits()), query.name);
        }
        assert_eq!(Query::client_of(u32::from_ne_bytes([192, 0, 2, 10]), FIRST_PORT.to_be()), None);
        assert_eq!(Query::client_of(Query { client: 0, name: 0 }.address(), 53_u16.to_be()), None);
    }

    #[test]
    fn random_queries_are_of_all_clients_and_names() {
        let mut clients = vec![false; 1000];
        let mut names = vec![false; 1000];
        for number in 0..100_000 {
            let query = Query::random(number, 1000);
            clients[query.client as usize] = true;
            names[query.name as usize] = true;
        }
        assert!(clients.iter().chain(&names).all(|asked| *asked));
    }
}
