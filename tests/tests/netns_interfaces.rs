//! How interfaces are used: modes, sharing, VLAN tags, and programs of others.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use dproxy_lab::{Balancer, HOST_INTERFACE, Topology, XdpPass, default_binary, skip_without_root};
use dproxy_tests::frames::{Frame, Question, wire_name};
use dproxy_tests::net::{
    Asker, B1, B1_V6, B2, B2_V6, B3, Capture, Site, Wire, configuration, finish, listeners, mac, servers,
    tables, xdp_programs,
};
use etherparse::{SlicedPacket, TransportSlice};

/// Backends 1 to 3, over IPv4 and IPv6.
fn pools() -> String {
    let pools = [("a4", B1), ("a6", B1_V6), ("b4", B2), ("b6", B2_V6), ("c", B3)];
    let routes = pools.map(|(name, _)| (name, name));
    tables(&pools, &routes)
}

/// Asks for every backend over both IP versions, several times.
fn assert_answered(topology: &Topology, how: &str) {
    for listener in listeners() {
        let mut asker = Asker::new(&topology.client.namespace, listener);
        for zone in ["a4", "a6", "b4", "b6", "c"].repeat(3) {
            let who = asker.who(&wire_name(&format!("www.{zone}")));
            assert_eq!(who, zone[..1], "{how}: {zone} asked at {listener}");
        }
    }
}

/// Asserts that the kernel and `dproxy status` show this mode on every interface; returns the status.
fn assert_mode(topology: &Topology, balancer: &Balancer, mode: &str) -> serde_json::Value {
    let programs = xdp_programs(&topology.balancer);
    let status = balancer.cli(&["status"]).unwrap();
    for (number, interface) in topology.interfaces().into_iter().enumerate() {
        assert_eq!(programs[interface].0, mode, "the kernel's mode of {interface}");
        assert_eq!(status["interfaces"][number]["name"], interface);
        assert_eq!(status["interfaces"][number]["mode"], mode, "the mode of {interface} in the status");
    }
    status
}

#[test]
fn native_generic_and_auto() {
    if skip_without_root() {
        return;
    }
    let topology = Topology::builder("e2e-modes").build().unwrap();
    let _servers = servers(&topology);
    for (wanted, mode) in [("native", "native"), ("generic", "generic"), ("auto", "generic")] {
        let config = configuration(&topology, wanted, &pools());
        let balancer = Balancer::start(&topology, &default_binary().unwrap(), &config).unwrap();
        let status = assert_mode(&topology, &balancer, mode);
        assert_answered(&topology, wanted);

        let falls_back = wanted == "auto";
        let (log, warnings) = (balancer.log_tail(), status["warnings"].as_array().unwrap());
        for interface in topology.interfaces() {
            let loud = log
                .lines()
                .any(|line| line.contains("WARN") && line.contains(&format!("{interface}: GENERIC XDP")));
            assert_eq!(loud, falls_back, "{wanted}: a loud line about {interface} in the log:\n{log}");
            let warned = warnings.iter().any(|text| {
                let text = text.as_str().unwrap();
                text.contains(interface) && text.contains("generic XDP, which is slower than native")
            });
            assert_eq!(
                warned, falls_back,
                "{wanted}: a warning about {interface} in the status: {warnings:?}"
            );
        }
        let reasons =
            status["interfaces"].as_array().unwrap().iter().filter(|one| one["fallback"].is_string());
        assert_eq!(reasons.count(), if falls_back { topology.interfaces().len() } else { 0 }, "{wanted}");
    }
}

#[test]
fn client_and_backend_behind_one_interface() {
    if skip_without_root() {
        return;
    }
    for mode in ["native", "generic"] {
        let topology = Topology::builder("e2e-shared").shared_interface().build().unwrap();
        assert_eq!(topology.client.balancer_interface, topology.backends[0].balancer_interface);
        let site = Site::on(topology, mode, &pools());
        assert_mode(&site.topology, &site.balancer, mode);
        assert_answered(&site.topology, mode);
    }
}

/// 802.1Q VLAN 7 at priority 3, and the same inside 802.1ad VLAN 100 at priority 5.
const TAGGED: [&[(u16, u16)]; 2] = [&[(0x8100, 0x6007)], &[(0x88a8, 0xa064), (0x8100, 0x6007)]];

#[test]
fn a_reply_has_the_vlan_tags_of_its_query() {
    if skip_without_root() {
        return;
    }
    for mode in ["native", "generic"] {
        let topology = Topology::builder("e2e-vlan").build().unwrap();
        let site = Site::on(topology, mode, &pools());
        for tags in TAGGED {
            for (listener, client) in listeners().into_iter().zip(site.topology.client.sockets(4321)) {
                for zone in ["b4", "b6"] {
                    let mut query =
                        Frame::new(client, listener, Question { qtype: 16, ..Question::new(zone) }.octets());
                    query.tags = tags.to_vec();
                    let how = format!("{mode}, {tags:04x?}, {zone} asked at {listener}");
                    assert_is_reply(&exchange(&site, query.clone()), &query, &how);
                }
            }
        }
    }
}

/// Sends a frame by hand; returns the one that comes back.
fn exchange(site: &Site, mut query: Frame) -> Vec<u8> {
    let client = &site.topology.client;
    query.from_mac = mac(&client.namespace, HOST_INTERFACE);
    query.to_mac = mac(&site.topology.balancer, &client.balancer_interface);
    let sender = query.to_mac.map(|octet| format!("{octet:02x}")).join(":");
    // Not by protocol: what that means depends on the number of tags.
    let filter = format!("ether src {sender}");
    let capture = Capture::start(&client.namespace, HOST_INTERFACE, &filter);
    Wire::open(&client.namespace, HOST_INTERFACE).send(&query.octets());
    // What server b answers ends with its name.
    capture.find(|frame| frame.ends_with(b"\x01b"))
}

fn assert_is_reply(reply: &[u8], query: &Frame, how: &str) {
    let tag = |(tpid, tci): &(u16, u16)| [tpid.to_be_bytes(), tci.to_be_bytes()].concat();
    let tags: Vec<u8> = query.tags.iter().flat_map(tag).collect();
    let (got, rest) = reply[12..].split_at(tags.len());
    assert_eq!(got, tags, "{how}: the same tags come back");
    assert!([[0x08, 0x00], [0x86, 0xdd]].contains(&[rest[0], rest[1]]), "{how}: and no more");

    let packet = SlicedPacket::from_ethernet(reply).unwrap();
    let Some(TransportSlice::Udp(udp)) = packet.transport else { panic!("{how}: no UDP: {packet:?}") };
    let (from, to) = (query.from.port(), query.to.port());
    assert_eq!((udp.source_port(), udp.destination_port()), (to, from), "{how}: the ports");
    assert_eq!(udp.payload()[..2], query.payload[..2], "{how}: the ID comes back");
    assert_eq!(udp.payload()[2] & 0x80, 0x80, "{how}: it is a response");
}

#[test]
fn a_program_of_others_is_left_alone() {
    if skip_without_root() {
        return;
    }
    let topology = Topology::builder("e2e-foreign").build().unwrap();
    let _servers = servers(&topology);
    let _foreign = XdpPass::attach(&topology.balancer, "backend2").unwrap();
    let before = xdp_programs(&topology.balancer);
    assert_eq!(before.len(), 1);
    let folder = topology.instance().folder();
    let file = folder.join("dproxy.toml");
    std::fs::write(&file, configuration(&topology, "native", &pools())).unwrap();

    let mut command = topology.balancer.command(default_binary().unwrap());
    command.arg("run").arg("--config").arg(&file).arg("--socket").arg(folder.join("dproxy.sock"));
    let ended = finish(&mut command, Duration::from_secs(10));
    let (_, id) = before["backend2"];
    ended.assert_one_error("someone else's program", "interface backend2 carries an XDP program that is not");
    assert!(ended.error.contains(&format!("id {id};")), "the message names the program: {}", ended.error);
    assert_eq!(xdp_programs(&topology.balancer), before, "the program stays, and there is no other");

    // The other interfaces can be used without that one.
    let config = configuration(&topology, "native", &pools()).replace(", \"backend2\"", "");
    let balancer = Balancer::start(&topology, &default_binary().unwrap(), &config).unwrap();
    let mut asker = Asker::new(&topology.client.namespace, listeners()[0]);
    assert_eq!(asker.who(&wire_name("www.a4")), "a");
    let pool = balancer.cli(&["pool", "show", "b4"]).unwrap();
    let why = pool["backends"][0]["why"].as_str().unwrap_or_default();
    assert!(why.contains("backend2, which is not among listen.interfaces"), "{pool:#}");
    assert_eq!(xdp_programs(&topology.balancer)["backend2"], before["backend2"], "still there");
}
