use serde_json::{Value, json};

use super::{dice, pool_of_three, reachable, shown, unreachable};
use crate::cli::show::explanation;

/// An explanation with what all have, and more.
fn explained(more: Value) -> Value {
    let mut json = json!({
        "generation": 4, "name": "www.example.org", "type": "AAAA", "from": "192.0.2.1:50000",
        "listener": "192.0.2.53:53", "also_matching": [], "path": "fast",
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
        "path": "slow", "left_by_fast_path": "No backend of the pool can be reached by the fast path.",
        "verdict": "answer", "reason": "servfail-unreachable",
        "description": "Answered SERVFAIL: no backend of the pool can be reached.",
        "route": {"pattern": "org", "pool": "dice"}, "pool": pool,
    }));
    assert_eq!(
        shown(json, explanation),
        "
query          www.example.org AAAA from 192.0.2.1:50000 to 192.0.2.53:53
asked          the slow path, generation 4
fast path      not taken: No backend of the pool can be reached by the fast path.
route          org, the only one that matches
               to pool dice
pool           dice, random
backend        none
               192.168.1.10:53: neighbour 192.168.1.10 on eth1 does not answer (FAILED)
verdict        answer (servfail-unreachable): Answered SERVFAIL: no backend of the pool can be reached.
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
