use serde_json::{Value, json};

use super::{pool_of_three, shown};
use crate::cli::show::{applied, history, plan, pool, status};

fn nothing() -> Value {
    let none = json!({"count": 0, "first": []});
    let differences = json!({"added": none, "removed": none, "changed": none});
    json!({
        "generation": 41, "source": "/etc/dproxy/dproxy.toml", "routes": differences, "pools": differences,
        "settings": [], "names_with_other_verdict": 0, "restart_needed": [],
    })
}

fn something() -> Value {
    let mut plan = nothing();
    plan["routes"]["added"] = json!({"count": 1, "first": [{"pattern": "a.example", "pool": "cryo"}]});
    plan["routes"]["removed"] =
        json!({"count": 1135, "first": [{"pattern": "=b.example", "answer": "drop"}]});
    let changed = json!({"pattern": ".", "pool": "new", "before": {"answer": "refused"}});
    plan["routes"]["changed"] = json!({"count": 1, "first": [changed]});
    let new = json!({"name": "new", "what": ["policy random", "backend 192.0.2.1:53, weight 1"]});
    plan["pools"]["added"] = json!({"count": 1, "first": [new]});
    plan["pools"]["removed"] = json!({"count": 1, "first": [{"name": "old", "what": []}]});
    let cryo = json!({"name": "cryo", "what": ["backend 192.0.2.2:53 added, weight 1"]});
    plan["pools"]["changed"] = json!({"count": 1, "first": [cryo]});
    plan["settings"] = json!([r#"slow_path.timeout is "1s" instead of "3s""#]);
    plan["restart_needed"] = json!(["slow_path.timeout"]);
    plan["names_with_other_verdict"] = 14.into();
    plan
}

#[test]
fn a_plan() {
    assert_eq!(
        shown(something(), plan),
        "
plan           /etc/dproxy/dproxy.toml, compared with generation 41

- pool old
+ pool new: policy random, backend 192.0.2.1:53, weight 1
~ pool cryo: backend 192.0.2.2:53 added, weight 1
- route =b.example to answer drop
- and 1134 more
+ route a.example to pool cryo
~ route . to pool new instead of answer refused
~ slow_path.timeout is \"1s\" instead of \"3s\"
only a restart makes slow_path.timeout take effect

1137 routes, 3 pools, 1 setting differ; 14 names get another verdict
"
    );
    let mut one = nothing();
    one["routes"]["added"] = json!({"count": 1, "first": [{"pattern": "a.example", "pool": "cryo"}]});
    one["names_with_other_verdict"] = 1.into();
    assert!(shown(one, plan).ends_with("\n1 route differs; 1 name gets another verdict\n"));
}

#[test]
fn a_plan_without_differences() {
    assert_eq!(
        shown(nothing(), plan),
        "\nplan           /etc/dproxy/dproxy.toml, compared with generation 41\n\nnothing differs\n"
    );
    let json = json!({"generation": 41, "changed": false, "plan": nothing()});
    assert_eq!(shown(json, applied), "\nnothing differs (generation 41)\n");
}

#[test]
fn an_apply_that_has_to_be_confirmed() {
    let mut small = nothing();
    small["routes"]["added"] = json!({"count": 1, "first": [{"pattern": "a.example", "pool": "cryo"}]});
    let json = json!({
        "generation": 42, "changed": true, "plan": small, "confirm_until": "2026-05-01T12:01:03Z",
    });
    assert_eq!(
        shown(json, applied),
        "
+ route a.example to pool cryo
1 route differs; 0 names get another verdict

generation 42 is in force
`dproxy confirm` keeps it; without that, the configuration of generation 41 is put in force again at 2026-05-01T12:01:03Z
"
    );
}

#[test]
fn generations() {
    let generation = |number: u64, by: &str, kind: &str, what: Value, in_force: bool, unconfirmed: bool| {
        json!({
            "generation": number, "at": "2026-05-01T12:00:03Z", "by": by, "kind": kind, "what": what,
            "in_force": in_force, "unconfirmed": unconfirmed,
        })
    };
    let json = json!({"generations": [
        generation(43, "root (process 7)", "apply", json!(["add route a to pool x", "b", "c"]), true, true),
        generation(42, "SIGHUP", "apply", json!(["add pool x"]), false, false),
        generation(1, "dproxy", "start", json!([]), false, false),
    ]});
    assert_eq!(
        shown(json, history),
        "
GENERATION  SINCE                 BY                KIND   WHAT
        43  2026-05-01T12:00:03Z  root (process 7)  apply  waits to be confirmed: add route a to pool x, and 2 more
        42  2026-05-01T12:00:03Z  SIGHUP            apply  add pool x
         1  2026-05-01T12:00:03Z  dproxy            start
"
    );
    assert_eq!(shown(json!({"generations": []}), history), "\nThere are no generations to return to.\n");
}

#[test]
fn a_status_with_all_that_can_be_said() {
    let mut resolvers = pool_of_three();
    resolvers["backends"][1]["drained"] = true.into();
    resolvers["backends"][1]["weight"] = 2.into();
    resolvers["switch"] = json!({"to": "dice", "percent": 10});
    let json = json!({
        "version": "0.1.0", "process": 4711, "since": "2026-05-01T12:00:03Z", "uptime_seconds": 3,
        "config": "/etc/dproxy/dproxy.toml", "live_edits": 1, "file_differs": true, "generation": 43, "routes": 1,
        "state": {"folder": "/var/lib/dproxy", "problem": "cannot write in /var/lib/dproxy: No space left on device; edits are refused until there is room"},
        "unconfirmed": {
            "generation": 43, "until": "2026-05-01T12:01:03Z", "seconds_left": 61, "back_to": 42,
        },
        "fast_path_off": "listen.xdp is \"off\"", "interfaces": [],
        "slow_path": {"workers": 1, "tcp_connections": 1, "backend_connections": 0},
        "listeners": ["127.0.0.1:53"], "pools": [&resolvers], "warnings": [],
        "notes": ["back to generation 39, since nobody confirmed generation 40 within 1m"],
    });
    assert_eq!(
        shown(json, status),
        "
dproxy         0.1.0, process 4711, up 3 s since 2026-05-01T12:00:03Z
configuration  /etc/dproxy/dproxy.toml and 1 live edit since it was applied
               the file says something else; `dproxy plan` shows what
state          cannot write in /var/lib/dproxy: No space left on device; edits are refused until there is room
generation     43, 1 route, 1 pool
unconfirmed    generation 43; unless `dproxy confirm` comes within 1 min 1 s, generation 42 is put in force again (at 2026-05-01T12:01:03Z)
listeners      127.0.0.1:53
fast path      off, all queries take the slow path: listen.xdp is \"off\"
slow path      UDP and TCP; 1 worker, 1 TCP connection, 0 to backends
switch         10 % of the clients of pool resolvers to pool dice
note           back to generation 39, since nobody confirmed generation 40 within 1m

POOL       POLICY           BACKEND                 WEIGHT  PATH
resolvers  maglev by qname  192.168.1.9:53               3  fast, by eth1
                            192.168.1.10:53      2 drained  none: neighbour 192.168.1.10 on eth1 does not answer (FAILED)
                            [2001:db8:1::10]:53          1  fast, by eth1
"
    );
    assert_eq!(
        shown(resolvers, pool),
        "
pool           resolvers
policy         maglev by qname
switch         10 % of the clients to pool dice
used by        2 routes

BACKEND                 WEIGHT  SHARE  PATH           NEXT HOP                           SOURCE
192.168.1.9:53               3   75 %  fast, by eth1  02:00:00:00:00:09                  192.168.1.1
192.168.1.10:53      2 drained    0 %  none: neighbour 192.168.1.10 on eth1 does not answer (FAILED)
[2001:db8:1::10]:53          1   25 %  fast, by eth1  02:00:00:00:00:09 VLAN 7 VLAN 100  192.168.1.1
"
    );
}
