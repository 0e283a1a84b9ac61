//! Neighbours of the balancer: one that gets another link-layer address, one that is not there.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use dproxy_common::reason::Reason;
use dproxy_lab::{Balancer, HOST_INTERFACE, Server, Topology, default_binary, skip_without_root};
use dproxy_tests::frames::wire_name;
use dproxy_tests::net::{
    Asker, B1, B1_V6, Counters, Everything, Site, configuration, listeners, tables, wait_for, wait_until,
};

/// A name for a backend that is reached over IPv4, and one for IPv6.
const NAMES: [&str; 2] = ["four.test", "six.test"];

fn site(topology: Topology) -> Site {
    let pools = tables(&[("four", B1), ("six", B1_V6)], &[("four.test", "four"), ("six.test", "six")]);
    Site::on(topology, "native", &pools)
}

/// Gives the first backend another address.
fn change_mac(site: &Site) {
    let backend = &site.topology.backends[0].namespace;
    backend.ip(&format!("link set {HOST_INTERFACE} address 02:00:00:00:53:99")).unwrap();
}

/// Waits until queries are answered for both IP versions of the backend, again.
fn assert_resumes(site: &Site, within: Duration) {
    let start = Instant::now();
    for name in NAMES {
        let mut asker = Asker::new(&site.topology.client.namespace, listeners()[0]);
        asker = asker.patience(Duration::from_millis(50));
        wait_until(&format!("an answer for {name}"), within, || asker.who(&wire_name(name)) == "a");
        println!("{name} is answered again after {:?}", start.elapsed());
    }
}

#[test]
fn a_new_mac_that_is_announced_is_followed() {
    if skip_without_root() {
        return;
    }
    let site = site(Topology::builder("e2e-mac").build().unwrap());
    // A host that takes over an address tells its neighbours.
    let backend = &site.topology.backends[0].namespace;
    backend
        .set_parameters(&[("net/ipv4/conf/eth0/arp_notify", "1"), ("net/ipv6/conf/eth0/ndisc_notify", "1")])
        .unwrap();
    change_mac(&site);
    assert_resumes(&site, Duration::from_secs(2));
}

#[test]
fn a_new_mac_that_nobody_announces_is_found_out() {
    if skip_without_root() {
        return;
    }
    let topology = Topology::builder("e2e-silentmac").build().unwrap();
    // The kernel's patience with a neighbour, most of a minute by default, made short before it has one.
    for ip in ["ipv4", "ipv6"] {
        let parameter = |name: &str| format!("net/{ip}/neigh/backend1/{name}");
        let [reachable, delay, retry] =
            ["base_reachable_time_ms", "delay_first_probe_time", "retrans_time_ms"].map(parameter);
        let values = [(reachable.as_str(), "500"), (delay.as_str(), "0"), (retry.as_str(), "100")];
        topology.balancer.set_parameters(&values).unwrap();
    }
    let site = site(topology);
    change_mac(&site);
    assert_resumes(&site, Duration::from_secs(10));
}

/// An address in the first backend's network that nobody has.
const NOBODY: &str = "10.53.1.99";

#[test]
fn a_backend_without_a_neighbour_says_why_until_it_comes() {
    if skip_without_root() {
        return;
    }
    let topology = Topology::builder("e2e-nobody").build().unwrap();
    let pools = tables(&[("p", NOBODY)], &[(".", "p")]);
    let config = configuration(&topology, "native", &pools);
    let balancer = Balancer::start(&topology, &default_binary().unwrap(), &config).unwrap();
    let why = wait_for("the status to tell that the neighbour is silent", Duration::from_secs(10), || {
        let status = balancer.cli(&["status"]).unwrap();
        let backend = &status["pools"][0]["backends"][0];
        assert_eq!(backend["reachable"], false, "there is no way to {NOBODY}");
        let warned = status["warnings"]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one == "pool p: 1 of 1 backend not reachable");
        assert!(warned, "the status warns: {status:#}");
        backend["why"].as_str().filter(|why| why.contains("does not answer")).map(str::to_owned)
    });
    assert_eq!(why, format!("neighbour {NOBODY} on backend1 does not answer (FAILED)"));

    let before = Counters::read(&balancer);
    let mut asker = Asker::new(&topology.client.namespace, listeners()[0]);
    // Left to the slow path, which knows of no way either.
    assert_eq!(asker.who(&wire_name("x.test")), "servfail");
    assert_eq!(Counters::read(&balancer).since(&before).of(Reason::BackendUnresolved), 1);

    let backend = &topology.backends[0].namespace;
    backend.add_address(HOST_INTERFACE, NOBODY.parse().unwrap(), 24).unwrap();
    let address = format!("{NOBODY}:53").parse().unwrap();
    let _server = Server::start(backend, "late", &[address], Everything::answering("late")).unwrap();
    wait_until("the backend that has come to answer", Duration::from_secs(10), || {
        asker.who(&wire_name("x.test")) == "late"
    });
}

#[test]
fn the_share_of_unreachable_backends_goes_to_the_others() {
    if skip_without_root() {
        return;
    }
    let topology = Topology::builder("e2e-share").build().unwrap();
    let _servers = dproxy_tests::net::servers(&topology);
    let dead = (90..99).map(|last| format!("{{ address = \"10.53.2.{last}\", weight = 1000 }}"));
    let dead = dead.collect::<Vec<_>>().join(", ");
    let mut pools = String::new();
    for policy in ["maglev", "random"] {
        pools += &format!(
            "[pools.{policy}]\npolicy = \"{policy}\"\nbackends = [{{ address = \"{B1}\" }}, {dead}]\n"
        );
    }
    pools += "[routes]\n\"hashed.test\" = \"maglev\"\n\"drawn.test\" = \"random\"\n";
    let config = configuration(&topology, "native", &pools);
    let _balancer = Balancer::start(&topology, &default_binary().unwrap(), &config).unwrap();
    for listener in listeners() {
        let mut asker = Asker::new(&topology.client.namespace, listener);
        for number in 0..200 {
            for zone in ["hashed.test", "drawn.test"] {
                let name = format!("n{number}.{zone}");
                assert_eq!(asker.who(&wire_name(&name)), "a", "{name}: one of ten backends can be reached");
            }
        }
    }
}
