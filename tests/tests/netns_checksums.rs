//! No packet is damaged and none is lost: what tcpdump, the kernel, dnsperf and dproxy itself count.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use dproxy_common::reason::Reason;
use dproxy_lab::{Balancer, HOST_INTERFACE, Namespace, Topology, default_binary, skip_without_root};
use dproxy_tests::frames::wire_name;
use dproxy_tests::net::{
    Asker, B1, B1_V6, B2_V6, Capture, Counters, Real, Site, Software, configuration, finish, installed,
    kernel_counter, listeners, tables,
};

/// Both IP versions of clients, to both of backends: a name for each backend.
const WAYS: [&str; 2] = ["four.test.", "six.test."];

fn pools(v4: &str, v6: &str) -> String {
    tables(&[("four", v4), ("six", v6)], &[("four.test", "four"), ("six.test", "six")])
}

#[test]
fn tcpdump_sees_valid_checksums_on_both_sides() {
    if skip_without_root() {
        return;
    }
    let site = Site::new("e2e-tcpdump", &pools(B1, B2_V6));
    let [client, backend4, backend6] =
        [&site.topology.client, &site.topology.backends[0], &site.topology.backends[1]];
    let captures = [client, backend4, backend6]
        .map(|host| Capture::start(&host.namespace, HOST_INTERFACE, "udp and port 53"));
    // Names of all lengths, so that payloads of odd and of even length are among them.
    const NAMES: usize = 20;
    for mut asker in site.askers() {
        for (zone, server) in WAYS.into_iter().zip(["a", "b"]) {
            for length in 1..=NAMES {
                let who = asker.who(&wire_name(&format!("{}.{zone}", "x".repeat(length))));
                if who != server {
                    assert_no_checksum_errors(&site.topology);
                }
                assert_eq!(who, server, "{zone} from {}", asker.address());
            }
        }
    }
    // A query and a response for each name, on the client's side in two IP versions for two zones.
    let expected = [8 * NAMES, 4 * NAMES, 4 * NAMES];
    for ((capture, packets), side) in
        captures.into_iter().zip(expected).zip(["client", "v4 backend", "v6 backend"])
    {
        assert_valid(&capture.stop(packets), packets, side);
    }
    assert_no_checksum_errors(&site.topology);
}

/// tcpdump has found every checksum right.
fn assert_valid(text: &str, packets: usize, side: &str) {
    assert_eq!(text.matches("[udp sum ok]").count(), packets, "{side}: every UDP checksum is right:\n{text}");
    for complaint in ["bad udp cksum", "bad cksum", "no cksum"] {
        assert!(!text.contains(complaint), "{side}: tcpdump says `{complaint}`:\n{text}");
    }
}

/// The receivers' own opinion, in every namespace.
fn assert_no_checksum_errors(topology: &Topology) {
    let hosts = [&topology.client].into_iter().chain(&topology.backends).map(|host| &host.namespace);
    let namespaces: Vec<&Namespace> = hosts.chain([&topology.balancer]).collect();
    for namespace in namespaces {
        let errors = kernel_counter(namespace, "InCsumErrors");
        assert_eq!(errors, 0, "InCsumErrors in {}", namespace.name());
    }
}

/// Names in the file that dnsperf reads, again and again.
const FILE: usize = 1000;
/// Queries over each IP version.
const QUERIES: usize = 100_000;
const PATIENCE: Duration = Duration::from_secs(40);

#[test]
fn dnsperf_loses_none_of_100_000_queries() {
    if skip_without_root() {
        return;
    }
    let topology = Topology::builder("e2e-dnsperf").build().unwrap();
    // A real server keeps up where the lab's, which tests build without optimisation, might not.
    let _server = Real::start(&topology, &topology.backends[0], Software::Nsd, &WAYS);
    let config = configuration(&topology, "native", &pools(B1, B1_V6));
    let balancer = Balancer::start(&topology, &default_binary().unwrap(), &config).unwrap();
    let before = Counters::read(&balancer);
    for listener in listeners() {
        dnsperf(&topology, listener);
    }
    let counted = Counters::read(&balancer).since(&before);
    let queries = 2 * QUERIES as u64;
    for reason in [Reason::QueryForwarded, Reason::ReplyForwarded] {
        assert_eq!(counted.of(reason), queries, "{}: {counted:?}", reason.label());
    }
    // Neighbour discovery goes on meanwhile.
    let others = counted.total() - counted.of(Reason::NotIp) - counted.of(Reason::NotForListener);
    assert_eq!(others, 2 * queries, "nothing else happened: {counted:?}");
    assert_every_level_agrees(&balancer);
    assert_no_checksum_errors(&topology);

    let dig = |listener: SocketAddr| {
        let server = format!("@{}", listener.ip());
        let mut dig = topology.client.namespace.command(installed("dig"));
        finish(dig.args([&server, "+short", "www.six.test", "A"]), PATIENCE).output
    };
    assert_eq!(listeners().map(dig), ["192.0.2.80\n", "192.0.2.80\n"], "dig after all that");
}

fn dnsperf(topology: &Topology, listener: SocketAddr) {
    let file = topology.instance().folder().join("queries");
    let names = ["www.@ A", "text.@ TXT", "nope.@ A", "many.@ A", "www.@ AAAA"];
    let line =
        |number: usize| names[number % names.len()].replace('@', WAYS[number / names.len() % 2]) + "\n";
    fs::write(&file, (0..FILE).map(line).collect::<String>()).unwrap();
    let mut command = topology.client.namespace.command(installed("dnsperf"));
    command.args(["-s", &listener.ip().to_string(), "-d"]).arg(&file);
    // At most 100 at a time: a veth queues 256 frames. One without an answer is lost after a second, and
    // after 20 all ends.
    command.args(["-q", "100", "-c", "4", "-t", "1", "-l", "20", "-n", &(QUERIES / FILE).to_string()]);
    let ended = finish(&mut command, PATIENCE);
    let number = |what: &str| {
        let line = ended.output.lines().find_map(|line| line.trim().strip_prefix(what)).unwrap_or_default();
        line.split_whitespace().next().and_then(|number| number.parse().ok())
    };
    println!("{}", ended.output);
    assert_eq!(number("Queries completed:"), Some(QUERIES), "{}{}", ended.output, ended.error);
    assert_eq!(number("Queries lost:"), Some(0), "{}{}", ended.output, ended.error);
}

/// Listeners, routes, pools and backends have counted the same queries.
fn assert_every_level_agrees(balancer: &Balancer) {
    let stats = balancer.cli(&["stats"]).unwrap();
    let sum = |level: &str, counter: &str| -> u64 {
        stats[level].as_array().unwrap().iter().map(|entry| entry[counter].as_u64().unwrap()).sum()
    };
    let queries = stats["reasons"]["query-forwarded"].as_u64().unwrap();
    for (level, counter) in [
        ("listeners", "queries"),
        ("listeners", "responses"),
        ("routes", "queries"),
        ("pools", "queries"),
        ("backends", "queries"),
        ("backends", "replies"),
    ] {
        assert_eq!(sum(level, counter), queries, "{counter} of all {level}: {stats:#}");
    }
    let codes = ["noerror", "nxdomain", "servfail", "refused", "other"].map(|code| sum("backends", code));
    assert_eq!(codes.iter().sum::<u64>(), queries, "replies by response code");
    assert_eq!(codes[1], queries / 5, "one name in five does not exist");
}

#[test]
fn answers_made_in_the_kernel_have_valid_checksums() {
    if skip_without_root() {
        return;
    }
    // What a route says, and what is seen of it.
    let answers = [
        ("refused", "refused"),
        ("nxdomain", "nxdomain"),
        ("servfail", "servfail"),
        ("truncate", "truncated"),
    ];
    let routes = answers.map(|(answer, _)| (answer, answer));
    let site = Site::new("e2e-answers", &tables(&[("p", B1)], &routes));
    let client = &site.topology.client.namespace;
    let capture = Capture::start(client, HOST_INTERFACE, "udp and port 53");
    for listener in listeners() {
        let mut asker = Asker::new(client, listener);
        for (name, expected) in answers {
            for length in 1..=5 {
                let name = wire_name(&format!("{}.{name}", "x".repeat(length)));
                assert_eq!(asker.who(&name), expected);
            }
        }
        assert_eq!(asker.who(&wire_name("no.route")), "refused");
    }
    // Over two IP versions, five queries for each of four answers and one without a route, and responses.
    assert_valid(&capture.stop(84), 84, "client");
    assert_no_checksum_errors(&site.topology);
}
