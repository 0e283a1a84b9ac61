//! From one pool to another: by a share of the clients, or at once; and back.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::Ipv4Addr;

use dproxy_lab::{Topology, skip_without_root};
use dproxy_tests::frames::wire_name;
use dproxy_tests::net::{Asker, B1, B2, Crowd, Operator, Site, listeners, tables};

/// Nobody is there.
const DEAD: &str = "10.53.3.99:53";
/// Clients that ask over TCP as well, of each IP version.
const TCP_CLIENTS: u16 = 100;
/// Clients that ask the slow path alone.
const SLOW_CLIENTS: u16 = 2000;

fn pools_and_routes() -> String {
    tables(
        &[("blue", B1), ("green", B2)],
        &[(".", "blue"), ("x.test", "blue"), ("=y.test", "green"), ("z.test", "refused")],
    )
}

/// Which of the clients are with `green`, whose server calls itself b.
fn on_green(crowd: &Crowd<'_>, name: &str, clients: u16) -> Vec<bool> {
    let answers = crowd.ask(&wire_name(name), clients);
    let is_green = |(client, who): (usize, &String)| match who.as_str() {
        "a" => false,
        "b" => true,
        _ => panic!("client {client} of {} gets `{who}` for {name}", crowd.listener()),
    };
    answers.iter().enumerate().map(is_green).collect()
}

/// Asks in different ways for different names: a client is on the same side each time.
fn sides(crowd: &Crowd<'_>, percent: u8) -> Vec<bool> {
    let first = on_green(crowd, "x.test", Crowd::SIZE);
    for name in ["some.other.name.test", "x.test"] {
        assert!(
            on_green(crowd, name, Crowd::SIZE) == first,
            "{percent} %: a client changes sides for {name}"
        );
    }
    for client in 0..TCP_CLIENTS {
        let server = if first[usize::from(client)] { "b" } else { "a" };
        let over_tcp = crowd.ask_over_tcp(client, &wire_name("x.test"));
        assert_eq!(over_tcp, server, "{percent} %: client {client} over TCP, and before over UDP");
    }
    first
}

fn share(sides: &[bool]) -> f64 {
    sides.iter().filter(|side| **side).count() as f64 * 100.0 / sides.len() as f64
}

/// What the slow path alone decides.
fn slow_sides(percent: u8, clients: u16) -> [Vec<bool>; 2] {
    let topology = Topology::builder("e2e-switchslow").build().unwrap();
    let site = Site::on(topology, "off", &pools_and_routes());
    let crowds = Crowd::both(&site.topology);
    Operator::of(&site.balancer).does(&format!("pool switch blue green --percent {percent}"));
    crowds.map(|crowd| on_green(&crowd, "x.test", clients))
}

#[test]
fn a_share_of_the_clients_is_switched_and_stays() {
    if skip_without_root() {
        return;
    }
    let site = Site::new("e2e-switch", &pools_and_routes());
    let operator = Operator::of(&site.balancer);
    let crowds = Crowd::both(&site.topology);
    let unswitched = operator.configuration();
    let mut before = crowds.each_ref().map(|crowd| sides(crowd, 0));
    assert!(before.iter().flatten().all(|side| !side), "all are with blue at first");
    for percent in [10, 25, 50, 100] {
        let generation = operator.generation();
        operator.does(&format!("pool switch blue green --percent {percent}"));
        assert_eq!(operator.generation(), generation + 1, "one generation");
        let now = crowds.each_ref().map(|crowd| sides(crowd, percent));
        for ((crowd, now), before) in crowds.iter().zip(&now).zip(&before) {
            let share = share(now);
            println!("  {percent} %: {share:.2} % of the clients of {}", crowd.listener());
            assert!((share - f64::from(percent)).abs() < 1.0, "{percent} %: within a point, not {share}");
            let back = before.iter().zip(now).filter(|(before, now)| **before && !**now).count();
            assert_eq!(back, 0, "{percent} %: raising the share only adds clients");
        }
        if percent == 25 {
            for (slow, fast) in slow_sides(percent, SLOW_CLIENTS).iter().zip(&now) {
                assert!(fast.starts_with(slow), "both paths decide the same for each client");
            }
            operator.does("status");
            operator.does("pool show blue");
            let switched = now[0].iter().position(|side| *side).unwrap() as u32;
            let client = Ipv4Addr::from_bits(u32::from(Ipv4Addr::new(10, 100, 0, 1)) + switched);
            let explained = operator.does(&format!("explain x.test --from {client}"));
            assert!(explained.contains("not blue: this client is switched from there"), "{explained}");
            operator.is_refused("pool switch green blue --percent 5", "is on a switch to pool");
        }
        before = now;
    }
    operator.does("pool switch blue green --back");
    assert_eq!(operator.configuration(), unswitched, "taken back");
    for crowd in &crowds {
        assert!(on_green(crowd, "x.test", Crowd::SIZE).iter().all(|side| !side), "all are with blue again");
    }
    operator.is_refused(
        "pool switch blue green --back",
        "nothing of pool \"blue\" is on the switch to pool \"green\"",
    );
}

fn answers(site: &Site) -> Vec<String> {
    let names = ["x.test", "y.test", "z.test", "sub.y.test", "w.test"];
    let [v4, v6] = listeners().map(|listener| {
        let mut asker = Asker::new(&site.topology.client.namespace, listener);
        names.map(|name| asker.who(&wire_name(name)))
    });
    assert_eq!(v4, v6, "over both IP versions");
    v4.to_vec()
}

#[test]
fn all_routes_are_switched_at_once_and_exactly_those_come_back() {
    if skip_without_root() {
        return;
    }
    let site = Site::new("e2e-switchall", &pools_and_routes());
    let operator = Operator::of(&site.balancer);
    let before = operator.configuration();
    assert_eq!(answers(&site), ["a", "b", "refused", "a", "a"], "before");
    let generation = operator.generation();
    operator.does("pool switch blue green");
    assert_eq!(operator.generation(), generation + 1, "one generation");
    assert_eq!(answers(&site), ["b", "b", "refused", "b", "b"], "switched");
    operator.does("plan");
    operator.does("history");
    operator.does("route add later.test green");
    operator.does("pool switch blue green --back");
    assert_eq!(operator.generation(), generation + 3, "one generation");
    assert_eq!(answers(&site), ["a", "b", "refused", "a", "a"], "taken back");
    operator.does("route remove later.test");
    assert_eq!(operator.configuration(), before, "exactly the routes that were switched");
    operator.is_refused("pool switch blue green --back", "nothing of pool \"blue\" is on the switch");
}

#[test]
fn a_pool_that_cannot_answer_is_switched_to_by_force_only() {
    if skip_without_root() {
        return;
    }
    let site = Site::new("e2e-switchdead", &pools_and_routes());
    let operator = Operator::of(&site.balancer);
    operator.does(&format!("pool add dead --backend {DEAD}"));
    operator.does(&format!("pool add half --backend {DEAD} --backend {B2}"));
    for command in ["pool switch blue dead", "pool switch blue dead --percent 10"] {
        let error = operator.is_refused(command, "no backend of pool \"dead\" is up");
        assert!(error.contains("--force"), "it says how: {error}");
    }
    operator.does(&format!("backend drain half {B2}"));
    operator.is_refused("pool switch blue half", "no backend of pool \"half\" is up");
    operator.does(&format!("backend enable half {B2}"));
    operator.does("pool switch blue half --percent 100");
    operator.does("pool switch blue half --back");
    operator.is_refused("pool switch blue nowhere", "there is no pool \"nowhere\"");
    operator.is_refused("pool switch blue blue", "cannot be switched to itself");
    assert_eq!(answers(&site), ["a", "b", "refused", "a", "a"], "refused, or taken back");
    operator.does("pool switch blue dead --force");
    operator.does("status");
    operator.does("pool switch blue dead --back");
    assert_eq!(answers(&site), ["a", "b", "refused", "a", "a"], "taken back");
}
