//! Answers that are larger than a packet: whole, where they can be, or else truncated, and then over TCP from
//! the same pool.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use dproxy_lab::{Balancer, Topology, default_binary, skip_without_root};
use dproxy_tests::frames::Question;
use dproxy_tests::net::{
    Asker, B1, B1_V6, B2, Counters, Real, Software, TcpAsker, configuration, finish, installed, listeners,
    tables, wait_until_reachable,
};

/// Behind an IPv4 backend, and behind an IPv6 backend.
const ZONES: [&str; 2] = ["four.test", "six.test"];
const PATIENCE: Duration = Duration::from_secs(10);
const TXT: u16 = 16;
const TC: u8 = 2;
/// A path of [`Counters::path`].
const FAST: &str = "query-forwarded reply-forwarded |";
/// The backend's answer comes in fragments, too.
const IN_PIECES: &str = "edns-size fragment | udp-forwarded udp-replied";
const SLOW: &str = "| udp-forwarded udp-replied";
const OVER_TCP: &str = "tcp | tcp-forwarded tcp-replied";

/// A setting, and what comes of a query that allows 4096 octets.
struct Row {
    xdp: &'static str,
    edns_udp_size: &'static str,
    /// What the server is told.
    size: u16,
    path: &'static str,
}

const ROWS: [Row; 4] = [
    Row { xdp: "native", edns_udp_size: "1232", size: 1232, path: FAST },
    Row { xdp: "native", edns_udp_size: "\"off\"", size: 4096, path: IN_PIECES },
    Row { xdp: "off", edns_udp_size: "\"off\"", size: 4096, path: SLOW },
    // The slow path takes fragments, and lowers nothing.
    Row { xdp: "off", edns_udp_size: "1232", size: 4096, path: SLOW },
];

/// The answer has about 2,800 octets.
fn large(zone: &str, size: u16) -> Vec<u8> {
    Question { qtype: TXT, ..Question::new(&format!("large.{zone}")) }.with_opt(size, false).octets()
}

#[test]
fn large_answers_come_whole_or_by_tcp() {
    if skip_without_root() {
        return;
    }
    for (name, software) in [
        ("e2e-large-nsd", Software::Nsd),
        ("e2e-large-knot", Software::Knot),
        ("e2e-large-bind", Software::Bind),
    ] {
        let topology = Topology::builder(name).build().unwrap();
        let server = Real::start(&topology, &topology.backends[0], software, &["four.test.", "six.test."]);
        for row in &ROWS {
            compare(&topology, &server, row);
        }
    }
}

fn compare(topology: &Topology, server: &Real, row: &Row) {
    // A pool that is not asked.
    let pools = [("four", B1), ("six", B1_V6), ("other", B2)];
    let tables = tables(&pools, &[(".", "other"), ("four.test", "four"), ("six.test", "six")]);
    let size = format!("edns_udp_size = {}\n", row.edns_udp_size);
    let config = configuration(topology, row.xdp, &(size + &tables));
    let balancer = Balancer::start(topology, &default_binary().unwrap(), &config).unwrap();
    wait_until_reachable(&balancer);
    let client = &topology.client.namespace;
    let servers = ZONES.into_iter().zip(server.addresses);
    let direct = servers.map(|(zone, backend)| {
        let directly = Asker::new(client, backend).exchange(&large(zone, row.size)).unwrap();
        assert_eq!(directly[2] & TC != 0, row.size == 1232, "{zone}: the server's answer");
        let mut over_tcp = TcpAsker::new(client, backend);
        let whole = over_tcp.exchange(&large(zone, 4096)).unwrap();
        over_tcp.close();
        (zone, directly, whole)
    });
    let direct: Vec<_> = direct.collect();
    let at =
        |zone, listener| format!("{zone} @{listener}, xdp {}, edns_udp_size {}", row.xdp, row.edns_udp_size);
    let all = || direct.iter().flat_map(|expected| listeners().map(|listener| (expected, listener)));
    // Over UDP first: connections may end later than they should, and all that crosses the balancer counts.
    for ((zone, directly, _), listener) in all() {
        let before = Counters::read(&balancer);
        let balanced = Asker::new(client, listener).exchange(&large(zone, 4096));
        assert_eq!(balanced, Ok(directly.clone()), "{}", at(zone, listener));
        assert_eq!(Counters::read(&balancer).since(&before).path(), row.path, "{}", at(zone, listener));
    }
    for ((zone, _, whole), listener) in all() {
        let before = Counters::read(&balancer);
        let mut asker = TcpAsker::new(client, listener);
        assert_eq!(asker.exchange(&large(zone, 4096)), Ok(whole.clone()), "{}, TCP", at(zone, listener));
        let path = if row.xdp == "off" { &OVER_TCP[4..] } else { OVER_TCP };
        assert_eq!(Counters::read(&balancer).since(&before).path(), path, "{}, TCP", at(zone, listener));
    }
    let asked = |pool: &str| {
        let stats = balancer.cli(&["stats"]).unwrap();
        let pools = stats["pools"].as_array().unwrap().clone();
        pools.iter().find(|stats| stats["name"] == pool).unwrap()["queries"].as_u64().unwrap()
    };
    assert_eq!(["four", "six", "other"].map(asked), [4, 4, 0], "UDP and TCP go to the same pool");

    // A resolver that follows TC=1 by itself.
    let before = ["four", "six", "other"].map(asked);
    let mut dig = client.command(installed("dig"));
    dig.args([&format!("@{}", listeners()[0].ip()), "+short", "+bufsize=1232", "large.six.test", "TXT"]);
    assert_eq!(finish(&mut dig, PATIENCE).output.lines().count(), 28, "dig asks again over TCP");
    let asked = ["four", "six", "other"].map(asked);
    assert_eq!([0, 1, 2].map(|pool| asked[pool] - before[pool]), [0, 2, 0], "both times the same pool");
}
