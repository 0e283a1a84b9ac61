//! Edits of a configuration, without an engine.

use crate::api::{ApiError, Code};
use crate::config::{Config, Policy, Pool, WeightedBackend};
use crate::daemon::{Edit, fake};

fn backend(address: &str, weight: u16) -> WeightedBackend {
    WeightedBackend::new(address.parse().unwrap(), weight)
}

fn add_route(pattern: &str, target: &str) -> Edit {
    Edit::AddRoute { pattern: pattern.parse().unwrap(), target: crate::config::Target::from_word(target) }
}

fn remove_route(pattern: &str) -> Edit {
    Edit::RemoveRoute { pattern: pattern.parse().unwrap() }
}

fn remove_backend(pool: &str, address: &str) -> Edit {
    Edit::RemoveBackend { pool: pool.to_owned(), address: address.parse().unwrap() }
}

fn set_weight(pool: &str, address: &str, weight: u16) -> Edit {
    Edit::SetWeight { pool: pool.to_owned(), address: address.parse().unwrap(), weight }
}

/// The configuration after edits.
fn after(edits: &[Edit]) -> Config {
    let mut config = fake::config();
    for edit in edits {
        edit.apply(&mut config).unwrap();
    }
    config
}

fn target(config: &Config, pattern: &str) -> String {
    config.routes[&pattern.parse().unwrap()].to_string()
}

#[test]
fn routes() {
    let config = after(&[add_route("=a.example", "cryo"), add_route("b.example", "drop"), remove_route(".")]);
    assert_eq!(target(&config, "=A.example"), "cryo");
    assert_eq!(target(&config, "b.example"), "drop");
    assert_eq!(config.routes.len(), fake::config().routes.len() + 1);

    let set = |target| Edit::SetRoute {
        pattern: "cryo.network".parse().unwrap(),
        target: crate::config::Target::from_word(target),
    };
    assert_eq!(target(&after(&[set("dice")]), "cryo.network"), "dice");
    assert_eq!(after(&[set("cryo")]), fake::config());
}

#[test]
fn pools() {
    let pool =
        Pool { policy: Policy::Random, backends: vec![backend("192.168.1.20:53", 2)], ..Pool::default() };
    let add = Edit::AddPool { name: "new".to_owned(), pool: pool.clone() };
    let remove = Edit::RemovePool { name: "new".to_owned() };
    assert_eq!(after(std::slice::from_ref(&add)).pools["new"], pool);
    assert_eq!(after(&[add, remove]), fake::config());
}

#[test]
fn backends() {
    let add = Edit::AddBackend { pool: "cryo".to_owned(), backend: backend("192.168.1.20:53", 2) };
    let config = after(&[add.clone(), set_weight("cryo", "192.168.1.9:8053", 5)]);
    let expected = [backend("192.168.1.9:8053", 5), backend("192.168.1.20:53", 2)];
    assert_eq!(config.pools["cryo"].backends, expected);
    assert_eq!(after(&[add, remove_backend("cryo", "192.168.1.20:53")]), fake::config());
}

/// What the API says of an edit that cannot be made.
fn refusal(edit: &Edit) -> (Code, String) {
    let mut config = fake::config();
    let error: ApiError = edit.apply(&mut config).unwrap_err().into();
    assert_eq!(config, fake::config(), "{edit} changed something");
    (error.code, error.to_string())
}

#[test]
fn refusals() {
    let known = Edit::AddBackend { pool: "cryo".to_owned(), backend: backend("192.168.1.9:8053", 2) };
    let pool = fake::config().pools["cryo"].clone();
    let cases = [
        (
            add_route("CRYO.network", "drop"),
            Code::Exists,
            "route \"cryo.network\" is there already and leads to pool \"cryo\"\n    allowed: a pattern \
             without a route; to change where this one leads, replace it (--replace, or PUT)",
        ),
        (remove_route("*.cryo.network"), Code::NotFound, "there is no route \"*.cryo.network\""),
        (Edit::AddPool { name: "cryo".to_owned(), pool }, Code::Exists, "pool \"cryo\" is there already"),
        (Edit::RemovePool { name: "no".to_owned() }, Code::NotFound, "there is no pool \"no\""),
        (
            Edit::RemovePool { name: "resolvers".to_owned() },
            Code::InUse,
            "pool \"resolvers\" is in use by 2 routes: ., =www.example.org\n    allowed: a pool that no \
             route leads to; let these lead elsewhere, or remove them",
        ),
        (known, Code::Exists, "backend 192.168.1.9:8053 of pool \"cryo\" is there already"),
        (remove_backend("no", "192.168.1.9:8053"), Code::NotFound, "there is no pool \"no\""),
        (
            remove_backend("cryo", "192.168.1.9:53"),
            Code::NotFound,
            "there is no backend 192.168.1.9:53 in pool \"cryo\"",
        ),
        (
            remove_backend("resolvers", "192.168.1.10:53"),
            Code::InUse,
            "backend 192.168.1.10:53 is the primary of pool \"resolvers\"\n    allowed: a backend that is \
             not; the primary is set in the file, or when a pool is added",
        ),
        (
            set_weight("cryo", "192.168.1.9:53", 1),
            Code::NotFound,
            "there is no backend 192.168.1.9:53 in pool \"cryo\"",
        ),
    ];
    for (edit, code, text) in cases {
        assert_eq!(refusal(&edit), (code, text.to_owned()), "{edit}");
    }
}
