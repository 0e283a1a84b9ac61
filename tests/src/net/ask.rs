//! A client that asks any question, in any wire form.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use dproxy_lab::{Namespace, Topology};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RData;
use nix::libc;

use super::listeners;
use crate::frames::Question;

/// TXT: what a server that answers any name with its own is asked for.
pub(super) const TXT: u16 = 16;
/// include/uapi/linux/in6.h
const IPV6_DSTOPTS: i32 = 59;
/// Much longer than any answer in one machine takes.
const PATIENCE: Duration = Duration::from_secs(2);

/// A socket that asks one server.
pub struct Asker {
    socket: UdpSocket,
    patience: Duration,
    next_id: u16,
}

impl Asker {
    /// Asks `server` out of `namespace`, from any address.
    pub fn new(namespace: &Namespace, server: SocketAddr) -> Self {
        let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        Self::from(namespace, any.parse().unwrap(), server)
    }

    /// Asks `server` out of `namespace`, from an address.
    pub fn from(namespace: &Namespace, from: SocketAddr, server: SocketAddr) -> Self {
        let socket = namespace.enter(|| UdpSocket::bind(from)).unwrap();
        let socket = socket.unwrap_or_else(|error| panic!("bind {from} in {}: {error}", namespace.name()));
        namespace.enter(|| socket.connect(server)).unwrap().unwrap();
        Self { socket, patience: PATIENCE, next_id: 1 }
    }

    /// Waits for answers no longer than this.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Puts options into the header of every packet: IPv4 options, or an IPv6 extension header with
    /// destination options.
    pub fn with_header_options(self) -> Self {
        // Three times "no operation", and the end (RFC 791 §3.1); or the next header and a length, which the
        // kernel fills in, and four octets of padding (RFC 8200 §4.2).
        let (level, option, octets): (_, _, &[u8]) = match self.address() {
            SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_OPTIONS, &[1, 1, 1, 0]),
            SocketAddr::V6(_) => (libc::IPPROTO_IPV6, IPV6_DSTOPTS, &[0, 0, 1, 4, 0, 0, 0, 0]),
        };
        // SAFETY: the octets are there, as many as their length says.
        let result = unsafe {
            libc::setsockopt(
                self.socket.as_raw_fd(),
                level,
                option,
                octets.as_ptr().cast(),
                octets.len() as libc::socklen_t,
            )
        };
        assert_eq!(result, 0, "set header options: {}", std::io::Error::last_os_error());
        self
    }

    /// Where it asks from.
    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// Who answers for a name in wire form: a server's name; or else the response code in lower case, or
    /// `truncated`, or `silence`, or `unreachable` for an ICMP error.
    pub fn who(&mut self, name: &[u8]) -> String {
        let mut question = Question::of_wire(name.to_vec());
        (question.qtype, question.id) = (TXT, self.next_id);
        self.next_id = self.next_id.wrapping_add(1);
        let query = question.octets();
        match self.exchange(&query) {
            Ok(response) => who_answered(&query, &response),
            Err(ErrorKind::WouldBlock | ErrorKind::TimedOut) => "silence".to_owned(),
            Err(ErrorKind::ConnectionRefused | ErrorKind::HostUnreachable) => "unreachable".to_owned(),
            Err(error) => panic!("ask {:?}: {error}", self.socket.peer_addr()),
        }
    }

    /// The response to a message, in octets.
    pub fn exchange(&self, query: &[u8]) -> Result<Vec<u8>, ErrorKind> {
        self.socket.send(query).map_err(|error| error.kind())?;
        let (start, mut buffer) = (Instant::now(), vec![0; usize::from(u16::MAX)]);
        loop {
            let left = self.patience.checked_sub(start.elapsed()).filter(|left| !left.is_zero());
            self.socket.set_read_timeout(Some(left.ok_or(ErrorKind::TimedOut)?)).unwrap();
            let length = self.socket.recv(&mut buffer).map_err(|error| error.kind())?;
            // What is left is an answer to an earlier question that nobody waits for any more.
            if buffer[..length].get(..2) == query.get(..2) {
                return Ok(buffer[..length].to_vec());
            }
        }
    }
}

/// Clients with addresses of their own, IPv4 and IPv6 in turn, which ask the listener of their IP version.
pub fn many_askers(topology: &Topology, number: u8) -> Vec<Asker> {
    assert!(number < 127, "that many addresses are in 192.0.2.128/25");
    let client = &topology.client.namespace;
    // Whole prefixes, without giving each address to an interface.
    client.ip("route add local 192.0.2.128/25 dev lo").unwrap();
    client.ip("-6 route add local 2001:db8:1::1:0/112 dev lo").unwrap();
    // For IPv4, such a route is enough to bind to.
    client.set_parameters(&[("net/ipv6/ip_nonlocal_bind", "1")]).unwrap();
    let [v4, v6] = listeners();
    let asker = |number: u8| {
        let v4_address = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 128 + number), 0));
        let v6_address = SocketAddr::from((Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 1, number.into()), 0));
        let (from, listener) = if number.is_multiple_of(2) { (v4_address, v4) } else { (v6_address, v6) };
        Asker::from(client, from, listener)
    };
    (0..number).map(asker).collect()
}

/// Who gave this response; its question must be the very octets that were asked.
pub(super) fn who_answered(query: &[u8], response: &[u8]) -> String {
    let question = query.get(12..);
    assert_eq!(response.get(12..query.len()), question, "the question came back in other octets");
    let message = Message::from_vec(response).unwrap_or_else(|error| panic!("not DNS: {error}"));
    let mut texts = message.answers.iter().filter_map(|record| {
        let RData::TXT(text) = &record.data else { return None };
        text.txt_data.first().map(|text| String::from_utf8_lossy(text).into_owned())
    });
    match (texts.next_back(), message.response_code) {
        (Some(server), ResponseCode::NoError) => server,
        _ if message.truncation => "truncated".to_owned(),
        (_, code) => format!("{code:?}").to_lowercase(),
    }
}
