//! Backends that are no other host: on the balancer's own, at another port or on its loopback addresses, and in
//! a container.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;

use dproxy_lab::{Balancer, HOST_INTERFACE, Namespace, Topology, default_binary, skip_without_root};
use dproxy_tests::frames::Question;
use dproxy_tests::net::messages::notify;
use dproxy_tests::net::{
    Asker, Counters, Real, Software, TcpAsker, configuration, listeners, tables, wait_until_reachable,
};

/// The zone behind an IPv4 backend, and that behind an IPv6 backend.
const ZONES: [&str; 2] = ["four.test.", "six.test."];
/// The balancer's side of the bridge, and the container.
const BRIDGE: [&str; 2] = ["10.88.0.1", "2001:db8:88::1"];

/// Where a backend is.
struct Place {
    shows: &'static str,
    /// Over IPv4 and IPv6.
    addresses: [&'static str; 2],
    in_container: bool,
    /// What `dproxy pool show` says with native XDP, and part of why.
    path: &'static str,
    why: Option<&'static str>,
    /// What the fast path counts for a client of the same IP version.
    fast: &'static str,
}

const PLACES: [Place; 3] = [
    Place {
        shows: "another port of this host",
        addresses: ["192.0.2.1:5300", "[2001:db8:53::53]:5300"],
        in_container: false,
        path: "local",
        why: None,
        fast: "query-delivered reply-delivered",
    },
    Place {
        shows: "the loopback addresses",
        addresses: ["127.0.0.1:5301", "[::1]:5301"],
        in_container: false,
        path: "slow",
        why: Some("loopback"),
        fast: "backend-slow-path",
    },
    Place {
        shows: "a container behind a bridge",
        addresses: ["10.88.0.10:53", "[2001:db8:88::10]:53"],
        in_container: true,
        path: "slow",
        why: Some("bridge"),
        fast: "backend-slow-path",
    },
];

#[test]
fn nsd_is_nearby() {
    if !skip_without_root() {
        ask_nearby("e2e-near-nsd", Software::Nsd);
    }
}

#[test]
fn knot_is_nearby() {
    if !skip_without_root() {
        ask_nearby("e2e-near-knot", Software::Knot);
    }
}

#[test]
fn bind_is_nearby() {
    if !skip_without_root() {
        ask_nearby("e2e-near-bind", Software::Bind);
    }
}

fn ask_nearby(name: &str, software: Software) {
    let topology = Topology::builder(name).build().unwrap();
    let container = container(&topology);
    for place in &PLACES {
        let addresses: [SocketAddr; 2] = place.addresses.map(|address| address.parse().unwrap());
        let namespace = if place.in_container { &container } else { &topology.balancer };
        let _server = Real::start_at(&topology, namespace, addresses, software, &ZONES);
        let pools = [("four", place.addresses[0]), ("six", place.addresses[1])];
        let tables = tables(&pools, &[("four.test", "four"), ("six.test", "six")]);
        for xdp in ["native", "off"] {
            let config = configuration(&topology, xdp, &tables);
            let balancer = Balancer::start(&topology, &default_binary().unwrap(), &config).unwrap();
            wait_until_reachable(&balancer);
            for ((pool, zone), backend) in ["four", "six"].into_iter().zip(ZONES).zip(addresses) {
                let stage =
                    Stage { topology: &topology, balancer: &balancer, place, pool, zone, backend, xdp };
                stage.says_how();
                stage.answers();
            }
        }
    }
}

/// A namespace behind a bridge of the balancer, as container engines make them.
fn container(topology: &Topology) -> Namespace {
    let name = format!("{}-container", topology.instance().prefix());
    Namespace::remove(&name).unwrap();
    let container = Namespace::create(&name).unwrap();
    let host = &topology.balancer;
    host.add_bridge("bridge").unwrap();
    host.add_veth("container", &container, HOST_INTERFACE).unwrap();
    host.add_port("bridge", "container").unwrap();
    for (address, (own, length)) in BRIDGE.into_iter().zip([("10.88.0.10", 24), ("2001:db8:88::10", 64)]) {
        host.add_address("bridge", address.parse().unwrap(), length).unwrap();
        container.add_address(HOST_INTERFACE, own.parse().unwrap(), length).unwrap();
        container.add_default_route(address.parse().unwrap()).unwrap();
    }
    container
}

/// A backend, and dproxy in front of it.
struct Stage<'a> {
    topology: &'a Topology,
    balancer: &'a Balancer,
    place: &'a Place,
    pool: &'a str,
    zone: &'a str,
    backend: SocketAddr,
    xdp: &'static str,
}

impl Stage<'_> {
    fn says_how(&self) {
        let backend = self.balancer.cli(&["pool", "show", self.pool]).unwrap()["backends"][0].clone();
        let (path, why) = match self.xdp {
            "native" => (self.place.path, self.place.why),
            _ => ("slow", None),
        };
        assert_eq!(backend["path"], path, "{}: {backend:#}", self.place.shows);
        let said = backend["why"].as_str();
        println!("{}, xdp {}: {path}, {said:?}", self.place.shows, self.xdp);
        if let Some(why) = why {
            assert!(said.is_some_and(|said| said.contains(why)), "{}: {said:?}", self.place.shows);
        }
    }

    fn answers(&self) {
        let (client, host) = (&self.topology.client.namespace, &self.topology.balancer);
        let queries = [
            Question::new(&format!("www.{}", self.zone)).octets(),
            Question::new(&format!("nope.{}", self.zone)).with_opt(1232, true).octets(),
            Question { qtype: 16, ..Question::new(&format!("large.{}", self.zone)) }.octets(),
        ];
        for listener in listeners() {
            let fast = match self.xdp {
                "native" if listener.is_ipv4() == self.backend.is_ipv4() => self.place.fast,
                "native" => "backend-slow-path",
                _ => "",
            };
            let slow = if fast.contains("delivered") { "" } else { "udp-forwarded udp-replied" };
            let opcode = if self.xdp == "native" { "opcode" } else { "" };
            let notify = notify(self.zone).octets();
            let other = (&notify, opcode, "udp-forwarded udp-replied");
            for (query, fast, slow) in queries.iter().map(|query| (query, fast, slow)).chain([other]) {
                let udp = |namespace, server| Asker::new(namespace, server).exchange(query).unwrap();
                let directly = udp(host, self.backend);
                self.compare(listener, &format!("{fast} | {slow}"), &directly, || udp(client, listener));
                let local = "| udp-forwarded udp-replied";
                self.compare(listener, local, &directly, || udp(host, listener));
            }
            for query in &queries {
                let tcp = |namespace, server| TcpAsker::new(namespace, server).exchange(query).unwrap();
                let directly = tcp(host, self.backend);
                let fast = if self.xdp == "native" { "tcp" } else { "" };
                let path = format!("{fast} | tcp-forwarded tcp-replied");
                self.compare(listener, &path, &directly, || tcp(client, listener));
            }
        }
    }

    fn compare(&self, listener: SocketAddr, path: &str, directly: &[u8], ask: impl Fn() -> Vec<u8>) {
        let at = format!("{}, {}, @{listener}, xdp {}", self.place.shows, self.backend, self.xdp);
        let before = Counters::read(self.balancer);
        assert_eq!(ask(), directly, "{at}");
        let counted = Counters::read(self.balancer).since(&before).path();
        assert_eq!(counted, path.trim(), "{at}");
    }
}
