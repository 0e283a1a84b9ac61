//! What the datapath has after edits.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::api::{ApiError, Code, Edited};
use crate::config::{Pool, Target, WeightedBackend};
use crate::control::MemberKey;
use crate::daemon::{Edit, fake};
use crate::datapath::{CounterId, Inheritance};

fn route(pattern: &str, target: &str) -> Edit {
    Edit::SetRoute { pattern: pattern.parse().unwrap(), target: Target::from_word(target) }
}

fn add_backend(pool: &str, address: &str) -> Edit {
    let backend = WeightedBackend::new(address.parse().unwrap(), 1);
    Edit::AddBackend { pool: pool.to_owned(), backend }
}

#[tokio::test]
async fn the_first_generation_is_there_before_the_first_packet() {
    let (engine, datapath, _) = fake::engine().await;
    assert_eq!(datapath.generation(), 1);
    let tables = datapath.tables();
    assert!(tables.is_attached);
    assert_eq!(tables.ways().len(), 4);
    assert!(tables.ways().values().all(Option::is_some));
    assert_eq!(tables.sources().len(), 2);
    assert_eq!(engine.generation, 1);
}

#[tokio::test]
async fn an_edit_that_is_answered_is_in_the_datapath() {
    let (mut engine, datapath, _) = fake::engine().await;
    let made = engine.edit(&route("new.example", "dice")).await.unwrap();
    assert_eq!(made.edited, Edited { generation: 2, changed: true });
    assert_eq!(datapath.generation(), 2);
    datapath.route_id("new.example");
}

#[tokio::test]
async fn the_first_packet_to_a_new_backend_finds_its_way() {
    let (mut engine, datapath, _) = fake::engine().await;
    assert!(datapath.tables().first_ways.values().all(Option::is_some));
    engine.edit(&add_backend("cryo", "192.168.1.20:53")).await.unwrap();
    assert_eq!(datapath.tables().first_ways.len(), 5);
    assert!(datapath.tables().first_ways.values().all(Option::is_some));
}

#[tokio::test]
async fn an_edit_that_changes_nothing_makes_no_generation() {
    let (mut engine, datapath, _) = fake::engine().await;
    let made = engine.edit(&route("cryo.network", "cryo")).await.unwrap();
    assert_eq!(made.edited, Edited { generation: 1, changed: false });
    assert_eq!(datapath.generation(), 1);
}

#[tokio::test]
async fn what_breaks_a_rule_changes_nothing() {
    let (mut engine, datapath, _) = fake::engine().await;
    for (edit, code, message) in [
        (
            route("new.example", "resolverz"),
            Code::Invalid,
            "route \"new.example\" names pool \"resolverz\", which does not exist",
        ),
        (
            add_backend("cryo", "192.0.2.53:53"),
            Code::Invalid,
            "backend 192.0.2.53:53 of pool \"cryo\" is a listener too, so that queries would go round in a loop",
        ),
        (
            Edit::AddPool { name: "empty".to_owned(), pool: Pool::default() },
            Code::Invalid,
            "pool \"empty\" has no backend",
        ),
    ] {
        let error: ApiError = engine.edit(&edit).await.unwrap_err().into();
        assert_eq!((error.code, error.detail.message.as_str()), (code, message));
        assert!(error.detail.place.is_some() && error.detail.allowed.is_some());
    }
    assert_eq!((datapath.generation(), engine.generation), (1, 1));
    assert_eq!(engine.config, fake::config());
}

#[tokio::test]
async fn what_the_datapath_refuses_changes_nothing() {
    let (mut engine, datapath, _) = fake::engine().await;
    datapath.tables().refusal = Some("no".to_owned());
    let error: ApiError = engine.edit(&add_backend("cryo", "192.168.1.20:53")).await.unwrap_err().into();
    assert_eq!((error.code, error.status, error.detail.message.as_str()), (Code::Unavailable, 503, "no"));
    assert_eq!((datapath.generation(), engine.generation), (1, 1));
    assert_eq!(engine.config, fake::config());

    // The next one is made as if nothing had been.
    let made = engine.edit(&add_backend("cryo", "192.168.1.21:53")).await.unwrap();
    assert_eq!(made.edited.generation, 2);
    assert!(datapath.tables().ways()[&"192.168.1.21:53".parse().unwrap()].is_some());
}

#[tokio::test]
async fn counters_begin_at_zero_when_their_id_means_somebody_new() {
    let (mut engine, datapath, _) = fake::engine().await;
    datapath.tables().capacity.route_ids = 7;
    datapath.tables().cleared.clear();
    engine.edit(&route("new.example", "dice")).await.unwrap();
    let first = datapath.route_id("new.example");
    engine.edit(&route("cryo.network", "dice")).await.unwrap();
    assert_eq!(datapath.tables().cleared, [], "nobody has had this id before");

    engine.edit(&Edit::RemoveRoute { pattern: "new.example".parse().unwrap() }).await.unwrap();
    engine.edit(&route("newer.example", "dice")).await.unwrap();
    assert_eq!(datapath.route_id("newer.example"), first, "there is no other");
    assert_eq!(datapath.tables().cleared, [CounterId::Route(first)]);
}

#[tokio::test]
async fn a_backend_has_a_word_for_each_of_its_pools() {
    let (mut engine, datapath, _) = fake::engine().await;
    engine.edit(&add_backend("dice", "192.168.1.9:8053")).await.unwrap();
    assert_eq!(datapath.tables().backends.len(), 5);
    let stats = engine.stats().unwrap();
    let members: Vec<_> =
        stats.backends.iter().map(|backend| format!("{} {}", backend.address, backend.pool)).collect();
    let expected = [
        "192.168.1.9:8053 cryo",
        "192.168.1.9:8053 dice",
        "192.168.1.10:53 resolvers",
        "192.168.1.11:53 dice",
        "[2001:db8:1::10]:53 resolvers",
    ];
    assert_eq!(members, expected);
}

#[tokio::test]
async fn ids_stay_over_a_restart() {
    let config = fake::config();
    let [first, gone]: [SocketAddr; 2] =
        ["192.168.1.10:53", "192.168.1.77:53"].map(|text| text.parse().unwrap());
    let [at_first, at_last] =
        [("resolvers", first), ("dice", gone)].map(|(pool, it)| MemberKey::new(pool, it));
    let datapath = fake::FakeDatapath::new(&config);
    datapath.tables().inherited = Inheritance {
        // The program before has met one backend twice.
        backends: BTreeMap::from([(3, at_first), (5, at_last), (6, at_first)]),
        listeners: BTreeMap::from([(9, config.listen.addresses[0])]),
        ..Inheritance::default()
    };
    let (mut engine, ..) = fake::engine_on(config.clone(), datapath).await;
    let names = engine.layout.names().clone();
    assert_eq!(names.backends.get(&3).map(|member| member.address), Some(first));
    assert_eq!(names.listeners.get(&9), Some(&config.listen.addresses[0]));
    let others = names.backends.keys().filter(|id| **id != 3);
    assert!(others.clone().all(|id| *id > 6), "slots name the others: {others:?}");
    engine.edit(&add_backend("dice", "192.168.1.77:53")).await.unwrap();
    let names = engine.layout.names();
    assert_eq!(names.backends.get(&3).map(|member| member.address), Some(first));
    let again = names.backends.iter().find(|(_, member)| member.address == gone).unwrap();
    assert!(![3, 6].contains(again.0));
}
