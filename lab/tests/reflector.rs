//! The reflector: what it answers, and that the kernel on the other side takes it for intact.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use dproxy_lab::dns::op::MessageType;
use dproxy_lab::dns::rr::{Name, RecordType};
use dproxy_lab::{AskError, Instance, Namespace, Question, XdpPass, XdpReflector, skip_without_root};

const PORT: u16 = 5353;
const REFLECTOR: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
const REFLECTOR_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 2));

fn fresh_namespace(name: &str) -> Namespace {
    Namespace::remove(name).unwrap();
    Namespace::create(name).unwrap()
}

#[test]
fn a_query_comes_back_as_a_response_with_the_mark() {
    if skip_without_root() {
        return;
    }
    let _instance = Instance::claim("lab-reflector").unwrap();
    let (client, server) = (fresh_namespace("lab-reflector-client"), fresh_namespace("lab-reflector-server"));
    client.add_veth("eth0", &server, "eth0").unwrap();
    client.add_address("eth0", Ipv4Addr::new(192, 0, 2, 1).into(), 24).unwrap();
    server.add_address("eth0", REFLECTOR, 24).unwrap();
    client.add_address("eth0", Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1).into(), 64).unwrap();
    server.add_address("eth0", REFLECTOR_V6, 64).unwrap();
    let _pass = XdpPass::attach(&client, "eth0").unwrap();
    let _reflector = XdpReflector::attach(&server, "eth0", PORT).unwrap();

    // Each name, and each ID that is drawn, has a checksum of its own: the kernel verifies it.
    for number in 0..200 {
        let name = Name::from_ascii(format!("www{number}.bench.example.")).unwrap();
        let question = Question::new(name.clone(), RecordType::AAAA);
        let reflector = [REFLECTOR, REFLECTOR_V6][number % 2];
        let reply = question.ask(&client, SocketAddr::from((reflector, PORT))).unwrap();
        assert_eq!(reply.message.message_type, MessageType::Response, "{name}: QR is set");
        assert!(reply.message.authoritative, "{name}: the mark is set");
        assert_eq!(reply.message.queries[0].name(), &name, "the question is as it was");
    }

    let question = Question::new(Name::root(), RecordType::NS).timeout(Duration::from_millis(500));
    let refused = question.ask(&client, SocketAddr::from((REFLECTOR, PORT + 1))).unwrap_err();
    assert!(
        matches!(refused, AskError::Io { .. }),
        "another port is the kernel's, which has nobody: {refused}"
    );
}
