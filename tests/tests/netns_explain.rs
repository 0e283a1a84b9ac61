//! `dproxy explain` tells what then happens, and does nothing else.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use dproxy_common::reason::Reason;
use dproxy_lab::{Balancer, skip_without_root};
use dproxy_tests::frames::wire_name;
use dproxy_tests::net::{
    Asker, B1, B1_V6, B2, B2_V6, B3, Counters, NAMES, Site, installed, many_askers, wait_until, xdp_programs,
};
use serde_json::Value;

/// Names as they are typed and asked for, for every kind of route and of answer.
const ASKED: [&str; 17] = [
    "one.test",
    "a.one.test",
    "b.one.test",
    "c.one.test",
    "d.one.test",
    "x.client.test",
    "y.client.test",
    "x.both.test",
    "y.both.test",
    "eXAct.one.test",
    "below.exact.one.test",
    "*.test",
    "nxdomain.test",
    "refused.test",
    "servfail.test",
    "truncate.test",
    "example.org",
];

fn pools() -> String {
    let backends = format!("backends = [\"{B1}\", \"{B2_V6}\", \"{B3}\"]");
    format!(
        r#"
[fast_path]
slots = 1024
routes = 64

[pools.one]
{backends}
[pools.client]
hash = "client"
{backends}
[pools.both]
hash = "qname+client"
{backends}
[pools.second]
backends = ["{B2}"]

[routes]
"one.test"          = "one"
"client.test"       = "client"
"both.test"         = "both"
"=exact.one.test"   = "second"
"*.exact.one.test"  = "second"
"test"              = "second"
"nxdomain.test"     = {{ answer = "nxdomain" }}
"refused.test"      = {{ answer = "refused" }}
"servfail.test"     = {{ answer = "servfail" }}
"truncate.test"     = {{ answer = "truncate" }}
"drop.test"         = {{ answer = "drop" }}
"#
    )
}

fn explain(balancer: &Balancer, name: &str, asker: &Asker) -> Value {
    balancer.cli(&["explain", name, "TXT", "--from", &asker.address().to_string()]).unwrap()
}

/// Who will answer, as [`Asker::who`] says it, according to an explanation.
fn promised(explanation: &Value) -> String {
    let answer = match explanation["reason"].as_str().unwrap() {
        "query-forwarded" => {
            let backend: SocketAddr = explanation["backend"]["address"].as_str().unwrap().parse().unwrap();
            let is_backend = |v4: &str, v6: &str| [v4, v6].iter().any(|text| text.parse() == Ok(backend));
            let server = [(B1, B1_V6), (B2, B2_V6), (B3, "[2001:db8:b3::10]:53")];
            let number = server.iter().position(|(v4, v6)| is_backend(v4, v6)).unwrap();
            NAMES[number]
        }
        "answered-nxdomain" => "nxdomain",
        "answered-refused" | "no-route" => "refused",
        "answered-servfail" => "servfail",
        "answered-truncate" => "truncated",
        "route-drop" => "silence",
        "servfail-unreachable" => "servfail",
        other => panic!("{other} is no end for a query"),
    };
    answer.to_owned()
}

#[test]
fn what_is_explained_is_what_happens() {
    if skip_without_root() {
        return;
    }
    let site = Site::new("e2e-explain", &pools());
    let mut askers = many_askers(&site.topology, 8);
    for asker in &mut askers {
        for name in ASKED {
            let (explanation, before) =
                (explain(&site.balancer, name, asker), Counters::read(&site.balancer));
            let (who, from) = (asker.who(&wire_name(name)), asker.address());
            assert_eq!(who, promised(&explanation), "{name} from {from}: {explanation:#}");
            let counted = Counters::read(&site.balancer).since(&before);
            let reason = explanation["reason"].as_str().unwrap();
            let reason = Reason::ALL.into_iter().find(|known| known.label() == reason).unwrap();
            assert_eq!(counted.of(reason), 1, "{name} from {from}: {counted:?}");
        }
    }
    // Who waits for silence waits long: once is enough.
    let explanation = explain(&site.balancer, "drop.test", &askers[0]);
    assert_eq!(promised(&explanation), "silence");
    assert_eq!(explanation["verdict"], "drop");
    let patience = Duration::from_millis(200);
    assert_eq!(askers.remove(0).patience(patience).who(&wire_name("drop.test")), "silence");
}

#[test]
fn what_is_explained_follows_an_edit_and_an_outage() {
    if skip_without_root() {
        return;
    }
    let site = Site::new("e2e-explain-edit", &pools());
    let [mut asker, _] = site.askers();
    let name = "new.second.test";
    let mut agree = |expected: &str| {
        let explanation = explain(&site.balancer, name, &asker);
        assert_eq!(promised(&explanation), expected, "{explanation:#}");
        assert_eq!(asker.who(&wire_name(name)), expected, "{explanation:#}");
    };
    agree("b");
    site.balancer.cli(&["route", "add", "=new.second.test", "refused"]).unwrap();
    agree("refused");
    site.balancer.cli(&["route", "remove", "=new.second.test"]).unwrap();
    agree("b");
    // The only backend moves to an address that nobody has.
    site.balancer.cli(&["backend", "add", "second", "10.53.2.99"]).unwrap();
    site.balancer.cli(&["backend", "weight", "second", B2, "0"]).unwrap();
    wait_until("it to be known that nobody is there", Duration::from_secs(10), || {
        let backends = site.balancer.cli(&["backend", "list", "second"]).unwrap();
        let why = backends["backends"][1]["why"].as_str().unwrap_or_default();
        why.contains("does not answer")
    });
    agree("servfail");
}

/// Maps that packets change, or that say what happens to them.
const MAPS: [&str; 8] = [
    "PROCESSORS",
    "LISTENER_COUNTE",
    "ROUTE_COUNTERS",
    "POOL_COUNTERS",
    "BACKEND_COUNTER",
    "SLOTS",
    "ACTIVE",
    "GENERATIONS",
];

/// What the maps of the balancer's program hold, as bpftool shows it.
fn contents(site: &Site) -> BTreeMap<String, String> {
    let bpftool = |arguments: &[&str]| {
        let output = Command::new(installed("bpftool")).arg("-j").args(arguments).output().unwrap();
        assert!(output.status.success(), "bpftool {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let (_, program) = xdp_programs(&site.topology.balancer)["client"];
    let program: Value =
        serde_json::from_str(&bpftool(&["prog", "show", "id", &program.to_string()])).unwrap();
    let maps = program["map_ids"].as_array().unwrap().iter().map(ToString::to_string);
    let mut contents = BTreeMap::new();
    for map in maps {
        let shown: Value = serde_json::from_str(&bpftool(&["map", "show", "id", &map])).unwrap();
        let name = shown["name"].as_str().unwrap_or_default().to_owned();
        if MAPS.contains(&name.as_str()) {
            contents.insert(name, bpftool(&["map", "dump", "id", &map]));
        }
    }
    assert_eq!(contents.len(), MAPS.len(), "the program has these maps: {:?}", contents.keys());
    contents
}

#[test]
fn explaining_changes_nothing() {
    if skip_without_root() {
        return;
    }
    let site = Site::new("e2e-explain-only", &pools());
    let mut askers = site.askers();
    for asker in &mut askers {
        asker.who(&wire_name("one.test"));
    }
    // Neighbour discovery is counted too; some time without it must be found.
    let quiet = (0..10).any(|_| {
        let stats = Counters::read(&site.balancer);
        let before = contents(&site);
        for name in ASKED.into_iter().chain(["drop.test"]) {
            askers.iter().for_each(|asker| drop(explain(&site.balancer, name, asker)));
        }
        let (after, stats_after) = (contents(&site), Counters::read(&site.balancer));
        for name in ["SLOTS", "ACTIVE", "GENERATIONS"] {
            assert_eq!(before[name], after[name], "explaining has changed {name}");
        }
        before == after && stats == stats_after
    });
    assert!(quiet, "ten times, explaining has changed a counter");
    assert_eq!(servers_asked(&site), 2, "no server has seen more than the two queries");

    let before = contents(&site);
    assert_eq!(
        askers[0].who(&wire_name("one.test")),
        promised(&explain(&site.balancer, "one.test", &askers[0]))
    );
    let after = contents(&site);
    for name in ["PROCESSORS", "SLOTS"] {
        assert_ne!(before[name], after[name], "a query does change {name}");
    }
}

/// Queries that have come to the servers.
fn servers_asked(site: &Site) -> u64 {
    site.servers.iter().map(|server| server.queries().udp).sum()
}
