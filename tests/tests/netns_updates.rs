//! UPDATE goes to a pool's primary, all else to the other backends; and what has changed is transferred.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use dproxy_lab::dns::op::Message;
use dproxy_lab::dns::rr::RData;
use dproxy_lab::{Balancer, Namespace, Topology, default_binary, skip_without_root};
use dproxy_tests::frames::Question;
use dproxy_tests::net::messages::{ixfr, notify, update};
use dproxy_tests::net::{
    Asker, Counters, Real, Software, TcpAsker, configuration, finish, framed, installed, listeners,
    wait_until_reachable,
};

const ZONE: &str = "dynamic.test";
const PATIENCE: Duration = Duration::from_secs(10);
const REFUSED: u8 = 5;

/// The primary is also the only backend of a pool of its own, for what is asked of it in other zones.
const TABLES: &str = r#"
[pools.dynamic]
primary = "10.53.1.10"
backends = [{ address = "10.53.1.10", weight = 0 }, "10.53.2.10"]
[pools.alone]
backends = ["[2001:db8:b1::10]:53"]
[routes]
"dynamic.test" = "dynamic"
"alone.test" = "alone"
"#;

#[test]
fn knot_is_updated() {
    if !skip_without_root() {
        change("e2e-update-knot", Software::Knot);
    }
}

#[test]
fn bind_is_updated() {
    if !skip_without_root() {
        change("e2e-update-bind", Software::Bind);
    }
}

fn change(name: &str, software: Software) {
    for xdp in ["native", "off"] {
        let topology = Topology::builder(name).build().unwrap();
        let [zone, alone] = [format!("{ZONE}."), "alone.test.".to_owned()];
        let primary = Real::start(&topology, &topology.backends[0], software, &[&zone, &alone]);
        // NSD takes no updates: that they went to the primary is seen from their success.
        let secondary = Real::start(&topology, &topology.backends[1], Software::Nsd, &[&zone]);
        let config = configuration(&topology, xdp, TABLES);
        let balancer = Balancer::start(&topology, &default_binary().unwrap(), &config).unwrap();
        wait_until_reachable(&balancer);
        let stage = Stage { topology, balancer };
        stage.updates_reach_the_primary(primary.addresses[0], secondary.addresses[0], xdp);
        stage.what_changed_is_transferred(primary.addresses[1]);
    }
}

struct Stage {
    topology: Topology,
    balancer: Balancer,
}

impl Stage {
    fn updates_reach_the_primary(&self, primary: SocketAddr, secondary: SocketAddr, xdp: &str) {
        for listener in listeners() {
            let name = format!("v{}.{ZONE}", if listener.is_ipv4() { 4 } else { 6 });
            let before = Counters::read(&self.balancer);
            self.nsupdate(listener, &name);
            let path = Counters::read(&self.balancer).since(&before).path();
            let fast = if xdp == "native" { "opcode " } else { "" };
            assert!(path.starts_with(&format!("{fast}| ")), "{path}");
            assert!(path.contains("udp-forwarded udp-replied"), "{path}");
            assert_eq!(self.texts(primary, &name), 1, "the primary of {listener} has the record");
            assert_eq!(self.texts(secondary, &name), 0, "no other server has it");
            assert_eq!(self.texts(listener, &name), 0, "and queries do not go to the primary");

            // The same answer as the primary's own, to one that changes something and to one that cannot.
            for query in [
                update(ZONE, &name, 9),
                update(ZONE, "elsewhere.test", 1),
                update("below.dynamic.test", "below.dynamic.test", 1),
                notify(ZONE),
            ] {
                let directly = Asker::new(self.client(), primary).exchange(&query.octets()).unwrap();
                let balanced = Asker::new(self.client(), listener).exchange(&query.octets()).unwrap();
                assert_eq!(balanced, directly, "{query:?}");
                let balanced = TcpAsker::new(self.client(), listener).exchange(&query.octets()).unwrap();
                assert_eq!(balanced, directly, "{query:?} over TCP");
            }
            assert_eq!(self.texts(primary, &name), 10, "a fragmented one has brought nine more");
        }
    }

    /// What the zone had before, what it has now, and the way from one to the other.
    fn what_changed_is_transferred(&self, primary: SocketAddr) {
        for listener in listeners() {
            let name = if listener.is_ipv4() { "v4.alone.test" } else { "v6.alone.test" };
            let serial = self.serial(primary);
            let query = update("alone.test", name, 2).octets();
            let answer = Asker::new(self.client(), listener).exchange(&query).unwrap();
            assert_eq!(answer[3] & 0xf, 0, "updated");
            assert!(self.serial(primary) > serial, "the serial number has changed");
            let query = ixfr("alone.test", serial).octets();
            let [balanced, directly] = [listener, primary].map(|server| self.transfer(server, &query));
            assert_eq!(balanced, directly, "IXFR over TCP @{listener}");
            assert!(
                directly.len() > 400 && directly.len() < 2000,
                "{} octets, just the change",
                directly.len()
            );
            let over_udp = |server| Asker::new(self.client(), server).exchange(&query).unwrap();
            assert_eq!(over_udp(listener), over_udp(primary), "IXFR over UDP @{listener}");
        }
    }

    fn client(&self) -> &Namespace {
        &self.topology.client.namespace
    }

    /// As an operator updates a zone.
    fn nsupdate(&self, listener: SocketAddr, name: &str) {
        let file = self.topology.instance().folder().join("update");
        let (ip, port) = (listener.ip(), listener.port());
        let text =
            format!("server {ip} {port}\nzone {ZONE}\nupdate add {name} 300 TXT \"by nsupdate\"\nsend\n");
        fs::write(&file, text).unwrap();
        let mut nsupdate = self.client().command(installed("nsupdate"));
        let ended = finish(nsupdate.arg(&file), PATIENCE);
        assert_eq!((ended.code, ended.error.as_str()), (Some(0), ""), "nsupdate: {}", ended.output);
    }

    /// How many TXT records there are at a name.
    fn texts(&self, server: SocketAddr, name: &str) -> u16 {
        let query = Question { qtype: 16, ..Question::new(name) }.octets();
        let answer = TcpAsker::new(self.client(), server).exchange(&query).unwrap();
        assert_ne!(answer[3] & 0xf, REFUSED, "{server} has the zone");
        u16::from_be_bytes([answer[6], answer[7]])
    }

    fn serial(&self, server: SocketAddr) -> u32 {
        let query = Question { qtype: 6, ..Question::new("alone.test") }.octets();
        let message = Asker::new(self.client(), server).exchange(&query).unwrap();
        let message = Message::from_vec(&message).unwrap();
        let mut serials = message.answers.iter().filter_map(|record| {
            let RData::SOA(soa) = &record.data else { return None };
            Some(soa.serial)
        });
        serials.next().unwrap()
    }

    /// All messages of a transfer: as many as come until a query behind it is answered.
    fn transfer(&self, server: SocketAddr, query: &[u8]) -> Vec<u8> {
        let mut asker = TcpAsker::new(self.client(), server);
        let mut octets = framed(&asker.exchange(query).unwrap());
        let mut last = Question::new("www.alone.test");
        last.id = 0x1a57;
        asker.send([last.octets().as_slice()]);
        loop {
            let message = asker.receive();
            if message[..2] == last.id.to_be_bytes() {
                return octets;
            }
            octets.extend(framed(&message));
        }
    }
}
