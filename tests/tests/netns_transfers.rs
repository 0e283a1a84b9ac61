//! Zone transfers: whole, as the server sends them, and in bounded memory.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write;
use std::net::SocketAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use dproxy_lab::{Balancer, Topology, default_binary, skip_without_root};
use dproxy_tests::frames::Question;
use dproxy_tests::net::messages::axfr;
use dproxy_tests::net::{
    Asker, B1, B1_V6, Counters, Real, Software, TcpAsker, allocated, configuration, framed, listeners,
    tables, wait_for, wait_until_reachable, zone_file,
};
use dproxy_userspace::slow_path::Reason;

const ZONE: &str = "big.test.";
const RECORDS: usize = 200_000;
/// How much more memory a transfer may take.
const GROWTH: u64 = 10 << 20;
const MIB: f64 = (1 << 20) as f64;
/// How long nothing has to come for a transfer to have stopped.
const QUIET: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(30);

/// What a transfer consists of: a record on each line, and the SOA once more (RFC 5936 §2.2).
fn all_records() -> usize {
    zone_file(ZONE).lines().filter(|line| !line.starts_with('$')).count() + RECORDS + 1
}

/// A zone with this many records more than usual.
fn big_zone() -> String {
    let mut text = zone_file(ZONE);
    for number in 0..RECORDS {
        let [_, a, b, c] = (number as u32).to_be_bytes();
        writeln!(text, "host{number} A 10.{a}.{b}.{c}").unwrap();
    }
    text
}

#[test]
fn two_hundred_thousand_records_of_nsd() {
    if !skip_without_root() {
        transfer("e2e-axfr-nsd", Software::Nsd);
    }
}

#[test]
fn two_hundred_thousand_records_of_knot() {
    if !skip_without_root() {
        transfer("e2e-axfr-knot", Software::Knot);
    }
}

#[test]
fn two_hundred_thousand_records_of_bind() {
    if !skip_without_root() {
        transfer("e2e-axfr-bind", Software::Bind);
    }
}

/// So small that the kernels on the way do not keep a whole transfer, whose reader sleeps.
const BUFFERS: [(&str, &str); 2] =
    [("net/ipv4/tcp_wmem", "4096 16384 131072"), ("net/ipv4/tcp_rmem", "4096 131072 131072")];

fn transfer(name: &str, software: Software) {
    let topology = Topology::builder(name).build().unwrap();
    for namespace in [&topology.client.namespace, &topology.balancer, &topology.backends[0].namespace] {
        namespace.set_parameters(&BUFFERS).unwrap();
    }
    let host = &topology.backends[0];
    let files = [(ZONE, big_zone())];
    let server = Real::start_with(&topology, &host.namespace, host.sockets(53), software, &files);
    let directly = read(&mut begin(&topology, server.addresses[0]));
    let tables = tables(&[("four", B1), ("six", B1_V6)], &[(".", "four"), ("six.test", "six")]);
    let config = configuration(&topology, "native", &tables);
    let balancer = Balancer::start(&topology, &default_binary().unwrap(), &config).unwrap();
    wait_until_reachable(&balancer);
    // What is needed once.
    TcpAsker::new(&topology.client.namespace, listeners()[0]).exchange(&www()).unwrap();

    for listener in listeners() {
        let (before, counted) = (allocated(balancer.pid()), Counters::read(&balancer));
        let start = Instant::now();
        let balanced = read(&mut begin(&topology, listener));
        let (octets, took) = (balanced.octets.len(), start.elapsed());
        assert_same(&balanced, &directly);
        let grown = allocated(balancer.pid()).saturating_sub(before);
        println!("{software:?} @{listener}: {octets} octets, {took:?}, {:.1} MiB more", grown as f64 / MIB);
        assert!(grown < GROWTH, "the daemon has {grown} octets more");
        let counted = Counters::read(&balancer).since(&counted);
        assert_eq!(counted.slow(Reason::TransferForwarded), 1);
        assert_eq!(counted.slow(Reason::TransferReplied), balanced.messages);
        assert_eq!(counted.slow(Reason::TcpReplied), 1, "www");
    }
    slow_reader(&topology, &balancer, &directly);
}

/// Who does not read makes the server wait, and takes no memory; and gets it all when they do read.
fn slow_reader(topology: &Topology, balancer: &Balancer, directly: &Transfer) {
    let before = allocated(balancer.pid());
    let replied = || Counters::read(balancer).slow(Reason::TransferReplied);
    let first = replied();
    let mut reader = begin(topology, listeners()[0]);
    let (mut last, mut since) = (replied(), Instant::now());
    wait_for("the transfer to stop", PATIENCE, || {
        let now = replied();
        if now != last {
            (last, since) = (now, Instant::now());
        }
        sleep(Duration::from_millis(50));
        (since.elapsed() >= QUIET).then_some(())
    });
    let grown = allocated(balancer.pid()).saturating_sub(before);
    let sent = last - first;
    println!("nobody reads: {sent} of {} messages, {:.1} MiB more", directly.messages, grown as f64 / MIB);
    assert!(sent < directly.messages / 2, "the transfer waits for its reader");
    assert!(grown < GROWTH, "the daemon has {grown} octets more");
    let answer = Asker::new(&topology.client.namespace, listeners()[1]).exchange(&www());
    assert_eq!(answer.unwrap()[3] & 0xf, 0, "others are answered meanwhile");
    assert_same(&read(&mut reader), directly);
    let grown = allocated(balancer.pid()).saturating_sub(before);
    assert!(grown < GROWTH, "the daemon has {grown} octets more");
}

fn www() -> Vec<u8> {
    Question::new(&format!("www.{ZONE}")).octets()
}

fn begin(topology: &Topology, server: SocketAddr) -> TcpAsker {
    let mut asker = TcpAsker::new(&topology.client.namespace, server);
    asker.send([axfr(ZONE).octets().as_slice()]);
    asker
}

/// What came, as it came.
struct Transfer {
    octets: Vec<u8>,
    messages: u64,
}

fn assert_same(balanced: &Transfer, directly: &Transfer) {
    assert_eq!(balanced.messages, directly.messages, "messages");
    assert!(balanced.octets == directly.octets, "the transfer differs from the server's own");
}

/// Reads all records of the zone.
fn read(asker: &mut TcpAsker) -> Transfer {
    let all = all_records();
    let (mut octets, mut messages, mut records) = (Vec::new(), 0, 0);
    while records < all {
        let message = asker.receive();
        assert_eq!(message[..2], axfr(ZONE).octets()[..2], "each message has the query's ID");
        assert_eq!(message[3] & 0xf, 0, "response code");
        records += usize::from(u16::from_be_bytes([message[6], message[7]]));
        messages += 1;
        octets.extend(framed(&message));
    }
    assert_eq!(records, all);
    let answer = asker.exchange(&www()).unwrap();
    assert_eq!(answer[12..www().len()], www()[12..], "nothing comes behind it, and the connection goes on");
    Transfer { octets, messages }
}
