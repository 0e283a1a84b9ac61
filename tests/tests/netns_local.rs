//! A real server on the balancer's own host, at another port, behind native XDP.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::time::Duration;

use dproxy_common::reason::Reason;
use dproxy_lab::{Balancer, HOST_INTERFACE, Namespace, Topology, default_binary, skip_without_root};
use dproxy_tests::frames::{Question, ones_sum, wire_name};
use dproxy_tests::net::{
    Asker, Capture, Counters, Real, Software, configuration, egress_programs, finish, installed,
    kernel_counter, listeners, tables, wait_until,
};

/// The zone that the server has, and the pools that lead to it over each IP version.
const ZONE: &str = "local.test.";
/// The server: over IPv4 at another address than the listener, over IPv6 at the same.
const SERVER: [&str; 2] = ["192.0.2.1:5300", "[2001:db8:53::53]:5300"];
const PATIENCE: Duration = Duration::from_secs(10);

/// The small internet with NSD on the balancer's host.
struct Stage {
    _server: Real,
    topology: Topology,
}

fn server() -> [SocketAddr; 2] {
    SERVER.map(|address| address.parse().unwrap())
}

impl Stage {
    fn new(name: &str) -> Self {
        let topology = Topology::builder(name).build().unwrap();
        let server = Real::start_at(&topology, &topology.balancer, server(), Software::Nsd, &[ZONE]);
        Self { _server: server, topology }
    }

    /// Starts dproxy with one pool, whose backend gets the clients of its IP version.
    fn start(&self, backend: &str) -> Balancer {
        let tables = tables(&[("here", backend)], &[(".", "here")]);
        let config = configuration(&self.topology, "native", &tables);
        Balancer::start(&self.topology, &default_binary().unwrap(), &config).unwrap()
    }

    fn client(&self) -> &Namespace {
        &self.topology.client.namespace
    }

    fn client_interface(&self) -> &str {
        &self.topology.client.balancer_interface
    }
}

/// Questions with answers of all kinds, with and without EDNS, as messages.
fn questions() -> Vec<Vec<u8>> {
    let hosts = ["www", "ww", "text", "nope", "many"].map(|host| format!("{host}.{ZONE}"));
    let names = hosts.iter().map(|host| wire_name(host)).chain([wire_name("other.test")]);
    let plain: Vec<Question> = names
        .flat_map(|name| [1, 16].map(|qtype| Question { qtype, ..Question::of_wire(name.clone()) }))
        .collect();
    let with_edns = plain.iter().map(|question| question.clone().with_opt(1232, true));
    plain.iter().cloned().chain(with_edns).map(|question| question.octets()).collect()
}

#[test]
fn a_server_on_this_host_answers_as_if_it_were_asked_directly() {
    if skip_without_root() {
        return;
    }
    let stage = Stage::new("e2e-local");
    for ((backend, listener), client) in
        server().into_iter().zip(listeners()).zip(stage.topology.client.sockets(0))
    {
        let balancer = stage.start(&backend.to_string());
        let before = Counters::read(&balancer);
        // What is on the wire, and what the server gets and sends.
        let outside = Capture::start(stage.client(), HOST_INTERFACE, "udp");
        let inside = Capture::start(&stage.topology.balancer, stage.client_interface(), "udp");
        let asker = Asker::new(stage.client(), listener);
        let direct = Asker::new(&stage.topology.balancer, backend);
        let questions = questions();
        for question in &questions {
            // Over the loopback interface, which is not the fast path's.
            let expected = direct.exchange(question).unwrap();
            assert_eq!(asker.exchange(question).unwrap(), expected, "{question:02x?} over {listener}");
        }
        let frames = 2 * questions.len();
        let (outside, inside) = (outside.stop(frames), inside.stop(frames));
        for (text, side) in [(&outside, "client"), (&inside, "server")] {
            assert_eq!(text.matches("[udp sum ok]").count(), frames, "{side}: {text}");
        }
        let dotted = |address: SocketAddr| format!("{}.{}", address.ip(), address.port());
        let query = format!("{}.{} > {}:", client.ip(), asker.address().port(), dotted(backend));
        assert_eq!(inside.matches(&query).count(), questions.len(), "the server sees its client: {inside}");
        assert!(!outside.contains(&dotted(backend)), "the client sees the listener alone: {outside}");

        let counted = Counters::read(&balancer).since(&before);
        for reason in [Reason::QueryDelivered, Reason::ReplyDelivered] {
            assert_eq!(counted.of(reason), questions.len() as u64, "{}: {counted:?}", reason.label());
        }
        assert_eq!(kernel_counter(stage.client(), "InCsumErrors"), 0);
        assert_eq!(kernel_counter(&stage.topology.balancer, "InCsumErrors"), 0);
        let stats = balancer.cli(&["stats"]).unwrap();
        for counter in ["queries", "replies"] {
            assert_eq!(stats["backends"][0][counter], questions.len(), "{counter}: {stats:#}");
        }
        assert_eq!(dig(&stage, listener), "192.0.2.80\n");

        assert_eq!(egress_programs(&stage.topology.balancer).len(), stage.topology.interfaces().len());
        drop(balancer);
        assert!(egress_programs(&stage.topology.balancer).is_empty());
    }
}

/// Another balancer that has the server among its backends, say.
#[test]
fn who_asks_the_server_itself_hears_from_it() {
    if skip_without_root() {
        return;
    }
    let stage = Stage::new("e2e-local-direct");
    for (backend, listener) in server().into_iter().zip(listeners()) {
        let balancer = stage.start(&backend.to_string());
        let before = Counters::read(&balancer);
        let through = Asker::new(stage.client(), listener);
        let direct = Asker::new(stage.client(), backend);
        let questions = questions();
        for question in &questions {
            // Their sockets take no reply but from whom they asked.
            let expected = direct.exchange(question).expect("the server's own address");
            assert_eq!(through.exchange(question).expect("the listener"), expected, "{question:02x?}");
        }
        let counted = Counters::read(&balancer).since(&before);
        for reason in [Reason::QueryDelivered, Reason::ReplyDelivered] {
            assert_eq!(counted.of(reason), questions.len() as u64, "{}: {counted:?}", reason.label());
        }
    }
}

fn dig(stage: &Stage, listener: SocketAddr) -> String {
    let mut dig = stage.client().command(installed("dig"));
    let (server, name) = (format!("@{}", listener.ip()), format!("www.{ZONE}"));
    finish(dig.args([&server, "+short", &name, "A"]), PATIENCE).output
}

/// The stack leaves the checksum to the hardware, and the egress program finds the pseudo-header's sum
/// instead.
#[test]
fn a_checksum_that_the_hardware_is_to_make_stays_right() {
    if skip_without_root() {
        return;
    }
    let stage = Stage::new("e2e-local-partial");
    let mut ethtool = stage.topology.balancer.command(installed("ethtool"));
    ethtool.args(["-K", stage.client_interface(), "tx", "on"]);
    assert_eq!(finish(&mut ethtool, PATIENCE).code, Some(0));
    for (backend, listener) in server().into_iter().zip(listeners()) {
        let _balancer = stage.start(&backend.to_string());
        let capture = Capture::start(stage.client(), HOST_INTERFACE, "udp");
        assert_eq!(dig(&stage, listener), "192.0.2.80\n", "over {listener}");
        let header = if listener.is_ipv4() { 20 } else { 40 };
        let reply = capture.find(|frame| frame[14 + header..][..2] == [0, 53]);
        let (ip, udp) = reply[14..].split_at(header);
        // Source, destination, length and protocol (RFC 768, RFC 8200 §8.1).
        let addresses = if listener.is_ipv4() { &ip[12..20] } else { &ip[8..40] };
        let pseudo_header = [addresses, &udp[4..6], &[0, 17]].concat();
        assert_eq!(udp[6..8], ones_sum(&pseudo_header).to_be_bytes(), "{listener}: {reply:02x?}");
        assert_eq!(kernel_counter(stage.client(), "InCsumErrors"), 0);
    }
}

/// Whatever the stack would send past the egress program keeps the fast path away.
#[test]
fn with_a_way_past_the_fast_path_there_is_the_slow_one() {
    if skip_without_root() {
        return;
    }
    let stage = Stage::new("e2e-local-bypass");
    let balancer = stage.start(SERVER[0]);
    let (ip, listener) = (|arguments| stage.topology.balancer.ip(arguments).unwrap(), listeners()[0]);
    assert_eq!(dig(&stage, listener), "192.0.2.80\n");
    let passed = |balancer: &Balancer| {
        let before = Counters::read(balancer);
        let asker = Asker::new(stage.client(), listener).patience(Duration::from_millis(100));
        let _ = asker.exchange(&questions()[0]);
        let counted = Counters::read(balancer).since(&before);
        counted.of(Reason::BackendSlowPath) == 1
    };
    ip("link add other type veth peer name other-far");
    ip("addr add 10.99.0.1/24 dev other");
    ip("link set other up");
    ip("link set other-far up");
    assert!(!passed(&balancer), "a network of its own there is no matter");
    ip("route add default via 10.99.0.2");
    wait_until("the slow path to be chosen", PATIENCE, || passed(&balancer));
    let why = balancer.cli(&["pool", "show", "here"]).unwrap()["backends"][0]["why"].clone();
    let expected =
        "it is on this host, and its replies may leave by other, which is not among listen.interfaces";
    assert_eq!(why, expected);
    ip("route del default");
    wait_until("the fast path to be back", PATIENCE, || !passed(&balancer));
    assert_eq!(dig(&stage, listener), "192.0.2.80\n");
}
