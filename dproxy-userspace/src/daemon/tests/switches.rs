//! Draining, and switching from pool to pool, without an engine.

use crate::api::{ApiError, Code};
use crate::config::Config;
use crate::daemon::{Edit, fake};

fn to(from: &str, to: &str, percent: Option<u8>) -> Edit {
    Edit::Switch { from: from.to_owned(), to: to.to_owned(), percent, force: false }
}

fn back(from: &str, to: &str) -> Edit {
    Edit::SwitchBack { from: from.to_owned(), to: to.to_owned() }
}

/// The configuration after edits.
fn after(edits: &[Edit]) -> Config {
    let mut config = fake::config();
    edits.iter().for_each(|edit| edit.apply(&mut config).unwrap());
    config
}

/// How the last of some edits is refused. It has changed nothing.
fn refusal(edits: &[Edit]) -> (Code, String) {
    let (last, first) = edits.split_last().unwrap();
    let mut config = after(first);
    let error: ApiError = last.apply(&mut config).unwrap_err().into();
    assert_eq!(config, after(first), "{last}");
    (error.code, error.to_string())
}

#[test]
fn a_drained_backend_keeps_its_weight() {
    let drain = |drained| Edit::Drain {
        pool: "resolvers".to_owned(),
        address: "192.168.1.10:53".parse().unwrap(),
        drained,
    };
    let backend = after(&[drain(true)]).pools["resolvers"].backends[0];
    assert_eq!((backend.weight, backend.drained, backend.share()), (3, true, 0));
    assert_eq!(after(&[drain(true), drain(false)]), fake::config());
    assert_eq!(drain(false).to_string(), "enable backend 192.168.1.10:53 of pool \"resolvers\"");
    let unknown =
        Edit::Drain { pool: "cryo".to_owned(), address: "192.168.1.10:53".parse().unwrap(), drained: true };
    assert_eq!(
        refusal(&[unknown]),
        (Code::NotFound, "there is no backend 192.168.1.10:53 in pool \"cryo\"".to_owned())
    );
}

#[test]
fn a_share_can_grow_and_be_taken_back() {
    for percent in [1, 10, 100] {
        let config = after(&[to("resolvers", "dice", Some(5)), to("resolvers", "dice", Some(percent))]);
        let switch = config.pools["resolvers"].switch.as_ref().unwrap();
        assert_eq!((&*switch.to, switch.percent), ("dice", percent));
        assert_eq!(config.routes, fake::config().routes, "routes stay as they are");
    }
    let config = after(&[to("resolvers", "dice", Some(5)), back("resolvers", "dice")]);
    assert_eq!(config, fake::config());
}

#[test]
fn without_a_share_every_route_is_moved() {
    let config = after(&[to("resolvers", "dice", Some(50)), to("resolvers", "dice", None)]);
    assert_eq!(config.pools, fake::config().pools, "and nothing is on the switch any more");
    for (pattern, target) in &config.routes {
        let before = fake::config().routes[pattern].to_string();
        assert_eq!(target.to_string(), if before == "resolvers" { "dice" } else { &before }, "{pattern}");
    }
}

#[test]
fn what_is_refused() {
    let on = "\n    allowed: pools on no other switch; finish that one, or take it back (--back)";
    let share = "\n    allowed: 1 to 100; without a share, the routes are moved for good";
    for (edits, code, text) in [
        (vec![to("no", "dice", None)], Code::NotFound, "there is no pool \"no\"".to_owned()),
        (vec![to("dice", "no", Some(1))], Code::NotFound, "there is no pool \"no\"".to_owned()),
        (
            vec![to("dice", "dice", None)],
            Code::Invalid,
            "pool \"dice\" cannot be switched to itself\n    allowed: two different pools".to_owned(),
        ),
        (
            vec![to("dice", "cryo", Some(0))],
            Code::Invalid,
            format!("0 % is not a share of the clients{share}"),
        ),
        (
            vec![to("dice", "cryo", Some(101))],
            Code::Invalid,
            format!("101 % is not a share of the clients{share}"),
        ),
        (
            vec![to("dice", "cryo", Some(10)), to("dice", "resolvers", Some(10))],
            Code::InUse,
            format!("pool \"dice\" is on a switch to pool \"cryo\"{on}"),
        ),
        (
            vec![to("dice", "cryo", Some(10)), to("dice", "resolvers", None)],
            Code::InUse,
            format!("pool \"dice\" is on a switch to pool \"cryo\"{on}"),
        ),
        (
            vec![to("dice", "cryo", Some(10)), to("resolvers", "dice", Some(10))],
            Code::InUse,
            format!("pool \"dice\" is on a switch to pool \"cryo\"{on}"),
        ),
        (
            vec![to("dice", "cryo", Some(10)), to("cryo", "resolvers", Some(10))],
            Code::InUse,
            format!("pool \"dice\" is on a switch to pool \"cryo\"{on}"),
        ),
        (
            vec![back("dice", "cryo")],
            Code::NotFound,
            "nothing of pool \"dice\" is on the switch to pool \"cryo\"".to_owned(),
        ),
        (
            vec![to("dice", "cryo", Some(10)), back("dice", "resolvers")],
            Code::InUse,
            format!("pool \"dice\" is on a switch to pool \"cryo\"{on}"),
        ),
    ] {
        assert_eq!(refusal(&edits), (code, text));
    }
}

#[test]
fn several_edits_are_one() {
    let all = Edit::All(vec![to("dice", "cryo", Some(10)), back("dice", "cryo")]);
    assert_eq!(after(std::slice::from_ref(&all)), fake::config());
    assert_eq!(
        all.to_string(),
        "switch 10 % of the clients of pool \"dice\" to \"cryo\", take back the switch of pool \"dice\" to \
         \"cryo\""
    );
}
