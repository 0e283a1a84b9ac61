//! What people see, word for word.

mod counters;
mod decisions;
mod whole;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Style, backends, name_routes, pool, pools, routes, status};

/// The lines that `show` makes of JSON, as one text.
fn shown<T: DeserializeOwned>(json: Value, show: impl FnOnce(&T, Style) -> Vec<String>) -> String {
    let lines = show(&serde_json::from_value(json).unwrap(), Style::PLAIN);
    assert!(lines.iter().all(|line| line.trim_end() == line), "blanks at the end of a line");
    format!("\n{}\n", lines.join("\n"))
}

fn reachable(address: &str, weight: u16) -> Value {
    let next_hop = json!({"interface": "eth1", "mac": "02:00:00:00:00:09", "source": "192.168.1.1"});
    json!({"address": address, "weight": weight, "reachable": true, "path": "fast", "next_hop": next_hop})
}

fn unreachable(address: &str, weight: u16) -> Value {
    let why = "neighbour 192.168.1.10 on eth1 does not answer (FAILED)";
    json!({"address": address, "weight": weight, "reachable": false, "path": "none", "why": why})
}

fn left_to_slow_path(address: &str, weight: u16) -> Value {
    let why = "its route leaves by wg0, which is not among listen.interfaces";
    json!({"address": address, "weight": weight, "reachable": true, "path": "slow", "why": why})
}

fn local(address: &str, weight: u16) -> Value {
    json!({"address": address, "weight": weight, "reachable": true, "path": "local"})
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
        "slow_path": {"workers": 2, "tcp_connections": 3, "backend_connections": 1},
        "listeners": ["192.0.2.53:53", "[2001:db8::53]:53", "127.0.0.1:53"],
        "pools": [pool_of_three(), dice()],
        "queries_per_second": 1234567.25,
        "warnings": ["pool resolvers: 1 of 3 backends not reachable"],
    });
    assert_eq!(
        shown(json, status),
        "
dproxy         0.1.0, process 4711, up 3 h 12 min since 2026-05-01T12:00:03Z
configuration  /etc/dproxy/dproxy.toml and 2 live edits since it was applied
generation     3, 12 routes, 2 pools
listeners      192.0.2.53:53, [2001:db8::53]:53, 127.0.0.1:53 (slow path only)
fast path      UDP by eth0 native, eth1 generic
slow path      TCP and the rest of UDP; 2 workers, 3 TCP connections, 1 to backends
queries        1,234,567 a second
warning        pool resolvers: 1 of 3 backends not reachable

POOL       POLICY           BACKEND              WEIGHT  PATH
resolvers  maglev by qname  192.168.1.9:53            3  fast, by eth1
                            192.168.1.10:53           0  none: neighbour 192.168.1.10 on eth1 does not answer (FAILED)
                            [2001:db8:1::10]:53       1  fast, by eth1
dice       random           192.168.1.11:53           1  fast, by eth1
"
    );
}

#[test]
fn a_status_of_a_broken_node_begins_with_what_is_broken() {
    let with = |address: &str, health: Value| {
        let mut backend = reachable(address, 1);
        backend["health"] = health;
        backend
    };
    let health = |state: &str, seconds: u64, gets_queries: bool| {
        json!({"state": state, "since": "2026-05-01T12:00:03Z", "seconds": seconds, "flaps": 3,
               "gets_queries": gets_queries, "queries_per_second": 0, "replies_per_second": 0})
    };
    let mut down = health("down", 7, false);
    down["why"] = "no reply over UDP within 200 ms".into();
    let backends = [
        with("192.168.1.9:53", health("up", 61, true)),
        with("192.168.1.10:53", down),
        with("192.168.1.11:53", health("up", 3600, false)),
    ];
    let pool =
        json!({"name": "p", "policy": "failover", "routes": 1, "mode": "normal", "backends": backends});
    let json = json!({
        "version": "0.1.0", "process": 4711, "since": "2026-05-01T12:00:03Z", "uptime_seconds": 3,
        "config": "/etc/dproxy/dproxy.toml", "live_edits": 0, "generation": 1, "routes": 1,
        "interfaces": [{"name": "eth0", "mode": "native"}],
        "slow_path": {"workers": 1, "tcp_connections": 0, "backend_connections": 0},
        "listeners": ["192.0.2.53:53"], "pools": [pool], "warnings": [],
        "broken": ["interface eth0 is down", "pool p: down: 192.168.1.10:53 (no reply over UDP within 200 ms)"],
    });
    let text = shown(json, status);
    assert!(
        text.starts_with("\nBROKEN         interface eth0 is down\nBROKEN         pool p: down: "),
        "{text}"
    );
    let table = "
POOL  POLICY    BACKEND          WEIGHT  PATH           HEALTH
p     failover  192.168.1.9:53        1  fast, by eth1  up 1 min 1 s
                192.168.1.10:53       1  fast, by eth1  down 7 s: no reply over UDP within 200 ms
                192.168.1.11:53       1  fast, by eth1  up 1 h 0 min, in reserve
";
    assert!(text.ends_with(table), "{text}");
}

#[test]
fn a_status_without_a_fast_path() {
    let mut backend = reachable("192.168.1.11:53", 1);
    backend["path"] = "slow".into();
    backend.as_object_mut().unwrap().remove("next_hop");
    let json_pool = json!({
        "name": "dice", "policy": "random", "routes": 1, "backends": [backend],
        "primary": "192.168.1.11:53", "proxy_protocol": true,
    });
    let json = json!({
        "version": "0.1.0", "process": 4711, "since": "2026-05-01T12:00:03Z", "uptime_seconds": 3,
        "config": "/etc/dproxy/dproxy.toml", "live_edits": 0, "generation": 1, "routes": 1,
        "fast_path_off": "listen.xdp is \"off\"", "interfaces": [],
        "slow_path": {"workers": 1, "tcp_connections": 1, "backend_connections": 0},
        "listeners": ["127.0.0.1:53"], "pools": [&json_pool], "warnings": [],
    });
    assert_eq!(
        shown(json, status),
        "
dproxy         0.1.0, process 4711, up 3 s since 2026-05-01T12:00:03Z
configuration  /etc/dproxy/dproxy.toml
generation     1, 1 route, 1 pool
listeners      127.0.0.1:53
fast path      off, all queries take the slow path: listen.xdp is \"off\"
slow path      UDP and TCP; 1 worker, 1 TCP connection, 0 to backends

POOL  POLICY  BACKEND          WEIGHT  PATH
dice  random  192.168.1.11:53       1  slow
"
    );
    assert_eq!(
        shown(json_pool, pool),
        "
pool           dice
policy         random
primary        192.168.1.11:53, for NOTIFY and UPDATE
PROXY          protocol version 2: all queries take the slow path
used by        1 route

BACKEND          WEIGHT  SHARE  PATH  NEXT HOP  SOURCE
192.168.1.11:53       1  100 %  slow
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

BACKEND          WEIGHT  SHARE  PATH           NEXT HOP           SOURCE
192.168.1.11:53       1  100 %  fast, by eth1  02:00:00:00:00:09  192.168.1.1
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

BACKEND              WEIGHT  SHARE  PATH           NEXT HOP                           SOURCE
192.168.1.9:53            3   75 %  fast, by eth1  02:00:00:00:00:09                  192.168.1.1
192.168.1.10:53           0    0 %  none: neighbour 192.168.1.10 on eth1 does not answer (FAILED)
[2001:db8:1::10]:53       1   25 %  fast, by eth1  02:00:00:00:00:09 VLAN 7 VLAN 100  192.168.1.1
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
        member("resolvers", left_to_slow_path("192.168.9.9:53", 1)),
        member("resolvers", local("192.0.2.53:5353", 1)),
    ];
    assert_eq!(
        shown(json!({"generation": 1, "backends": members}), backends),
        "
POOL       BACKEND          WEIGHT  PATH
dice       192.168.1.11:53       1  fast, by eth1
resolvers  192.168.1.10:53       0  none: neighbour 192.168.1.10 on eth1 does not answer (FAILED)
resolvers  192.168.9.9:53        1  slow: its route leaves by wg0, which is not among listen.interfaces
resolvers  192.0.2.53:5353       1  fast, on this host
"
    );
}
