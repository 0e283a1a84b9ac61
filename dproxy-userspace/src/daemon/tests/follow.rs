//! How the engine follows the network.

use std::time::{Duration, Instant};

use dproxy_common::abi::BackendLive;

use crate::config::{Change, WeightedBackend};
use crate::daemon::{Edit, EditError, Engine, Entry, Who, fake};
use crate::network::{Bypass, Resolution, Why};
use crate::state::Kind;

const CRYO: &str = "192.168.1.9:8053";

#[tokio::test]
async fn a_backend_that_cannot_be_reached_gets_nothing_and_no_generation() {
    let (mut engine, datapath, network) = fake::engine().await;
    network.set("192.168.1.9", fake::silent("192.168.1.9"));
    engine.follow_network().await;
    assert_eq!(datapath.tables().ways()[&CRYO.parse().unwrap()], None);
    assert_eq!(datapath.generation(), 1);
    let backend = &engine.pool("cryo").unwrap().backends[0];
    assert!(!backend.reachable);
    assert_eq!(backend.why.as_deref(), Some("neighbour 192.168.1.9 on eth0 does not answer (FAILED)"));
    assert_eq!(engine.status().unwrap().warnings, ["pool cryo: 1 of 1 backend not reachable"]);

    network.set("192.168.1.9", fake::reachable("192.168.1.1"));
    engine.follow_network().await;
    assert!(datapath.tables().ways()[&CRYO.parse().unwrap()].is_some());
    assert_eq!(datapath.generation(), 1);
}

#[tokio::test]
async fn a_backend_that_comes_to_this_host_is_known_before_it_is_served_there() {
    let (mut engine, datapath, network) = fake::engine().await;
    network.set("192.168.1.9", fake::local("192.168.1.9"));
    engine.follow_network().await;
    // That its replies were known first, the fake datapath itself has checked.
    assert_eq!((datapath.generation(), datapath.tables().live(CRYO)), (2, BackendLive::LOCAL));
    assert!(engine.pool("cryo").unwrap().backends[0].reachable);
    engine.follow_network().await;
    assert_eq!(datapath.generation(), 2, "once is enough");

    network.set_bypass(Bypass { v4: Some("eth7".to_owned()), v6: None });
    engine.follow_network().await;
    assert_eq!((datapath.generation(), datapath.tables().live(CRYO)), (3, BackendLive::SLOW));
    assert!(datapath.tables().locals().is_empty());
    let backend = &engine.pool("cryo").unwrap().backends[0];
    assert!(backend.reachable, "through the slow path");
    assert!(backend.why.as_deref().unwrap().contains("eth7"), "{:?}", backend.why);

    network.set_bypass(Bypass::default());
    engine.follow_network().await;
    assert_eq!((datapath.generation(), datapath.tables().live(CRYO)), (4, BackendLive::LOCAL));
}

/// Adds a listener.
async fn listen_more(engine: &mut Engine) -> Result<(), EditError> {
    let mut config = fake::config();
    config.listen.addresses.push("192.0.2.54:53".parse().unwrap());
    let change = Change::between(&engine.config, &config);
    engine.make(&change, &Entry::new(Who::Daemon, Kind::Apply, Vec::new())).await.map(drop)
}

#[tokio::test]
async fn another_listener_takes_a_local_backend_to_the_slow_path() {
    let (mut engine, datapath, network) = fake::engine().await;
    network.set("192.168.1.9", fake::local("192.168.1.9"));
    engine.follow_network().await;
    listen_more(&mut engine).await.unwrap();
    assert_eq!(datapath.tables().live(CRYO), BackendLive::SLOW);
    assert!(datapath.tables().locals().is_empty());
}

#[tokio::test]
async fn a_refused_generation_leaves_a_local_backend_where_it_was() {
    let (mut engine, datapath, network) = fake::engine().await;
    network.set("192.168.1.9", fake::local("192.168.1.9"));
    engine.follow_network().await;
    datapath.tables().refusal = Some("not today".to_owned());
    listen_more(&mut engine).await.unwrap_err();
    engine.follow_network().await;
    assert_eq!(datapath.tables().live(CRYO), BackendLive::LOCAL);
    assert_eq!(datapath.tables().locals().len(), 1);
}

#[tokio::test]
async fn what_the_stack_reaches_alone_is_for_the_slow_path() {
    let (mut engine, datapath, network) = fake::engine().await;
    let interface = "docker0".to_owned();
    network.set("192.168.1.9", Resolution::Unreachable(Why::NotAttached { interface }));
    engine.follow_network().await;
    assert_eq!((datapath.generation(), datapath.tables().live(CRYO)), (1, BackendLive::SLOW));
    network.set("192.168.1.9", fake::reachable("192.168.1.1"));
    engine.follow_network().await;
    assert!(datapath.tables().live(CRYO).next_hop().is_some());
}

#[tokio::test]
async fn a_new_source_is_known_before_queries_come_from_it() {
    let (mut engine, datapath, network) = fake::engine().await;
    network.set("192.168.1.9", fake::reachable("192.168.7.7"));
    engine.follow_network().await;
    assert_eq!(datapath.generation(), 2);
    let tables = datapath.tables();
    let sources: Vec<String> = tables.sources().iter().map(ToString::to_string).collect();
    assert_eq!(sources, ["192.168.1.1", "192.168.7.7", "2001:db8:1::1"]);
    let hop = tables.ways()[&CRYO.parse().unwrap()].unwrap();
    assert_eq!(std::net::IpAddr::from(hop.source).to_string(), "192.168.7.7");
}

#[tokio::test]
async fn the_source_of_a_removed_backend_stays_for_its_replies() {
    let (mut engine, datapath, network) = fake::engine().await;
    network.set("192.168.1.11", fake::reachable("192.168.7.7"));
    engine.follow_network().await;
    let add = Edit::AddBackend {
        pool: "dice".to_owned(),
        backend: WeightedBackend::new("192.168.1.12:53".parse().unwrap(), 1),
    };
    let remove = Edit::RemoveBackend { pool: "dice".to_owned(), address: "192.168.1.11:53".parse().unwrap() };
    engine.edit(&add).await.unwrap();
    engine.edit(&remove).await.unwrap();
    assert!(datapath.tables().sources().contains(&"192.168.7.7".parse().unwrap()));
}

#[tokio::test]
async fn backends_behind_one_neighbour_share_a_next_hop() {
    let (_, datapath, _) = fake::engine().await;
    assert_eq!(datapath.tables().next_hops.len(), 2, "one for each IP version");
}

fn add_backend() -> Edit {
    let backend = WeightedBackend::new("192.168.1.20:53".parse().unwrap(), 1);
    Edit::AddBackend { pool: "cryo".to_owned(), backend }
}

#[tokio::test]
async fn an_edit_waits_for_the_neighbour_of_a_new_backend() {
    let (engine, datapath, network) = fake::engine().await;
    network.set("192.168.1.20", fake::asked("192.168.1.20"));
    fake::beside(engine, async |handle| {
        let edit = handle.edit(add_backend(), Who::Daemon, None);
        let answer = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert_eq!(datapath.generation(), 2, "it is made at once");
            network.set("192.168.1.20", fake::reachable("192.168.1.1"));
        };
        let (edited, ()) = tokio::join!(edit, answer);
        assert_eq!(edited.unwrap().generation, 2);
        assert!(datapath.tables().ways()[&"192.168.1.20:53".parse().unwrap()].is_some());
    })
    .await;
}

#[tokio::test]
async fn but_not_for_one_that_does_not_answer() {
    let (engine, _, network) = fake::engine().await;
    network.set("192.168.1.20", fake::asked("192.168.1.20"));
    fake::beside(engine, async |handle| {
        let begin = Instant::now();
        assert_eq!(handle.edit(add_backend(), Who::Daemon, None).await.unwrap().generation, 2);
        assert!(begin.elapsed() <= Duration::from_secs(2));
        assert!(!handle.look(|engine| engine.pool("cryo")).await.unwrap().unwrap().backends[1].reachable);
    })
    .await;
}

#[tokio::test]
async fn many_edits_at_once_are_all_made() {
    const EDITS: u64 = 100;
    let (engine, ..) = fake::engine().await;
    fake::beside(engine, async |handle| {
        let edits = (0..EDITS).map(|number| {
            let target = crate::config::Target::from_word("cryo");
            let pattern = format!("n{number}.example").parse().unwrap();
            handle.edit(Edit::AddRoute { pattern, target }, Who::Daemon, None)
        });
        let edited = futures_util::future::join_all(edits).await;
        let generations: std::collections::BTreeSet<u64> =
            edited.into_iter().map(|edited| edited.unwrap().generation).collect();
        assert!(generations.len() < 10, "those that wait at the same time share one: {generations:?}");
        let routes = handle.look(|engine| engine.routes()).await.unwrap().routes;
        assert_eq!(routes.len() as u64, 6 + EDITS);
    })
    .await;
}

#[tokio::test]
async fn who_asks_when_it_is_over_is_told() {
    let (engine, ..) = fake::engine().await;
    let handle = fake::beside(engine, async |handle| handle).await;
    let begin = Instant::now();
    let error = handle.edit(add_backend(), Who::Daemon, None).await.unwrap_err();
    assert_eq!((error.status, error.detail.message.as_str()), (503, "dproxy is about to end"));
    assert!(begin.elapsed() < Duration::from_secs(1));
}
