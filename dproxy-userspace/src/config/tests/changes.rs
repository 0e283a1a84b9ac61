//! Changes of a configuration: what is found wrong with one is what is wrong with the outcome.

use std::time::Duration;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::LISTEN;
use crate::config::{
    Change, Check, Config, Pattern, Pool, Settings, Switch, Target, WeightedBackend, WhenDown, check,
    check_change,
};

const POOLS: &str = "abc";

fn pool_name() -> impl Strategy<Value = String> {
    "[abc]"
}

/// A pool with which something may be wrong.
pub(super) fn pool() -> impl Strategy<Value = Pool> {
    let backend = (1..5u8, prop_oneof![1 => Just(0), 5 => 1..4u16], prop::bool::weighted(0.2)).prop_map(
        |(host, weight, drained)| {
            let address = format!("192.168.1.{host}:53").parse().unwrap();
            WeightedBackend { address, weight, drained, tier: 1 }
        },
    );
    let switch = (pool_name(), 1..=100u8).prop_map(|(to, percent)| Switch { to: to.into(), percent });
    (
        vec(backend, 1..4),
        prop::option::weighted(0.2, switch),
        any::<bool>(),
        prop::option::weighted(0.2, 1..5u8),
        health(),
        prop::option::weighted(0.3, pool_name()),
    )
        .prop_map(|(backends, switch, proxy_protocol, primary, health, down_to)| Pool {
            backends,
            switch,
            proxy_protocol,
            primary: primary.map(|host| format!("192.168.1.{host}:53").parse().unwrap()),
            health: Box::new(health),
            when_down: down_to.map_or(WhenDown::Drop, |name| WhenDown::Pool(name.into())),
            ..Pool::default()
        })
}

fn health() -> impl Strategy<Value = Check> {
    let query = prop::option::of(prop::sample::select(vec![". NS", "a.b SOA"]));
    (query, prop::option::of(50..2000_u64)).prop_map(|(query, interval)| Check {
        query: query.map(|text| text.parse().unwrap()),
        interval: interval.map_or(Check::default().interval, Duration::from_millis),
        ..Check::default()
    })
}

pub(super) fn pattern() -> impl Strategy<Value = Pattern> {
    r"\.|\*\.|=\.|(=|\*\.)?([ab]|x\\061)(\.[ab]){0,2}".prop_map(|text| text.parse().unwrap())
}

pub(super) fn target() -> impl Strategy<Value = Target> {
    "[abc]|refused|drop".prop_map(|word| Target::from_word(&word))
}

pub(super) fn change() -> impl Strategy<Value = Change> {
    let listener = prop::option::weighted(0.2, 1..5u8).prop_map(|host| {
        host.map(|host| {
            let mut settings = Config::parse(LISTEN, "f").unwrap().settings();
            settings.listen.addresses.push(format!("192.168.1.{host}:53").parse().unwrap());
            Box::<Settings>::new(settings)
        })
    });
    let pools = btree_map(pool_name(), prop::option::weighted(0.8, pool()), 0..3);
    let routes = btree_map(pattern(), prop::option::weighted(0.8, target()), 0..5);
    (listener, pools, routes).prop_map(|(settings, pools, routes)| Change { settings, pools, routes })
}

/// A configuration with which nothing is wrong, most of the time one with all pools.
pub(super) fn valid() -> impl Strategy<Value = Config> {
    change().prop_map(|change| {
        let mut config = Config::parse(LISTEN, "f").unwrap();
        for (index, name) in POOLS.chars().enumerate() {
            let address = format!("192.168.2.{index}:53").parse().unwrap();
            let backends = vec![WeightedBackend::new(address, 1)];
            config.pools.insert(name.to_string(), Pool { backends, ..Pool::default() });
        }
        let undo = config.make(&change);
        if !check(&config).is_empty() {
            config.make(&undo);
        }
        config
    })
}

proptest! {
    #[test]
    fn a_change_is_checked_like_a_whole(mut config in valid(), change in change()) {
        config.make(&change);
        prop_assert_eq!(check_change(&config, &change), check(&config));
    }

    #[test]
    fn a_serialized_configuration_can_be_read(config in valid()) {
        let text = toml::to_string(&config).unwrap();
        let read = Config::parse(&text, "f").map_err(|error| TestCaseError::fail(format!("{text}\n{error}")))?;
        prop_assert_eq!(read, config);
    }
}
