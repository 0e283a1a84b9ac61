//! Whatever is asked, and however: the answer through dproxy is the server's own, and it is seen which path
//! it took.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use dproxy_lab::{Balancer, Topology, default_binary, skip_without_root};
use dproxy_tests::frames::Question;
use dproxy_tests::net::messages::{ixfr, no_question, notify, padded, two_questions, update};
use dproxy_tests::net::{
    Asker, B1, B1_V6, Counters, Real, Software, TcpAsker, configuration, listeners, tables,
    wait_until_reachable,
};

/// The zone behind an IPv4 backend, and that behind an IPv6 backend.
const ZONES: [&str; 2] = ["four.test", "six.test"];

/// How a query comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Udp,
    /// With IPv4 options, or an IPv6 extension header.
    HeaderOptions,
    Tcp,
    /// From the balancer's own host.
    Local,
    LocalTcp,
}

/// A case. What is counted is as in [`Counters::path`].
struct Case {
    shows: &'static str,
    query: fn(&str) -> Vec<u8>,
    way: Way,
    /// What the native fast path counts, over IPv4 and IPv6.
    fast: [&'static str; 2],
    /// What the slow path counts: nothing, if the fast path does it all.
    slow: &'static str,
}

const UDP: &str = "udp-forwarded udp-replied";
const TCP: &str = "tcp-forwarded tcp-replied";

const fn case(shows: &'static str, query: fn(&str) -> Vec<u8>, way: Way, fast: &'static str) -> Case {
    Case { shows, query, way, fast: [fast, fast], slow: UDP }
}

const FAST: &str = "query-forwarded reply-forwarded";

fn www(zone: &str) -> Question {
    Question::new(&format!("www.{zone}"))
}

const CASES: [Case; 17] = [
    Case { slow: "", ..case("A", |zone| www(zone).octets(), Way::Udp, FAST) },
    Case { slow: "", ..case("EDNS", |zone| www(zone).with_opt(1232, true).octets(), Way::Udp, FAST) },
    Case { slow: "", ..case("IXFR over UDP, nothing new", |zone| ixfr(zone, 1).octets(), Way::Udp, FAST) },
    case("a fragmented query", |zone| padded(&www(zone), 1800).octets(), Way::Udp, "fragment"),
    Case {
        fast: ["ip-options", "extension-header"],
        ..case("options in the IP header", |zone| www(zone).octets(), Way::HeaderOptions, "")
    },
    case("no question", |_| no_question(0), Way::Udp, "question-count"),
    case("two questions", |zone| two_questions(&format!("www.{zone}")).octets(), Way::Udp, "question-count"),
    case("NOTIFY", |zone| notify(zone).octets(), Way::Udp, "opcode"),
    case("UPDATE of nothing", |zone| update(zone, "", 0).octets(), Way::Udp, "opcode"),
    case("UPDATE of another zone", |_| update("example.org", "", 0).octets(), Way::Udp, "opcode"),
    case(
        "a fragmented UPDATE of another zone",
        |_| update("example.org", "x.example.org", 9).octets(),
        Way::Udp,
        "fragment",
    ),
    case("an unknown opcode", |_| no_question(15 << 11), Way::Udp, "opcode"),
    case("a client on the balancer's host", |zone| www(zone).octets(), Way::Local, ""),
    Case { slow: TCP, ..case("the same over TCP", |zone| www(zone).octets(), Way::LocalTcp, "") },
    Case { slow: TCP, ..case("TCP", |zone| www(zone).octets(), Way::Tcp, "tcp") },
    Case { slow: TCP, ..case("a large answer over TCP", large, Way::Tcp, "tcp") },
    Case {
        slow: TCP,
        ..case("NXDOMAIN over TCP", |zone| Question::new(&format!("nope.{zone}")).octets(), Way::Tcp, "tcp")
    },
];

/// What a server does not answer: dproxy does, with SERVFAIL, when it has waited long enough.
const SILENT: (Software, &str) = (Software::Knot, "two questions");
/// How long that is.
const SETTINGS: &str = "[slow_path]\ntimeout = \"1s\"\n";
const SILENCE: Duration = Duration::from_millis(300);

/// What is truncated over UDP.
fn large(zone: &str) -> Vec<u8> {
    Question { qtype: 16, ..Question::new(&format!("large.{zone}")) }.with_opt(4096, false).octets()
}

#[test]
fn nsd_is_asked_in_every_way() {
    if !skip_without_root() {
        ask_everything("e2e-ways-nsd", Software::Nsd);
    }
}

#[test]
fn knot_is_asked_in_every_way() {
    if !skip_without_root() {
        ask_everything("e2e-ways-knot", Software::Knot);
    }
}

#[test]
fn bind_is_asked_in_every_way() {
    if !skip_without_root() {
        ask_everything("e2e-ways-bind", Software::Bind);
    }
}

/// All cases, over both IP versions, to backends of both, with the fast path and without.
fn ask_everything(name: &str, software: Software) {
    let topology = Topology::builder(name).build().unwrap();
    let zones = ZONES.map(|zone| format!("{zone}."));
    let server = Real::start(&topology, &topology.backends[0], software, &[&zones[0], &zones[1]]);
    let pools = tables(&[("four", B1), ("six", B1_V6)], &[(".", "four"), ("six.test", "six")]);
    let mut wrong = Vec::new();
    for is_native in [true, false] {
        let xdp = if is_native { "native" } else { "off" };
        let config = configuration(&topology, xdp, &(SETTINGS.to_owned() + &pools));
        let balancer = Balancer::start(&topology, &default_binary().unwrap(), &config).unwrap();
        wait_until_reachable(&balancer);
        let stage = Stage { topology: &topology, balancer, is_native };
        for case in &CASES {
            for (zone, backend) in ZONES.into_iter().zip(server.addresses) {
                let query = (case.query)(zone);
                let directly = match SILENT == (software, case.shows) {
                    false => stage.ask(case.way, backend, &query),
                    true => stage.silence(backend, &query),
                };
                for version in 0..2 {
                    let problem = stage.compare(case, version, &query, &directly);
                    let title = format!("{}, {zone}, xdp {xdp}, listener {version}", case.shows);
                    wrong.extend(problem.map(|problem| format!("{title}: {problem}")));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n\n"));
}

/// Where cases are tried.
struct Stage<'a> {
    topology: &'a Topology,
    balancer: Balancer,
    is_native: bool,
}

/// What a server says; `None` if it does not answer.
type Answer = Option<Vec<u8>>;

impl Stage<'_> {
    /// What is wrong, if anything is.
    fn compare(&self, case: &Case, version: usize, query: &[u8], directly: &Answer) -> Option<String> {
        let before = Counters::read(&self.balancer);
        let balanced = self.ask(case.way, listeners()[version], query);
        let path = Counters::read(&self.balancer).since(&before).path();
        let slow = match case.slow {
            _ if directly.is_none() => "retried-timeout servfail-timeout udp-forwarded",
            "" if !self.is_native => UDP,
            slow => slow,
        };
        let fast = if self.is_native { case.fast[version] } else { "" };
        let expected = format!("{fast} | {slow}").trim().to_owned();
        let answer = directly.clone().or_else(|| Some(servfail(query)));
        if balanced != answer {
            return Some(format!("it answers {balanced:02x?}\ninstead of {answer:02x?}, path `{path}`"));
        }
        (path != expected).then(|| format!("path `{path}` instead of `{expected}`"))
    }

    fn ask(&self, way: Way, server: SocketAddr, query: &[u8]) -> Answer {
        let (client, host) = (&self.topology.client.namespace, &self.topology.balancer);
        let answer = match way {
            Way::Udp => Asker::new(client, server).exchange(query),
            Way::HeaderOptions => Asker::new(client, server).with_header_options().exchange(query),
            Way::Tcp => TcpAsker::new(client, server).exchange(query),
            Way::Local => Asker::new(host, server).exchange(query),
            Way::LocalTcp => TcpAsker::new(host, server).exchange(query),
        };
        Some(answer.unwrap_or_else(|error| panic!("{server} does not answer {query:02x?}: {error}")))
    }

    /// Makes sure that there is no answer.
    fn silence(&self, server: SocketAddr, query: &[u8]) -> Answer {
        let asker = Asker::new(&self.topology.client.namespace, server).patience(SILENCE);
        assert_eq!(asker.exchange(query), Err(ErrorKind::WouldBlock), "the server is silent");
        None
    }
}

/// What dproxy itself answers: header and first question.
fn servfail(query: &[u8]) -> Vec<u8> {
    let name = query[12..].iter().position(|octet| *octet == 0).unwrap() + 1;
    let mut answer = query[..12 + name + 4].to_vec();
    answer[2..12].copy_from_slice(&[0x81, 2, 0, 1, 0, 0, 0, 0, 0, 0]);
    answer
}
