//! A backend that is drained gets no query from the acknowledgement on, keeps its weight, and may answer what it has.

use std::net::{SocketAddr, UdpSocket};
use std::thread::sleep;
use std::time::{Duration, Instant};

use dproxy_lab::skip_without_root;
use dproxy_tests::frames::{Question, wire_name};
use dproxy_tests::net::{B1, B2, Operator, Site, Stream, TcpAsker, listeners};

/// A server that answers when it is told to.
const SLOW: &str = "10.53.3.10:5300";
const ROUNDS: usize = 10;
const PATIENCE: Duration = Duration::from_secs(2);

#[test]
fn a_drained_backend_gets_no_query_after_the_acknowledgement() {
    if skip_without_root() {
        return;
    }
    for (policy, topology) in [("maglev", "e2e-drain"), ("random", "e2e-drainrandom")] {
        let pools = format!(
            "[pools.p]\npolicy = \"{policy}\"\n[[pools.p.backends]]\naddress = \"{B1}\"\n\
             [[pools.p.backends]]\naddress = \"{B2}\"\nweight = 3\n[routes]\n\".\" = \"p\"\n"
        );
        let site = Site::new(topology, &pools);
        let operator = Operator::of(&site.balancer);
        let before = operator.configuration();
        let names = (0..16).map(|number| wire_name(&format!("n{number}.test"))).collect();
        let stream = Stream::start(&site.topology.client.namespace, names);
        let mut drained = Vec::new();
        for _ in 0..ROUNDS {
            let edited = site.balancer.cli(&["backend", "drain", "p", B2]).unwrap();
            assert_eq!(edited["changed"], true);
            let since = Instant::now();
            sleep(Duration::from_millis(50));
            drained.push((since, Instant::now()));
            site.balancer.cli(&["backend", "enable", "p", B2]).unwrap();
            sleep(Duration::from_millis(50));
        }
        let asked = stream.stop();
        let lost = asked.iter().filter(|asked| asked.answer.is_none()).count();
        assert_eq!(lost, 0, "{policy}: of {} queries", asked.len());
        let is_drained =
            |sent: Instant| drained.iter().any(|(since, until)| (*since..*until).contains(&sent));
        let by_b = |during: bool| {
            let answered = asked.iter().filter(|asked| is_drained(asked.sent) == during);
            answered.filter(|asked| matches!(&asked.answer, Some((_, who)) if who == "b")).count()
        };
        println!(
            "  {policy}: {} queries, {} answered by b, {} while drained",
            asked.len(),
            by_b(false),
            by_b(true)
        );
        assert_eq!(by_b(true), 0, "{policy}: a query sent after the acknowledgement goes to nobody drained");
        assert!(by_b(false) > 0, "{policy}: enabled, it gets its share");
        assert_eq!(operator.configuration(), before, "{policy}: it has its weight again");
        operator.does(&format!("backend drain p {B2}"));
        operator.does("pool show p");
        operator.does(&format!("backend drain p {B2}"));
        operator.is_refused(&format!("backend drain p {B1}"), "every backend");
        let configuration = operator.configuration();
        assert!(
            configuration.contains("weight = 3") && configuration.contains("drained = true"),
            "{configuration}"
        );
    }
}

#[test]
fn replies_under_way_arrive_from_a_drained_backend() {
    if skip_without_root() {
        return;
    }
    let pools = format!("[pools]\np.backends = [\"{B1}\", \"{SLOW}\"]\n[routes]\n\".\" = \"p\"\n");
    let site = Site::new("e2e-drainreply", &pools);
    let operator = Operator::of(&site.balancer);
    let host = &site.topology.backends[2].namespace;
    let address: SocketAddr = SLOW.parse().unwrap();
    let slow = host.enter(|| UdpSocket::bind(address)).unwrap().unwrap();
    slow.set_read_timeout(Some(PATIENCE)).unwrap();
    let client = site.topology.client.namespace.enter(|| UdpSocket::bind("0.0.0.0:0")).unwrap().unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let queries: Vec<Vec<u8>> = (0..32)
        .map(|number| Question { id: number, ..Question::new(&format!("d{number}.test")) }.octets())
        .collect();
    for query in &queries {
        client.send_to(query, listeners()[0]).unwrap();
    }
    let mut buffer = [0; 512];
    let mut waiting = Vec::new();
    let mut answered = 0;
    client.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    while client.recv(&mut buffer).is_ok() {
        answered += 1;
    }
    slow.set_nonblocking(true).unwrap();
    while let Ok((length, from)) = slow.recv_from(&mut buffer) {
        waiting.push((buffer[..length].to_vec(), from));
    }
    assert_eq!(answered + waiting.len(), queries.len(), "each went to one of them");
    assert!(!waiting.is_empty());

    operator.does(&format!("backend drain p {SLOW}"));
    for query in &queries {
        client.send_to(query, listeners()[0]).unwrap();
    }
    let mut answered = 0;
    while client.recv(&mut buffer).is_ok() {
        answered += 1;
    }
    assert_eq!(answered, queries.len(), "drained, it gets none");
    assert!(slow.recv(&mut buffer).is_err(), "drained, it gets none");
    let over_tcp = TcpAsker::new(&site.topology.client.namespace, listeners()[0]).exchange(&queries[0]);
    assert!(over_tcp.is_ok(), "nor does the slow path send it one: {over_tcp:?}");

    for (query, from) in &waiting {
        let mut reply = query.clone();
        reply[2] |= 0x80;
        slow.send_to(&reply, from).unwrap();
    }
    let mut arrived = 0;
    while client.recv(&mut buffer).is_ok() {
        arrived += 1;
    }
    println!("  {} replies were under way, {arrived} arrived", waiting.len());
    assert_eq!(arrived, waiting.len(), "replies under way arrive");
}
