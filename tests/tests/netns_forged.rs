//! Whoever knows the slow path's port and ID still has to be the backend and to repeat the question; whoever
//! knows less is not heard at all.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use dproxy_lab::{Balancer, HOST_INTERFACE, Host, Topology, default_binary, skip_without_root};
use dproxy_tests::frames::{Frame, wire_name};
use dproxy_tests::net::messages::notify;
use dproxy_tests::net::{
    B1, B1_V6, Capture, Counters, Wire, configuration, kernel_counter, listeners, mac, tables, wait_until,
    wait_until_reachable,
};
use dproxy_userspace::slow_path::Reason;

const PATIENCE: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_millis(200);

#[test]
fn forged_replies_are_not_delivered() {
    if skip_without_root() {
        return;
    }
    let topology = Topology::builder("e2e-forged").build().unwrap();
    let tables = tables(&[("four", B1), ("six", B1_V6)], &[("four.test", "four"), ("six.test", "six")]);
    for xdp in ["native", "off"] {
        // Long enough for everything below: none of it is a retry.
        let settings = "[slow_path]\ntimeout = \"30s\"\n";
        let config = configuration(&topology, xdp, &format!("{settings}{tables}"));
        let balancer = Balancer::start(&topology, &default_binary().unwrap(), &config).unwrap();
        wait_until_reachable(&balancer);
        for (zone, version) in [("four.test", 0), ("six.test", 1)] {
            for listener in listeners() {
                Forgery::new(&topology, &balancer, zone, version, listener).run();
            }
        }
    }
}

/// A query under way, and those who want to answer it.
struct Forgery<'a> {
    topology: &'a Topology,
    balancer: &'a Balancer,
    /// The backend that was asked.
    backend: UdpSocket,
    client: UdpSocket,
    /// What the client sent.
    query: Vec<u8>,
    /// What the backend got, and from where.
    forwarded: Vec<u8>,
    from: SocketAddr,
}

impl<'a> Forgery<'a> {
    /// Asks, and sees what comes to the backend. The fast path leaves other opcodes to the slow path.
    fn new(
        topology: &'a Topology,
        balancer: &'a Balancer,
        zone: &str,
        version: usize,
        listener: SocketAddr,
    ) -> Self {
        let host = &topology.backends[0];
        let address = host.sockets(53)[version];
        let backend = host.namespace.enter(|| UdpSocket::bind(address)).unwrap().unwrap();
        backend.set_read_timeout(Some(PATIENCE)).unwrap();
        let any = if listener.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let client = topology.client.namespace.enter(|| UdpSocket::bind(any)).unwrap().unwrap();
        client.connect(listener).unwrap();
        client.set_read_timeout(Some(SILENCE)).unwrap();

        let capture = Capture::start(&host.namespace, HOST_INTERFACE, "udp and dst port 53");
        let query = notify(&format!("www.{zone}")).octets();
        client.send(&query).unwrap();
        let mut buffer = [0; 512];
        let (length, from) = backend.recv_from(&mut buffer).unwrap();
        let forwarded = buffer[..length].to_vec();
        // Anybody on the way learns as much.
        capture.find(|frame| frame.ends_with(&forwarded));
        assert_eq!(forwarded[2..], query[2..], "but for the ID, nothing is changed");
        Self { topology, balancer, backend, client, query, forwarded, from }
    }

    fn run(self) {
        let before = Counters::read(self.balancer);
        let unheard = kernel_counter(&self.topology.balancer, "NoPorts");
        let right = answer(&self.forwarded);
        let is_v4 = self.from.is_ipv4();

        // By the backend's own address and port, each with something that is wrong.
        let mut wrong_id = right.clone();
        wrong_id[0] ^= 0x80;
        self.send(&wrong_id);
        let other_name = [&right[..12], &wire_name("ww.other.test"), &[0, 6, 0, 1]].concat();
        let mut other_type = right.clone();
        let at = self.forwarded.len() - 3;
        other_type[at] = 1;
        let mut other_class = right.clone();
        other_class[at + 2] = 3;
        for wrong_question in [&other_name, &other_type, &other_class] {
            self.send(wrong_question);
        }
        let mut other_opcode = right.clone();
        other_opcode[2] = 0x84;
        for not_an_answer in [&other_opcode, &self.forwarded, &right[..7].to_vec()] {
            self.send(not_an_answer);
        }
        self.wait_for(
            &before,
            [(Reason::ReplyUnknown, 1), (Reason::ReplyWrongQuestion, 3), (Reason::ReplyNotDns, 3)],
        );

        // With the right ID, question and port, but from elsewhere: the kernel hands it to nobody.
        let [backend, other] = [&self.topology.backends[0], &self.topology.backends[1]];
        let of_backend = self.backend.local_addr().unwrap();
        let other_port = SocketAddr::new(of_backend.ip(), 5353);
        let other_host = other.sockets(53)[usize::from(!is_v4)];
        let another_address = SocketAddr::new(another_of(other_host), 53);
        for (host, source) in [(backend, other_port), (other, other_host), (other, another_address)] {
            self.frame(host, source, &right);
        }
        wait_until("the kernel to refuse them", PATIENCE, || {
            kernel_counter(&self.topology.balancer, "NoPorts") - unheard >= 3
        });
        // With the backend's address and port, but without the ID.
        self.frame(other, of_backend, &wrong_id);
        self.wait_for(&before, [(Reason::ReplyUnknown, 2)]);

        let mut buffer = [0; 512];
        let nothing = self.client.recv(&mut buffer).map_err(|error| error.kind());
        assert_eq!(
            nothing,
            Err(ErrorKind::WouldBlock),
            "a forged reply was delivered: {:02x?}",
            &buffer[..64]
        );
        self.send(&right);
        self.client.set_read_timeout(Some(PATIENCE)).unwrap();
        let length = self.client.recv(&mut buffer).unwrap();
        assert_eq!(buffer[..length], answer(&self.query), "the backend's own is delivered");
        // And once only.
        self.send(&right);
        self.wait_for(&before, [(Reason::ReplyUnknown, 3), (Reason::UdpReplied, 1)]);
    }

    /// Waits until so much has been counted for these reasons.
    fn wait_for<const N: usize>(&self, before: &Counters, expected: [(Reason, u64); N]) {
        let what = format!("{expected:?}");
        wait_until(&what, PATIENCE, || {
            let counted = Counters::read(self.balancer).since(before);
            let of = |(reason, _): &(Reason, u64)| counted.slow(*reason);
            assert!(expected.iter().all(|row| of(row) <= row.1), "more than {what}: {counted:?}");
            expected.iter().all(|row| of(row) == row.1)
        });
    }

    fn send(&self, message: &[u8]) {
        self.backend.send_to(message, self.from).unwrap();
    }

    /// Sends a reply from a host on another interface of the balancer, or from the backend's host.
    fn frame(&self, host: &Host, source: SocketAddr, message: &[u8]) {
        let mut frame = Frame::new(source, self.from, message.to_vec());
        frame.from_mac = mac(&host.namespace, HOST_INTERFACE);
        frame.to_mac = mac(&self.topology.balancer, &host.balancer_interface);
        Wire::open(&host.namespace, HOST_INTERFACE).send(&frame.octets());
    }
}

/// The shortest reply (RFC 1996 §4.7).
fn answer(query: &[u8]) -> Vec<u8> {
    let mut answer = query.to_vec();
    answer[2] |= 0x80;
    answer
}

/// An address of the same network that nobody has.
fn another_of(address: SocketAddr) -> IpAddr {
    match address.ip() {
        IpAddr::V4(v4) => (u32::from(v4) + 1).to_be_bytes().into(),
        IpAddr::V6(v6) => (u128::from(v6) + 1).to_be_bytes().into(),
    }
}
