mod retries;

use std::net::{SocketAddr, UdpSocket};

use crate::slow_path::testing::{PATIENCE, config, free_address, query, response, serve, wait_for};
use crate::slow_path::{Limits, Reason, SlowPath};

/// A listener, backends, and the slow path between them.
struct World {
    slow_path: SlowPath,
    client: UdpSocket,
    backends: Vec<UdpSocket>,
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

impl World {
    /// With so many backends that listen, and `more` that need not.
    fn new(number: usize, more: &[SocketAddr], pool: &str) -> Self {
        Self::with(number, more, pool, "", "", Limits::for_tests())
    }

    /// And with further pools and routes.
    fn with(
        number: usize,
        more: &[SocketAddr],
        pool: &str,
        pools: &str,
        routes: &str,
        limits: Limits,
    ) -> Self {
        let backends: Vec<UdpSocket> = (0..number).map(|_| socket()).collect();
        let addresses = backends.iter().map(|backend| backend.local_addr().unwrap());
        let addresses: Vec<String> =
            addresses.chain(more.iter().copied()).map(|address| format!("\"{address}\"")).collect();
        let listener = free_address();
        let text = format!(
            "[pools.pool]\nbackends = [{}]\n{pool}\n{pools}[routes]\n{routes}\"a.test\" = \"pool\"\n\
             \"no.test\" = {{ answer = \"nxdomain\" }}\n\"drop.test\" = {{ answer = \"drop\" }}\n",
            addresses.join(", ")
        );
        let slow_path = serve(&config(&[listener], &text), limits);
        let client = socket();
        client.connect(listener).unwrap();
        Self { slow_path, client, backends }
    }

    fn ask(&self, message: &[u8]) {
        self.client.send(message).unwrap();
    }

    fn answer(&self) -> Vec<u8> {
        receive(&self.client).0
    }

    fn count(&self, reason: Reason) -> u64 {
        self.slow_path.counters().reasons[reason as usize]
    }
}

fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 65535];
    let (length, from) = socket.recv_from(&mut buffer).expect("something comes");
    (buffer[..length].to_vec(), from)
}

#[test]
fn a_query_gets_another_id_on_the_way_and_its_own_back() {
    let world = World::new(1, &[], "");
    let message = query(0x1234, "www.a.test", 1);
    world.ask(&message);
    let (forwarded, from) = receive(&world.backends[0]);
    assert_eq!(forwarded[2..], message[2..]);
    world.backends[0].send_to(&response(&forwarded), from).unwrap();
    assert_eq!(world.answer(), response(&message));
    let counters = wait_for(&world.slow_path, Reason::UdpReplied, 1);
    assert_eq!(counters.reasons[Reason::UdpForwarded as usize], 1);
    let listener = counters.listeners[0];
    assert_eq!((listener.queries, listener.responses), (1, 1));
    let backend = counters.backends[0];
    assert_eq!((backend.queries, backend.replies, backend.noerror), (1, 1, 1));
    assert_eq!((counters.pools[0], counters.queries_in_flight), (1, 0));
}

#[test]
fn ids_and_ports_differ_from_query_to_query() {
    let world = World::new(1, &[], "");
    let mut seen = std::collections::BTreeSet::new();
    let mut ports = std::collections::BTreeSet::new();
    for number in 0..2500u16 {
        world.ask(&query(number, "a.test", 1));
        let (forwarded, from) = receive(&world.backends[0]);
        seen.insert((from.port(), forwarded[0], forwarded[1]));
        ports.insert(from.port());
        world.backends[0].send_to(&response(&forwarded), from).unwrap();
        world.answer();
    }
    // By chance, some IDs come again.
    assert!(seen.len() > 2400, "{} of 2500", seen.len());
    assert!(ports.len() >= 3, "a port is for a thousand queries at most: {ports:?}");
}

#[test]
fn answers_are_made_here() {
    let world = World::new(1, &[], "");
    world.ask(&query(7, "x.no.test", 1));
    let answer = world.answer();
    assert_eq!((answer[..2].to_vec(), answer[2] & 0x80, answer[3] & 0x0f), (vec![0, 7], 0x80, 3));
    world.ask(&query(8, "else.test", 1));
    assert_eq!(world.answer()[3] & 0x0f, 5);
    world.ask(&query(9, "drop.test", 1));
    wait_for(&world.slow_path, Reason::RouteDrop, 1);
    assert_eq!((world.count(Reason::AnsweredNxdomain), world.count(Reason::NoRoute)), (1, 1));
}

#[test]
fn forged_replies_are_not_delivered() {
    let world = World::new(1, &[], "");
    let message = query(1, "a.test", 1);
    world.ask(&message);
    let (forwarded, from) = receive(&world.backends[0]);
    let good = response(&forwarded);

    // From another address or port, the kernel does not even hand it on.
    socket().send_to(&good, from).unwrap();
    let mut wrong_id = good.clone();
    wrong_id[1] ^= 1;
    let mut wrong_name = good.clone();
    wrong_name[13] = b'b';
    let mut wrong_type = good.clone();
    let end = wrong_type.len();
    wrong_type[end - 3] = 28;
    let mut wrong_opcode = good.clone();
    wrong_opcode[2] |= 0x28;
    for forged in [&wrong_id, &wrong_name, &wrong_type, &wrong_opcode, &forwarded, &good[..11].to_vec()] {
        world.backends[0].send_to(forged, from).unwrap();
    }
    wait_for(&world.slow_path, Reason::ReplyUnknown, 1);
    wait_for(&world.slow_path, Reason::ReplyWrongQuestion, 2);
    wait_for(&world.slow_path, Reason::ReplyNotDns, 3);
    world.backends[0].send_to(&good, from).unwrap();
    world.backends[0].send_to(&good, from).unwrap();
    assert_eq!(world.answer(), response(&message));
    wait_for(&world.slow_path, Reason::ReplyUnknown, 2);
    assert_eq!(world.count(Reason::UdpReplied), 1);
}

#[test]
fn case_may_differ_in_the_reply_and_is_kept() {
    let world = World::new(1, &[], "");
    world.ask(&query(1, "wWw.A.tEsT", 1));
    let (forwarded, from) = receive(&world.backends[0]);
    let mut reply = response(&forwarded);
    reply[13] = b'W';
    world.backends[0].send_to(&reply, from).unwrap();
    assert_eq!(world.answer()[12..], reply[12..]);
}

#[test]
fn the_proxy_protocol_names_the_client() {
    let world = World::new(1, &[], "proxy_protocol = true");
    let message = query(1, "a.test", 1);
    world.ask(&message);
    let (forwarded, from) = receive(&world.backends[0]);
    let client = world.client.local_addr().unwrap();
    assert_eq!(forwarded[..16], *b"\r\n\r\n\0\r\nQUIT\n\x21\x12\x00\x0c");
    assert_eq!(forwarded[16..20], [127, 0, 0, 1]);
    assert_eq!(forwarded[24..26], client.port().to_be_bytes());
    world.backends[0].send_to(&response(&forwarded[28..]), from).unwrap();
    assert_eq!(world.answer(), response(&message));
}

#[test]
fn large_messages_pass() {
    let world = World::new(1, &[], "");
    let mut message = query(1, "a.test", 1);
    message.resize(60_000, 0);
    world.ask(&message);
    let (forwarded, from) = receive(&world.backends[0]);
    assert_eq!(forwarded.len(), 60_000);
    world.backends[0].send_to(&response(&forwarded), from).unwrap();
    assert_eq!(world.answer(), response(&message));
}

#[test]
fn bursts_are_answered_whole() {
    let world = World::new(1, &[], "");
    // As many as a socket's usual receive buffer holds.
    for first in (0..1000u16).step_by(200) {
        let numbers = first..first + 200;
        for number in numbers.clone() {
            world.ask(&query(number, &format!("n{number}.a.test"), 1));
        }
        for _ in numbers.clone() {
            let (forwarded, from) = receive(&world.backends[0]);
            world.backends[0].send_to(&response(&forwarded), from).unwrap();
        }
        let id = |answer: Vec<u8>| u16::from_be_bytes([answer[0], answer[1]]);
        let mut ids: Vec<u16> = numbers.clone().map(|_| id(world.answer())).collect();
        ids.sort_unstable();
        assert!(ids.into_iter().eq(numbers));
    }
}
