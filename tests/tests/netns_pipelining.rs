//! Many queries on one connection (RFC 7766 §6.2.1.1): each gets its own answer, as soon as it is there.

use std::collections::HashMap;

use dproxy_lab::{Balancer, Topology, default_binary, skip_without_root};
use dproxy_tests::frames::Question;
use dproxy_tests::net::{
    B1, B2_V6, Counters, Real, Software, TcpAsker, configuration, listeners, tables, wait_until_reachable,
};
use dproxy_userspace::slow_path::Reason;
use nix::sys::signal::Signal;

/// Queries on one connection.
const QUERIES: u16 = 1000;
/// Each so manieth is for a server that does not answer for a while.
const EACH: u16 = 20;

/// Every kind of answer, each query with its own ID and another name than its neighbours.
fn query(id: u16) -> Vec<u8> {
    let zone = if id.is_multiple_of(EACH) { "held.test" } else { "ready.test" };
    let (name, qtype) = match id % 5 {
        0 => ("www", 1),
        1 => ("large", 16),
        2 => ("medium", 16),
        3 => ("nope", 1),
        _ => ("many", 1),
    };
    let name = if id.is_multiple_of(3) { format!("{name}{id}.{zone}") } else { format!("{name}.{zone}") };
    Question { id, qtype, ..Question::new(&name) }.octets()
}

fn id(message: &[u8]) -> u16 {
    u16::from_be_bytes([message[0], message[1]])
}

#[test]
fn a_thousand_queries_are_answered_out_of_order() {
    if skip_without_root() {
        return;
    }
    let topology = Topology::builder("e2e-pipelining").build().unwrap();
    // A signal stops all of either, threads that they are.
    let held = Real::start(&topology, &topology.backends[0], Software::Knot, &["held.test."]);
    let ready = Real::start(&topology, &topology.backends[1], Software::Bind, &["ready.test."]);
    let pools = tables(&[("held", B1), ("ready", B2_V6)], &[("held.test", "held"), ("ready.test", "ready")]);
    let client = &topology.client.namespace;
    let mut directly: HashMap<u16, Vec<u8>> = HashMap::new();
    let mut askers = [held.addresses[0], ready.addresses[1]].map(|server| TcpAsker::new(client, server));
    for number in 0..QUERIES {
        let asker = &mut askers[usize::from(!number.is_multiple_of(EACH))];
        directly.insert(number, asker.exchange(&query(number)).unwrap());
    }
    for xdp in ["native", "off"] {
        let config = configuration(&topology, xdp, &format!("[slow_path]\ntimeout = \"20s\"\n{pools}"));
        let balancer = Balancer::start(&topology, &default_binary().unwrap(), &config).unwrap();
        wait_until_reachable(&balancer);
        for listener in listeners() {
            let before = Counters::read(&balancer);
            let order = held_back(&held, TcpAsker::new(client, listener), &directly);
            let is_held = |id: &u16| id.is_multiple_of(EACH);
            let first = order.iter().position(is_held).unwrap();
            assert!(order[first..].iter().all(is_held), "those of the stopped server come last: {order:?}");
            let counted = Counters::read(&balancer).since(&before);
            for reason in [Reason::TcpForwarded, Reason::TcpReplied] {
                assert_eq!(counted.slow(reason), u64::from(QUERIES), "{}", reason.label());
            }
            assert_eq!(counted.slow(Reason::ConnectionAccepted), 1);
            let connections = counted.slow(Reason::BackendConnected);
            println!("xdp {xdp}, {listener}: {connections} new connections to backends");
            assert!(connections < 20, "{connections} connections to two backends");
        }
    }
}

/// Asks everything at once while one server is stopped; lets it go on when all others have answered, and
/// returns the order of the answers.
fn held_back(held: &Real, mut asker: TcpAsker, directly: &HashMap<u16, Vec<u8>>) -> Vec<u16> {
    let queries: Vec<Vec<u8>> = (0..QUERIES).map(query).collect();
    held.signal(Signal::SIGSTOP);
    asker.send(queries.iter().map(Vec::as_slice));
    asker.end();
    let mut order = Vec::new();
    while let Ok(answer) = asker.try_receive() {
        let id = id(&answer);
        assert_eq!(Some(&answer), directly.get(&id), "the answer to query {id}");
        assert!(!order.contains(&id), "query {id} was answered twice");
        order.push(id);
        if order.len() == usize::from(QUERIES - QUERIES / EACH) {
            held.signal(Signal::SIGCONT);
        }
    }
    assert_eq!(order.len(), usize::from(QUERIES), "every query is answered, and then the connection closed");
    order
}
