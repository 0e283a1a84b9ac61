//! The embedded DNS servers, asked over the wire by our client and by dig.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use dproxy_lab::dns::op::ResponseCode;
use dproxy_lab::dns::rr::{DNSClass, Name, RecordType};
use dproxy_lab::{
    AskError, DynamicZone, HttpUpdate, Namespace, PlainZone, Queries, Question, Reply, Server, SyntheticZone,
    Zone, skip_without_root,
};

const ADDRESSES: [&str; 2] = ["127.0.0.1:53", "[::1]:53"];

/// One namespace with one server, on its loopback interface.
struct Lone {
    server: Server,
    namespace: Namespace,
}

impl Lone {
    fn start(namespace: &str, zone: impl Zone) -> Self {
        let namespace = fresh_namespace(namespace);
        let server = Server::start(&namespace, "ns-7", &addresses(), Arc::new(zone)).unwrap();
        Self { server, namespace }
    }

    fn ask(&self, question: Question) -> Reply {
        question.ask(&self.namespace, addresses()[0]).unwrap()
    }

    /// What `dig <arguments>` prints.
    fn dig(&self, arguments: &str) -> String {
        let mut dig = self.namespace.command("dig");
        let output = dig.arg("@127.0.0.1").args(arguments.split_whitespace()).output().unwrap();
        assert!(output.status.success(), "dig {arguments}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

/// A namespace in place of what a killed test may have left.
fn fresh_namespace(name: &str) -> Namespace {
    Namespace::remove(name).unwrap();
    Namespace::create(name).unwrap()
}

fn addresses() -> Vec<SocketAddr> {
    ADDRESSES.iter().map(|address| address.parse().unwrap()).collect()
}

fn question(name: &str, record_type: RecordType) -> Question {
    Question::new(Name::from_ascii(name).unwrap(), record_type)
}

fn answers(reply: &Reply) -> Vec<String> {
    reply.message.answers.iter().map(|record| record.data.to_string()).collect()
}

#[test]
fn a_synthetic_zone_answers_with_the_address_in_the_name() {
    if skip_without_root() {
        return;
    }
    let lone = Lone::start("lab-synthetic", SyntheticZone::new(Name::from_ascii("cryo.test.").unwrap()));
    assert_eq!(lone.dig("+short www.10.0.0.8.cryo.test A"), "10.0.0.8\n");
    assert_eq!(lone.dig("+short www.10.0.0.8.cryo.test AAAA"), "");
    assert_eq!(lone.dig("+short cryo.test NS"), "ns.cryo.test.\n");
    assert_eq!(lone.dig("+short ns.cryo.test A ns.cryo.test AAAA"), "127.0.0.1\n::1\n");
    assert!(lone.dig("www.cryo.test A").contains("status: NXDOMAIN"));
    assert!(lone.dig("example.org A").contains("status: REFUSED"));
}

#[test]
fn a_server_says_who_it_is_and_counts() {
    if skip_without_root() {
        return;
    }
    let lone = Lone::start("lab-whoami", DynamicZone::new(Name::from_ascii("dyn.test.").unwrap()));
    assert_eq!(lone.dig("+short CH TXT id.server"), "\"ns-7\"\n");
    assert_eq!(lone.dig("+short CH TXT hostname.bind"), "\"ns-7\"\n");
    assert_eq!(lone.dig("+short TXT whoami.dyn.test"), "\"ns-7\"\n");
    assert_eq!(lone.dig("+short TXT any.thing.whoami.dyn.test"), "\"ns-7\"\n");
    assert_eq!(lone.dig("+short +tcp TXT whoami.dyn.test"), "\"ns-7\"\n");
    let other_class = question("whoami.dyn.test.", RecordType::TXT).class(DNSClass::HS);
    assert_eq!(lone.ask(other_class).message.response_code, ResponseCode::Refused);
    assert_eq!(lone.server.queries(), Queries { udp: 5, tcp: 1 });
}

#[test]
fn the_size_of_a_response_is_kept() {
    if skip_without_root() {
        return;
    }
    let lone = Lone::start("lab-size", PlainZone::new(Name::from_ascii("plain.test.").unwrap()).unwrap());
    let medium = || question("medium.plain.test.", RecordType::TXT);
    let large = || question("large.plain.test.", RecordType::TXT);

    let reply = lone.ask(medium());
    assert!(reply.message.truncation && reply.message.answers.is_empty());
    assert!(reply.message.edns.is_none() && reply.raw.len() <= 512);

    let reply = lone.ask(medium().edns(1232));
    assert!(!reply.message.truncation && reply.message.edns.is_some());
    assert_eq!(answers(&reply).len(), 8);
    assert!((513..=1232).contains(&reply.raw.len()));

    assert!(lone.ask(large().edns(1232)).message.truncation);
    assert_eq!(answers(&lone.ask(large().edns(4096))).len(), 28);
    assert_eq!(answers(&lone.ask(large().tcp())).len(), 28);
    // dig itself turns to TCP.
    assert_eq!(
        lone.dig("+short large.plain.test TXT").lines().filter(|line| line.starts_with('"')).count(),
        28
    );
}

#[test]
fn a_plain_zone_answers_as_a_zone_does() {
    if skip_without_root() {
        return;
    }
    let lone = Lone::start("lab-plain", PlainZone::new(Name::from_ascii("plain.test.").unwrap()).unwrap());
    assert_eq!(lone.dig("+short plain.test MX"), "10 mail.plain.test.\n");
    assert_eq!(lone.dig("+short www.plain.test A www.plain.test AAAA"), "192.0.2.80\n2001:db8::80\n");

    let negative = lone.ask(question("nope.plain.test.", RecordType::A).edns(1232));
    assert_eq!(negative.message.response_code, ResponseCode::NXDomain);
    assert_eq!(negative.message.authorities[0].record_type(), RecordType::SOA);
    assert!(negative.message.authoritative && negative.message.edns.is_some());

    assert!(lone.dig("+edns=1 +noednsnegotiation plain.test SOA").contains("status: BADVERS"));
    assert!(lone.dig("+opcode=UPDATE plain.test SOA").contains("status: NOTIMP"));
    assert!(lone.dig("+header-only plain.test").contains("status: FORMERR"));
    assert!(lone.dig("plain.test TYPE65280").contains("status: NOERROR"));

    let mixed = lone.ask(question("wWw.PLAIN.tesT.", RecordType::A));
    assert_eq!(mixed.message.queries[0].name().to_ascii(), "wWw.PLAIN.tesT.");
    assert_eq!(answers(&mixed), ["192.0.2.80"]);
}

#[test]
fn a_dynamic_zone_changes_by_http() {
    if skip_without_root() {
        return;
    }
    let namespace = fresh_namespace("lab-dynamic");
    let zone = Arc::new(DynamicZone::new(Name::from_ascii("dyn.test.").unwrap()));
    let server = Server::start(&namespace, "dynamic", &addresses(), Arc::clone(&zone) as _).unwrap();
    let http = SocketAddr::from(([127, 0, 0, 1], 80));
    let update = HttpUpdate::start(&namespace, &[http], zone).unwrap();
    let lone = Lone { server, namespace };
    let request = |method: &str, query: &str| {
        let exchange = || {
            let mut stream = TcpStream::connect(http).unwrap();
            write!(stream, "{method} /update?{query} HTTP/1.0\r\n\r\n").unwrap();
            let mut response = String::new();
            stream.read_to_string(&mut response).unwrap();
            response
        };
        lone.namespace.enter(exchange).unwrap()
    };
    let home = |record_type| answers(&lone.ask(question("home.dyn.test.", record_type)));

    assert!(home(RecordType::A).is_empty());
    assert!(
        request("GET", "name=home.dyn.test&address=192.0.2.7").ends_with("home.dyn.test is now 192.0.2.7\n")
    );
    assert_eq!(home(RecordType::A), ["192.0.2.7"]);
    request("POST", "name=home.dyn.test.&address=192.0.2.8");
    request("POST", "name=home.dyn.test&address=2001:db8::8");
    assert_eq!(home(RecordType::A), ["192.0.2.8"]);
    assert_eq!(home(RecordType::AAAA), ["2001:db8::8"]);

    assert!(request("GET", "name=home.example&address=192.0.2.7").contains("400 Bad Request"));
    assert!(request("GET", "name=home.dyn.test&address=here").contains("400 Bad Request"));
    drop(update);
    wait_until(|| lone.namespace.enter(|| TcpStream::connect(http).is_err()).unwrap());
}

#[test]
fn a_stopped_server_is_silent_and_can_be_replaced() {
    if skip_without_root() {
        return;
    }
    let Lone { server, namespace } = Lone::start("lab-stopped", SyntheticZone::new(Name::root()));
    drop(server);
    let question = question("1.2.3.4.", RecordType::A).timeout(Duration::from_millis(300));
    let ask = |server| question.ask(&namespace, server);
    // Refused by an ICMP error, and for want of a route.
    wait_until(|| matches!(ask(addresses()[0]), Err(AskError::Io { .. })));
    assert!(matches!(ask(SocketAddr::from(([192, 0, 2, 1], 53))), Err(AskError::Io { .. })));

    let zone = Arc::new(SyntheticZone::new(Name::root()));
    let _successor = Server::start(&namespace, "successor", &addresses(), zone).unwrap();
    assert_eq!(answers(&ask(addresses()[0]).unwrap()), ["1.2.3.4"]);
}

/// A closed socket may live on for a moment, in a child of this process between fork and exec.
fn wait_until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(5), "waited in vain");
        thread::sleep(Duration::from_millis(10));
    }
}
