//! What the slow path is told, and how both paths add up.

use std::net::SocketAddr;

use crate::api::Path;
use crate::config::{Config, Pool, Target, WeightedBackend};
use crate::daemon::fake::{self, FakeSlowPath};
use crate::daemon::{Edit, Engine};
use crate::slow_path::{Asked, Decider, Decision};
use dproxy_common::tables::Tables as _;

/// Where the slow path sends a query for `www.example.org` with this opcode, in the view that it has.
fn destination(proxy: &FakeSlowPath, opcode: u8) -> Option<SocketAddr> {
    const WWW_EXAMPLE_ORG: &[u8] = b"\x03www\x07example\x03org\0\0\x06\0\x01";
    let header = [0, 7, opcode << 3, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let message = [&header[..], WWW_EXAMPLE_ORG].concat();
    let seen = proxy.seen();
    let asked = Asked {
        message: &message,
        client: "198.51.100.1:4000".parse().unwrap(),
        listener: 0,
        over_tcp: false,
    };
    match Decider::new(1).decide(seen.views.last().unwrap(), &asked) {
        Decision::Forward(forward) => Some(forward.address),
        Decision::Answer(_) | Decision::Drop(..) => None,
    }
}

fn is_reachable(engine: &Engine, pool: &str) -> bool {
    engine.pool(pool).unwrap().backends.iter().all(|backend| backend.reachable)
}

const NOTIFY: u8 = 4;

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn generations(proxy: &FakeSlowPath) -> Vec<u64> {
    proxy.seen().views.iter().map(|view| view.active() >> 1).collect()
}

#[tokio::test]
async fn each_generation_goes_to_the_slow_path_once() {
    let (mut engine, datapath, proxy, _) = fake::engine_of(fake::config()).await;
    assert_eq!(generations(&proxy), [1]);
    let edit =
        Edit::SetRoute { pattern: "=www.example.org".parse().unwrap(), target: Target::from_word("cryo") };
    engine.edit(&edit).await.unwrap();
    engine.follow_network().await;
    assert_eq!(generations(&proxy), [1, 2], "what did not change is not said again");
    assert_eq!(destination(&proxy, 0), Some(address("192.168.1.9:8053")));

    datapath.tables().refusal = Some("no".to_owned());
    engine.edit(&Edit::RemoveRoute { pattern: ".".parse().unwrap() }).await.unwrap_err();
    assert_eq!(generations(&proxy), [1, 2], "both paths have the same one");
}

#[tokio::test]
async fn the_slow_path_learns_what_cannot_be_reached() {
    let (mut engine, _, proxy, network) = fake::engine_of(fake::config()).await;
    for backend in ["192.168.1.10", "2001:db8:1::10"] {
        network.set(backend, fake::silent(backend));
    }
    engine.follow_network().await;
    assert_eq!(generations(&proxy), [1, 1]);
    assert_eq!(destination(&proxy, 0), None);
    assert!(!is_reachable(&engine, "resolvers"));

    // It is asked again. Until it answers, that changes nothing.
    network.set("192.168.1.10", fake::asked("192.168.1.10"));
    engine.follow_network().await;
    assert_eq!(destination(&proxy, 0), None);

    network.set("192.168.1.10", fake::reachable("192.168.1.1"));
    engine.follow_network().await;
    assert_eq!(destination(&proxy, 0), Some(address("192.168.1.10:53")));
}

#[tokio::test]
async fn where_xdp_cannot_send_the_slow_path_can() {
    let (mut engine, datapath, proxy, network) = fake::engine_of(fake::config()).await;
    network.set("192.168.1.10", fake::elsewhere("wg0"));
    network.set("2001:db8:1::10", fake::local("2001:db8:1::10"));
    engine.follow_network().await;
    assert_eq!(datapath.tables().ways()[&address("192.168.1.10:53")], None);
    assert!(destination(&proxy, 0).is_some());
    let backends = engine.pool("resolvers").unwrap().backends;
    let ways: Vec<_> = backends.iter().map(|backend| (backend.path, backend.reachable)).collect();
    assert_eq!(ways, [(Path::Slow, true), (Path::Local, true)]);
    let why = "its route leaves by wg0, which is not among listen.interfaces";
    assert_eq!(backends[0].why.as_deref(), Some(why));
    assert_eq!(engine.status().unwrap().warnings, [""; 0], "nothing is wrong with it");
}

#[tokio::test]
async fn a_neighbour_that_is_asked_for_the_first_time_is_worth_a_query() {
    let (mut engine, _, proxy, network) = fake::engine_of(fake::config()).await;
    let backend = WeightedBackend::new(address("192.168.1.20:53"), 1);
    network.set("192.168.1.20", fake::asked("192.168.1.20"));
    let new = Pool { backends: vec![backend], ..Pool::default() };
    engine.edit(&Edit::AddPool { name: "new".to_owned(), pool: new }).await.unwrap();
    let pattern = "=www.example.org".parse().unwrap();
    engine.edit(&Edit::SetRoute { pattern, target: Target::from_word("new") }).await.unwrap();
    assert!(!is_reachable(&engine, "new"));
    assert_eq!(destination(&proxy, 0), Some(backend.address), "the kernel's stack waits for the answer");
}

#[tokio::test]
async fn notify_goes_to_the_primary() {
    let (_, _, proxy, _) = fake::engine_of(fake::config()).await;
    assert_eq!(destination(&proxy, NOTIFY), Some(address("192.168.1.10:53")));
    let text = fake::CONFIG.replacen("primary = \"192.168.1.10\"", "primary = \"2001:db8:1::10\"", 1);
    let (_, _, proxy, _) = fake::engine_of(Config::parse(&text, "test").unwrap()).await;
    assert_eq!(destination(&proxy, NOTIFY), Some(address("[2001:db8:1::10]:53")));
}

#[tokio::test]
async fn with_the_proxy_protocol_nothing_takes_the_fast_path() {
    let text = fake::CONFIG.replacen("[pools.cryo]", "[pools.cryo]\nproxy_protocol = true", 1);
    let (engine, ..) = fake::engine_of(Config::parse(&text, "test").unwrap()).await;
    let backend = engine.pool("cryo").unwrap().backends.remove(0);
    assert_eq!((backend.path, backend.next_hop), (Path::Slow, None));
    assert_eq!(backend.why.as_deref(), Some("the pool uses the PROXY protocol"));
}

#[tokio::test]
async fn without_a_fast_path_all_goes_on() {
    let (mut engine, proxy) = fake::engine_without_fast_path(fake::config()).await;
    let status = engine.status().unwrap();
    assert_eq!(status.fast_path_off.as_deref(), Some("listen.xdp is \"off\""));
    assert!(status.interfaces.is_empty() && status.warnings.is_empty());
    let backends = status.pools.iter().flat_map(|pool| &pool.backends);
    assert!(backends.clone().all(|backend| backend.path == Path::Slow && backend.reachable));
    assert_eq!(engine.stats().unwrap().received, 0);

    let backend = WeightedBackend::new(address("127.0.0.1:5300"), 1000);
    engine.edit(&Edit::AddBackend { pool: "cryo".to_owned(), backend }).await.unwrap();
    engine.follow_network().await;
    assert_eq!(generations(&proxy), [1, 2]);
    assert!(destination(&proxy, 0).is_some());
}

#[tokio::test]
async fn counters_add_up_over_both_paths() {
    let (mut engine, datapath, proxy, _) = fake::engine_of(fake::config()).await;
    proxy.seen().cleared.clear();
    datapath.tables().cleared.clear();
    let backend = WeightedBackend::new(address("192.168.1.20:53"), 1);
    engine.edit(&Edit::AddBackend { pool: "cryo".to_owned(), backend }).await.unwrap();
    assert_eq!(proxy.seen().cleared, datapath.tables().cleared);
    assert_eq!(proxy.seen().cleared.len(), 1);

    {
        let (mut tables, mut seen) = (datapath.tables(), proxy.seen());
        let (fast, slow) = (&mut tables.counters, &mut seen.counters);
        fast.received = 1000;
        fast.pools = vec![1, 2];
        slow.pools = vec![10, 20, 30];
        fast.listeners.resize_with(2, Default::default);
        slow.listeners.resize_with(1, Default::default);
        (fast.listeners[0].queries, fast.listeners[1].queries) = (3, 4);
        (slow.listeners[0].queries, slow.listeners[0].responses) = (50, 60);
        slow.backends.resize_with(1, Default::default);
        (slow.backends[0].queries, slow.backends[0].refused) = (7, 5);
        slow.reasons[crate::slow_path::Reason::TcpForwarded as usize] = 70;
        (slow.tcp_connections, slow.backend_connections, slow.queries_in_flight) = (8, 9, 10);
    }
    let stats = engine.stats().unwrap();
    let listeners: Vec<_> =
        stats.listeners.iter().map(|listener| (listener.queries, listener.responses)).collect();
    assert_eq!(listeners, [(53, 60), (4, 0)]);
    let mut pools: Vec<u64> = stats.pools.iter().map(|pool| pool.queries).collect();
    pools.sort_unstable();
    assert_eq!(pools, [11, 22, 30]);
    let busy: Vec<_> = stats.backends.iter().filter(|backend| backend.queries > 0).collect();
    assert_eq!((busy.len(), busy[0].queries, busy[0].refused), (1, 7, 5));
    assert_eq!(stats.received, 1000, "packets are the fast path's");
    assert_eq!(stats.slow_path.reasons["tcp-forwarded"], 70);
    assert_eq!(stats.slow_path.reasons.len(), crate::slow_path::Reason::COUNT, "zeroes too");
    let now = stats.slow_path;
    assert_eq!((now.tcp_connections, now.backend_connections, now.queries_in_flight), (8, 9, 10));
}
