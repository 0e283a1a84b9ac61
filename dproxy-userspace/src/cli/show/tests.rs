//! What people see, word for word.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;
use crate::api;

/// The lines that `show` makes of JSON, as one text.
fn shown<T: DeserializeOwned>(json: Value, show: impl FnOnce(&T, Style) -> Vec<String>) -> String {
    let lines = show(&serde_json::from_value(json).unwrap(), Style::PLAIN);
    assert!(lines.iter().all(|line| line.trim_end() == line), "blanks at the end of a line");
    format!("\n{}\n", lines.join("\n"))
}

fn reachable(address: &str, weight: u16) -> Value {
    let next_hop = json!({"interface": "eth1", "mac": "02:00:00:00:00:09", "source": "192.168.1.1"});
    json!({"address": address, "weight": weight, "reachable": true, "next_hop": next_hop})
}

fn unreachable(address: &str, weight: u16) -> Value {
    let why = "neighbour 192.168.1.10 on eth1 does not answer (FAILED)";
    json!({"address": address, "weight": weight, "reachable": false, "why": why})
}

fn pool_of_three() -> Value {
    let mut tagged = reachable("[2001:db8:1::10]:53", 1);
    tagged["next_hop"]["vlans"] = json!([7, 100]);
    let backends = [reachable("192.168.1.9:53", 3), unreachable("192.168.1.10:53", 0), tagged];
    json!({"name": "resolvers", "policy": "maglev", "hash": "qname", "routes": 2, "backends": backends})
}

fn dice() -> Value {
    json!({"name": "dice", "policy": "random", "routes": 1, "backends": [reachable("192.168.1.11:53", 1)]})
}

#[test]
fn a_status() {
    let json = json!({
        "version": "0.1.0", "process": 4711, "since": "2026-05-01T12:00:03Z", "uptime_seconds": 11520,
        "config": "/etc/dproxy/dproxy.toml", "live_edits": 2, "generation": 3, "routes": 12,
        "interfaces": [{"name": "eth0", "mode": "native"}, {"name": "eth1", "mode": "generic", "fallback": "no"}],
        "listeners": ["192.0.2.53:53", "[2001:db8::53]:53"],
        "pools": [pool_of_three(), dice()],
        "queries_per_second": 1234567.25,
        "warnings": ["pool resolvers: 1 of 3 backends not reachable"],
    });
    assert_eq!(
        shown(json, status),
        "
dproxy         0.1.0, process 4711, up 3 h 12 min since 2026-05-01T12:00:03Z
configuration  /etc/dproxy/dproxy.toml and 2 live edits, which a restart loses
generation     3, 12 routes, 2 pools
listeners      192.0.2.53:53, [2001:db8::53]:53
interfaces     eth0 native, eth1 generic
queries        1,234,567 a second
warning        pool resolvers: 1 of 3 backends not reachable

POOL       POLICY           BACKEND              WEIGHT  REACHABLE
resolvers  maglev by qname  192.168.1.9:53            3  by eth1
                            192.168.1.10:53           0  no: neighbour 192.168.1.10 on eth1 does not answer (FAILED)
                            [2001:db8:1::10]:53       1  by eth1
dice       random           192.168.1.11:53           1  by eth1
"
    );
}

#[test]
fn routes_by_hierarchy() {
    let json = json!({"generation": 1, "routes": [
        {"pattern": ".", "pool": "resolvers"},
        {"pattern": r"a\.b\032c.example", "answer": "drop"},
    ]});
    assert_eq!(
        shown(json, routes),
        r"
ROUTE              LEADS TO
.                  pool resolvers
a\.b\032c.example  answer drop
"
    );
    assert_eq!(
        shown(json!({"generation": 1, "routes": []}), routes),
        "\nThere are no routes: every name is answered refused.\n"
    );
}

#[test]
fn the_routes_of_a_name() {
    let json = json!({
        "generation": 1, "name": "www.example.org", "route": {"pattern": "=www.example.org", "pool": "dice"},
        "pool": dice(),
        "also_matching": [{"pattern": "org", "answer": "nxdomain"}, {"pattern": ".", "pool": "resolvers"}],
    });
    assert_eq!(
        shown(json, name_routes),
        "
name           www.example.org
route          =www.example.org to pool dice
               without it: org to answer nxdomain, then . to pool resolvers
pool           dice, random

BACKEND          WEIGHT  SHARE  REACHABLE  NEXT HOP           SOURCE
192.168.1.11:53       1  100 %  by eth1    02:00:00:00:00:09  192.168.1.1
"
    );
    assert_eq!(
        shown(json!({"generation": 1, "name": "a.example", "also_matching": []}), name_routes),
        "\nname           a.example\nroute          none matches: the answer is refused\n"
    );
}

#[test]
fn pools_and_their_backends() {
    assert_eq!(
        shown(json!({"generation": 1, "pools": [dice(), pool_of_three()]}), pools),
        "
POOL       POLICY           BACKENDS  REACHABLE  ROUTES
dice       random                  1          1       1
resolvers  maglev by qname         3          2       2
"
    );
    assert_eq!(
        shown(pool_of_three(), pool),
        "
pool           resolvers
policy         maglev by qname
used by        2 routes

BACKEND              WEIGHT  SHARE  REACHABLE  NEXT HOP                           SOURCE
192.168.1.9:53            3   75 %  by eth1    02:00:00:00:00:09                  192.168.1.1
192.168.1.10:53           0    0 %  no: neighbour 192.168.1.10 on eth1 does not answer (FAILED)
[2001:db8:1::10]:53       1   25 %  by eth1    02:00:00:00:00:09 VLAN 7 VLAN 100  192.168.1.1
"
    );
}

#[test]
fn backends_of_all_pools() {
    let member = |pool: &str, mut backend: Value| {
        backend["pool"] = pool.into();
        backend
    };
    let members = [
        member("dice", reachable("192.168.1.11:53", 1)),
        member("resolvers", unreachable("192.168.1.10:53", 0)),
    ];
    assert_eq!(
        shown(json!({"generation": 1, "backends": members}), backends),
        "
POOL       BACKEND          WEIGHT  REACHABLE
dice       192.168.1.11:53       1  by eth1
resolvers  192.168.1.10:53       0  no: neighbour 192.168.1.10 on eth1 does not answer (FAILED)
"
    );
}

/// An explanation with what all have, and more.
fn explained(more: Value) -> Value {
    let mut json = json!({
        "generation": 4, "name": "www.example.org", "type": "AAAA", "from": "192.0.2.1:50000",
        "listener": "192.0.2.53:53", "also_matching": [],
    });
    json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json
}

#[test]
fn a_query_is_forwarded() {
    let json = explained(json!({
        "verdict": "forward", "reason": "query-forwarded", "description": "Query forwarded to a backend.",
        "route": {"pattern": "=www.example.org", "pool": "resolvers"},
        "also_matching": [{"pattern": "www.example.org", "answer": "drop"}, {"pattern": ".", "pool": "dice"}],
        "pool": pool_of_three(), "hashed": "www.example.org", "backend": reachable("192.168.1.9:53", 3),
    }));
    assert_eq!(
        shown(json, explanation),
        "
query          www.example.org AAAA from 192.0.2.1:50000 to 192.0.2.53:53
asked          the loaded program, generation 4
route          =www.example.org, exact before subtree of the same name
               to pool resolvers
               without it: www.example.org to answer drop, then . to pool dice
pool           resolvers, maglev by qname
               hashed: www.example.org
backend        192.168.1.9:53, weight 3 of 4
next hop       02:00:00:00:00:09 by eth1, from 192.168.1.1
verdict        forward (query-forwarded): Query forwarded to a backend.
"
    );
}

#[test]
fn a_draw_is_an_example() {
    let json = explained(json!({
        "verdict": "forward", "reason": "query-forwarded", "description": "Query forwarded to a backend.",
        "route": {"pattern": "org", "pool": "dice"}, "also_matching": [{"pattern": ".", "pool": "resolvers"}],
        "pool": dice(), "backend": reachable("192.168.1.11:53", 1),
    }));
    assert_eq!(
        shown(json, explanation),
        "
query          www.example.org AAAA from 192.0.2.1:50000 to 192.0.2.53:53
asked          the loaded program, generation 4
route          org, the longest of 2 that match
               to pool dice
               without it: . to pool resolvers
pool           dice, random
               each query draws anew; this is one draw
backend        192.168.1.11:53, weight 1 of 1
next hop       02:00:00:00:00:09 by eth1, from 192.168.1.1
verdict        forward (query-forwarded): Query forwarded to a backend.
"
    );
}

#[test]
fn no_backend_can_be_reached() {
    let mut pool = dice();
    pool["backends"] = json!([unreachable("192.168.1.10:53", 1)]);
    let json = explained(json!({
        "verdict": "pass", "reason": "backend-unresolved",
        "description": "No backend of the pool can be reached by the fast path.",
        "route": {"pattern": "org", "pool": "dice"}, "pool": pool,
    }));
    assert_eq!(
        shown(json, explanation),
        "
query          www.example.org AAAA from 192.0.2.1:50000 to 192.0.2.53:53
asked          the loaded program, generation 4
route          org, the only one that matches
               to pool dice
pool           dice, random
backend        none
               192.168.1.10:53: neighbour 192.168.1.10 on eth1 does not answer (FAILED)
verdict        pass (backend-unresolved): No backend of the pool can be reached by the fast path.
"
    );
}

#[test]
fn answers_and_no_route() {
    let json = explained(json!({
        "verdict": "answer", "reason": "answered-nxdomain", "description": "Answered NXDOMAIN: the route says so.",
        "route": {"pattern": "*.org", "answer": "nxdomain"}, "also_matching": [{"pattern": "org", "pool": "dice"}],
    }));
    assert_eq!(
        shown(json, explanation),
        "
query          www.example.org AAAA from 192.0.2.1:50000 to 192.0.2.53:53
asked          the loaded program, generation 4
route          *.org, wildcard before subtree of the same name
               to answer nxdomain
               without it: org to pool dice
verdict        answer (answered-nxdomain): Answered NXDOMAIN: the route says so.
"
    );
    let json = explained(json!({
        "verdict": "answer", "reason": "no-route",
        "description": "Answered REFUSED: no route matches and there is no default.",
    }));
    assert!(
        shown(json, explanation)
            .contains("\nroute          none applied\nverdict        answer (no-route): ")
    );
}

fn counters(factor: u64) -> api::Stats {
    serde_json::from_value(json!({
        "generation": 3, "uptime_milliseconds": 1000 * factor, "received": 2100 * factor,
        "verdicts": {}, "slots_overwritten": 0,
        "reasons": {"query-forwarded": 1000 * factor, "not-ip": 0, "reply-forwarded": 1000 * factor, "newer": 100 * factor},
        "listeners": [{"address": "192.0.2.53:53", "queries": 1000 * factor, "responses": 1000 * factor}],
        "routes": [
            {"pattern": ".", "pool": "dice", "queries": factor},
            {"pattern": "org", "answer": "drop", "queries": 999 * factor},
        ],
        "pools": [{"name": "dice", "queries": 1000 * factor}],
        "backends": [{
            "address": "192.168.1.11:53", "queries": 1000 * factor, "replies": 1000 * factor,
            "noerror": 1000 * factor, "nxdomain": 0, "servfail": 0, "refused": 0, "other": 0,
        }],
    }))
    .unwrap()
}

#[test]
fn counters_and_their_sums() {
    let view = StatsView { all: false, height: None, style: Style::PLAIN };
    assert_eq!(
        format!("\n{}\n", view.lines(&counters(1), None).join("\n")),
        "
generation 3, 2,100 packets received

REASON           VERDICT  PACKETS
query-forwarded  forward    1,000
reply-forwarded  forward    1,000
newer                         100
in total                    2,100

LISTENER       QUERIES  RESPONSES
192.0.2.53:53    1,000      1,000

POOL  QUERIES
dice    1,000

BACKEND          QUERIES  REPLIES  NOERROR  NXDOMAIN  SERVFAIL  REFUSED  OTHER
192.168.1.11:53    1,000    1,000    1,000         0         0        0      0

ROUTE     LEADS TO     QUERIES
org       answer drop      999
.         pool dice          1
in total                 1,000
"
    );
    let all = StatsView { all: true, ..view }.lines(&counters(1), None);
    assert!(all.iter().any(|line| line.starts_with("not-ip ")), "{all:?}");
}

#[test]
fn rates_and_a_small_screen() {
    let view = StatsView { all: false, height: Some(12), style: Style::PLAIN };
    assert_eq!(
        format!("\n{}\n", view.lines(&counters(3), Some(&counters(1))).join("\n")),
        "
generation 3, 6,300 packets received

REASON           VERDICT  PACKETS  A SECOND
query-forwarded  forward    3,000     1,000
reply-forwarded  forward    3,000     1,000
newer                         300       100
in total                    6,300     2,100

LISTENER       QUERIES  A SECOND  RESPONSES
192.0.2.53:53    3,000     1,000      3,000
"
    );
}
