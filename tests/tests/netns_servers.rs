//! Real servers behind the balancer: what dig and kdig see is the same as without it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::thread;

use dproxy_lab::{Balancer, Topology, default_binary, skip_without_root};
use dproxy_tests::net::{B1, B1_V6, Real, Software, Tool, configuration, listeners, long_name, tables};

/// The zone behind an IPv4 backend, and that behind an IPv6 backend.
const ZONES: [&str; 2] = ["four.test.", "six.test."];

/// A question, with options that dig and kdig have in common; `@` stands for the zone.
struct Row {
    shows: &'static str,
    question: &'static str,
    /// Something of what the tools print.
    answer: &'static str,
    /// If it has to be asked in other words for the same answer without the balancer: what is put in place
    /// of what, and why.
    directly: Option<(&'static str, &'static str, &'static str)>,
}

const fn row(shows: &'static str, question: &'static str, answer: &'static str) -> Row {
    Row { shows, question, answer, directly: None }
}

const CLAMPED: &str =
    "the balancer lowers the size in the query to 1232, the default of listen.edns_udp_size";

const ROWS: [Row; 38] = [
    row("A", "www.@ A", "192.0.2.80"),
    row("A, without EDNS", "www.@ A +noedns", "192.0.2.80"),
    row("AAAA", "www.@ AAAA", "2001:db8::80"),
    row("several A", "many.@ A", "192.0.2.3"),
    row("TXT", "text.@ TXT", "\"hello\" \"world\""),
    row("MX, with addresses", "@ MX", "mail.example."),
    row("SOA", "@ SOA", "hostmaster."),
    row("NS", "@ NS", "ns."),
    row("CNAME", "alias.@ A", "192.0.2.80"),
    row("wildcard", "any.thing.wild.@ A", "192.0.2.99"),
    row("a dot in a label", "a\\.dot.@ TXT", "a dot in a label"),
    row("NXDOMAIN", "nope.@ A", "NXDOMAIN"),
    row("NODATA", "only4.@ AAAA", "NOERROR"),
    row("an empty non-terminal", "wild.@ A", "NOERROR"),
    row("ANY", "www.@ ANY", "NOERROR"),
    row("unknown type", "unknown.@ TYPE65280", "C0000201"),
    row("unknown type, NODATA", "www.@ TYPE65280", "NOERROR"),
    row("mixed case", "wWw.@ A", "wWw."),
    row("a name of 255 octets", "LONG TXT", "a long name"),
    row("no recursion desired", "www.@ A +norecurse", "192.0.2.80"),
    row("checking disabled", "www.@ A +cdflag", "192.0.2.80"),
    row("DO", "www.@ A +dnssec", "lags: do"),
    row("DO, NXDOMAIN", "nope.@ A +dnssec", "lags: do"),
    row("NSID", "www.@ A +nsid", "real-"),
    row("cookie", "www.@ A +cookie=0123456789abcdef", "192.0.2.80"),
    row("padding", "www.@ A +padding=64", "192.0.2.80"),
    row("client subnet", "www.@ A +subnet=203.0.113.0/24", "192.0.2.80"),
    row("all options at once", "www.@ A +dnssec +nsid +padding=64 +cookie=0123456789abcdef", "real-"),
    row("an unknown option", "www.@ A +ednsopt=65001:c0ffee", "192.0.2.80"),
    row("EDNS version 1", "www.@ A +edns=1", "BADVERS"),
    row("another zone: REFUSED", "www.example.org A", "REFUSED"),
    row("truncated at 512", "medium.@ TXT +noedns", " tc"),
    row("truncated at 1232", "large.@ TXT +bufsize=1232", " tc"),
    row("more than 512", "medium.@ TXT +bufsize=1232", "08 xxx"),
    Row {
        shows: "a large answer to a query that allows 4096",
        question: "large.@ TXT +bufsize=4096",
        answer: " tc",
        directly: Some(("4096", "1232", CLAMPED)),
    },
    row("class CH: version.bind", "version.bind TXT CH", "-in-a-test"),
    row("class CH: id.server", "id.server TXT CH", "real-"),
    row("class CH: a name that no server has", "nope.bind TXT CH", "nope.bind."),
];

#[test]
fn nsd_answers_as_directly() {
    if !skip_without_root() {
        compare("e2e-nsd", Software::Nsd);
    }
}

#[test]
fn knot_answers_as_directly() {
    if !skip_without_root() {
        compare("e2e-knot", Software::Knot);
    }
}

#[test]
fn bind_answers_as_directly() {
    if !skip_without_root() {
        compare("e2e-bind", Software::Bind);
    }
}

#[test]
fn unbound_answers_as_directly() {
    if !skip_without_root() {
        compare("e2e-unbound", Software::Unbound);
    }
}

/// Asks every question with both tools, over both IP versions, for both zones.
fn compare(name: &str, software: Software) {
    let topology = Topology::builder(name).build().unwrap();
    let server = Real::start(&topology, &topology.backends[0], software, &ZONES);
    let pools = tables(&[("four", B1), ("six", B1_V6)], &[(".", "four"), ("six.test", "six")]);
    let config = configuration(&topology, "native", &pools);
    let _balancer = Balancer::start(&topology, &default_binary().unwrap(), &config).unwrap();

    let differences: Vec<String> = thread::scope(|scope| {
        let topology = &topology;
        let compare = |(zone, backend)| scope.spawn(move || differences(topology, zone, backend));
        let zones: Vec<_> = ZONES.into_iter().zip(server.addresses).map(compare).collect();
        zones.into_iter().flat_map(|zone| zone.join().unwrap()).collect()
    });
    assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences.join("\n\n"));
}

/// Where what is seen through the balancer, over both IP versions, is not what is seen directly.
fn differences(topology: &Topology, zone: &str, backend: SocketAddr) -> Vec<String> {
    let mut differences = Vec::new();
    let client = &topology.client.namespace;
    for tool in [Tool::dig(client), Tool::kdig(client)] {
        for Row { shows, question, answer, directly } in &ROWS {
            let question = question.replace("LONG", &long_name(zone)).replace('@', zone);
            let (from, to, why) = directly.unwrap_or(("@", "@", ""));
            let directly = tool.ask(backend, &question.replace(from, to));
            assert!(
                directly.contains(answer),
                "{shows}: `{answer}` is not in the server's answer:\n{directly}"
            );
            for listener in listeners() {
                let balanced = tool.ask(listener, &question);
                if balanced != directly {
                    differences.push(format!(
                        "{shows}: {tool:?} @{listener} {question}\n-- through dproxy:\n{balanced}\n\
                         -- directly {why}:\n{directly}"
                    ));
                }
            }
        }
    }
    differences
}
