//! Live edits of a pool's settings.

use std::time::Duration;

use dproxy_common::abi::HashInput as Packed;

use crate::config::{HashInput, PanicThreshold, Policy, WhenDown};
use crate::daemon::{Edit, PoolChange, fake};

fn set(change: PoolChange) -> Edit {
    Edit::SetPool { name: "resolvers".to_owned(), change }
}

#[tokio::test]
async fn what_is_given_is_changed_and_the_rest_stays() {
    let (mut engine, datapath, _) = fake::engine().await;
    let before = engine.config.pools["resolvers"].clone();
    let hash = |datapath: &fake::FakeDatapath| {
        let tables = datapath.tables();
        let snapshot = tables.published.as_ref().unwrap();
        let (id, _) = snapshot.names.pools.iter().find(|(_, name)| *name == "resolvers").unwrap();
        snapshot.pools[usize::from(*id)].hash
    };
    let all = PoolChange {
        policy: Some(Policy::RoundRobin),
        panic_threshold: Some(PanicThreshold(0)),
        when_down: Some(WhenDown::Drop),
        slow_start: Some(Some(Duration::from_secs(30))),
        ..PoolChange::default()
    };
    let edit = set(all);
    assert_eq!(
        edit.to_string(),
        "set policy to round-robin, panic_threshold to 0, when_down to drop, slow_start to 30s of pool \"resolvers\""
    );
    engine.edit(&edit).await.unwrap();
    let pool = &engine.config.pools["resolvers"];
    assert_eq!((pool.policy, pool.panic_threshold), (Policy::RoundRobin, PanicThreshold(0)));
    assert_eq!((&pool.when_down, pool.slow_start), (&WhenDown::Drop, Some(Duration::from_secs(30))));
    assert_eq!((&pool.backends, &pool.health), (&before.backends, &before.health));
    assert_eq!(hash(&datapath), Packed::RoundRobin as u8);
    let off = PoolChange { slow_start: Some(None), ..PoolChange::default() };
    engine.edit(&set(off)).await.unwrap();
    assert_eq!(engine.config.pools["resolvers"].slow_start, None);
}

#[tokio::test]
async fn what_does_not_go_together_is_refused_whole() {
    let (mut engine, ..) = fake::engine().await;
    let refused = [
        (
            PoolChange {
                policy: Some(Policy::Random),
                hash: Some(HashInput::Client),
                ..PoolChange::default()
            },
            "hash of pool \"resolvers\" is given with policy \"random\", which hashes nothing",
        ),
        (
            PoolChange {
                policy: Some(Policy::Random),
                bounded_load: Some(Some(125)),
                ..PoolChange::default()
            },
            "bounded_load of pool \"resolvers\" is given with policy \"random\", which hashes nothing",
        ),
        (
            PoolChange { when_down: Some(WhenDown::Pool("none".into())), ..PoolChange::default() },
            "when_down of pool \"resolvers\" names pool \"none\", which does not exist",
        ),
        (
            PoolChange { slow_start: Some(Some(Duration::ZERO)), ..PoolChange::default() },
            "slow_start of pool \"resolvers\" is \"0s\"",
        ),
    ];
    for (change, says) in refused {
        let before = engine.config.clone();
        let error = engine.edit(&set(change)).await.unwrap_err().to_string();
        assert!(error.starts_with(says), "{error}");
        assert_eq!(engine.config, before);
    }
    let edit = Edit::SetPool { name: "nobody".to_owned(), change: PoolChange::default() };
    assert!(engine.edit(&edit).await.unwrap_err().to_string().contains("there is no pool \"nobody\""));
}

#[tokio::test]
async fn a_policy_of_the_same_kind_keeps_what_it_hashes() {
    let (mut engine, ..) = fake::engine().await;
    let client = PoolChange { hash: Some(HashInput::Client), ..PoolChange::default() };
    engine.edit(&set(client)).await.unwrap();
    let failover = "failover".parse().ok();
    engine.edit(&set(PoolChange { policy: failover, ..PoolChange::default() })).await.unwrap();
    assert_eq!(engine.config.pools["resolvers"].policy, Policy::Failover { hash: HashInput::Client });
}
