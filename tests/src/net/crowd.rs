//! Ten thousand clients, each with an address of its own, on one host.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use dproxy_lab::{Host, Namespace, Topology};
use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};

use super::ask::{TXT, who_answered};
use super::{TcpAsker, listeners};
use crate::frames::Question;

/// Queries under way at a time: a veth queues 256 frames.
const WINDOW: usize = 100;
/// Much longer than any answer in one machine takes.
const PATIENCE: Duration = Duration::from_secs(2);

/// The clients of one listener.
pub struct Crowd<'t> {
    client: &'t Namespace,
    listener: SocketAddr,
    socket: UdpSocket,
}

impl<'t> Crowd<'t> {
    /// How many there are.
    pub const SIZE: u16 = 10_000;

    /// The clients of the IPv4 listener, and those of the IPv6 listener.
    pub fn both(topology: &'t Topology) -> [Self; 2] {
        let Host { namespace: client, v4, v6, balancer_interface, .. } = &topology.client;
        // Whole prefixes, without giving each address to an interface.
        client.ip("route add local 10.100.0.0/18 dev lo").unwrap();
        client.ip("-6 route add local 2001:db8:100::/48 dev lo").unwrap();
        // For IPv4, such a route is enough to send from there.
        client.set_parameters(&[("net/ipv6/ip_nonlocal_bind", "1")]).unwrap();
        let balancer = &topology.balancer;
        balancer.ip(&format!("route add 10.100.0.0/18 via {v4} dev {balancer_interface}")).unwrap();
        balancer.ip(&format!("-6 route add 2001:db8:100::/48 via {v6} dev {balancer_interface}")).unwrap();
        listeners().map(|listener| {
            let any = if listener.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let socket = client.enter(|| UdpSocket::bind(any)).unwrap().unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            Self { client, listener, socket }
        })
    }

    /// Whom they ask.
    pub fn listener(&self) -> SocketAddr {
        self.listener
    }

    /// Who answers each of so many clients over UDP, `silence` if nobody does.
    pub fn ask(&self, name: &[u8], clients: u16) -> Vec<String> {
        let mut answers = BTreeMap::new();
        let all: Vec<u16> = (0..clients).collect();
        for some in all.chunks(WINDOW) {
            some.iter().for_each(|client| self.send(*client, name));
            self.receive(name, some.len(), &mut answers);
        }
        let answer = |client: &u16| answers.remove(client).unwrap_or_else(|| "silence".to_owned());
        all.iter().map(answer).collect()
    }

    /// Who answers one client over TCP.
    pub fn ask_over_tcp(&self, client: u16, name: &[u8]) -> String {
        let query = query(client, name);
        let mut asker = TcpAsker::from(self.client, self.address(client), self.listener);
        match asker.exchange(&query) {
            Ok(response) => who_answered(&query, &response),
            Err(error) => format!("{error:?}"),
        }
    }

    fn address(&self, client: u16) -> IpAddr {
        match self.listener {
            SocketAddr::V4(_) => {
                Ipv4Addr::from_bits(u32::from(Ipv4Addr::new(10, 100, 0, 1)) + u32::from(client)).into()
            }
            // A /64 each: that is what one client has (RFC 7934).
            SocketAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0x100, client, 0, 0, 0, 1).into(),
        }
    }

    fn send(&self, client: u16, name: &[u8]) {
        let query = query(client, name);
        let (octets, to) = ([IoSlice::new(&query)], SockaddrStorage::from(self.listener));
        let send = |from: ControlMessage<'_>| {
            sendmsg(self.socket.as_raw_fd(), &octets, &[from], MsgFlags::empty(), Some(&to))
        };
        let sent = match self.address(client) {
            IpAddr::V4(address) => {
                let ipi_spec_dst = in_addr { s_addr: u32::from_ne_bytes(address.octets()) };
                send(ControlMessage::Ipv4PacketInfo(&in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst,
                    ipi_addr: in_addr { s_addr: 0 },
                }))
            }
            IpAddr::V6(address) => send(ControlMessage::Ipv6PacketInfo(&in6_pktinfo {
                ipi6_addr: in6_addr { s6_addr: address.octets() },
                ipi6_ifindex: 0,
            })),
        };
        sent.unwrap_or_else(|error| panic!("send from {}: {error}", self.address(client)));
    }

    /// Receives so many answers. The DNS ID says whose each is.
    fn receive(&self, name: &[u8], number: usize, answers: &mut BTreeMap<u16, String>) {
        let mut buffer = [0; 1024];
        for _ in 0..number {
            // Silence: what is missing does not come any more.
            let Ok(length) = self.socket.recv(&mut buffer) else { return };
            let response = &buffer[..length];
            let client = u16::from_be_bytes([response[0], response[1]]);
            let before = answers.insert(client, who_answered(&query(client, name), response));
            assert_eq!(before, None, "client {client} was answered twice");
        }
    }
}

fn query(client: u16, name: &[u8]) -> Vec<u8> {
    let mut question = Question::of_wire(name.to_vec());
    (question.id, question.qtype) = (client, TXT);
    question.octets()
}
