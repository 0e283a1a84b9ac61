//! Live edits under a steady stream of queries: none is lost, each follows an edit that was acknowledged.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use dproxy_lab::{Balancer, skip_without_root};
use dproxy_tests::frames::wire_name;
use dproxy_tests::net::{Asked, Asker, B1, B1_V6, B2, B3, Site, Stream, tables};

/// Few, so that each is asked for while any edit is made.
const NAMES_ASKED: usize = 4;
const ROUTE_EDITS: usize = 200;
const OTHER_ROUTES: usize = 2000;

/// Who may answer for a name: from the moment in which an edit was asked for, to the moment in which the
/// next one was acknowledged.
struct Period {
    allowed: BTreeSet<String>,
    begins: Instant,
    ends: Option<Instant>,
}

/// All periods of each name of a stream.
struct Timeline(Vec<Vec<Period>>);

impl Timeline {
    fn new(allowed: &[&[&str]]) -> Self {
        let begins = Instant::now();
        let first = |servers: &&[&str]| vec![Period { allowed: set(servers), begins, ends: None }];
        Self(allowed.iter().map(first).collect())
    }

    /// Makes an edit, after which `servers` may answer for these names.
    fn edit(&mut self, names: &[usize], servers: &[&str], edit: impl FnOnce()) {
        let begins = Instant::now();
        edit();
        for name in names {
            let periods = &mut self.0[*name];
            periods.last_mut().unwrap().ends = Some(Instant::now());
            periods.push(Period { allowed: set(servers), begins, ends: None });
        }
    }

    /// What is wrong with how a query was answered.
    fn objection(&self, asked: &Asked) -> Option<String> {
        let Some((answered, who)) = &asked.answer else { return Some(format!("{asked:?} was lost")) };
        let in_force = |period: &&Period| {
            period.begins <= *answered && period.ends.is_none_or(|ends| ends >= asked.sent)
        };
        let allowed: BTreeSet<_> =
            self.0[asked.name].iter().filter(in_force).flat_map(|p| &p.allowed).collect();
        (!allowed.contains(who)).then(|| format!("{asked:?}, but allowed were {allowed:?}"))
    }

    fn check(&self, asked: &[Asked]) {
        let objections: Vec<String> = asked.iter().filter_map(|asked| self.objection(asked)).collect();
        let some = objections.iter().take(10).cloned().collect::<Vec<_>>().join("\n");
        assert!(objections.is_empty(), "{} of {} queries:\n{some}", objections.len(), asked.len());
    }
}

fn set(servers: &[&str]) -> BTreeSet<String> {
    servers.iter().map(|server| (*server).to_owned()).collect()
}

/// Makes an edit by the command line, which must succeed, and change something.
fn edit(balancer: &Balancer, command: &str) {
    let arguments: Vec<&str> = command.split(' ').collect();
    let edited = balancer.cli(&arguments).unwrap();
    assert_eq!(edited["changed"], true, "{command}");
}

#[test]
fn routes_change_without_losing_a_query() {
    if skip_without_root() {
        return;
    }
    // Many others, which take time to write: a query that saw a generation half written would go astray.
    let others: String = (0..OTHER_ROUTES).map(|number| format!("\"o{number}.test\" = \"c\"\n")).collect();
    let tables = tables(&[("a", B1), ("b", B2), ("c", B3)], &[(".", "a")]) + &others;
    let site = Site::new("e2e-edits", &tables);
    let names: Vec<String> = (0..NAMES_ASKED).map(|number| format!("n{number}.edit.test")).collect();
    let wire: Vec<Vec<u8>> = names.iter().map(|name| wire_name(name)).collect();
    let mut timeline = Timeline::new(&[&["a"][..]; NAMES_ASKED]);
    let mut askers = site.askers();
    let stream = Stream::start(&site.topology.client.namespace, wire.clone());

    for number in 0..ROUTE_EDITS {
        let (index, round) = (number % NAMES_ASKED, number / NAMES_ASKED);
        let name = &names[index];
        // In turn: add, re-target twice, remove.
        let (command, server) = match round % 4 {
            0 => (format!("route add {name} b"), "b"),
            1 => (format!("route add {name} c --replace"), "c"),
            2 => (format!("route add {name} refused --replace"), "refused"),
            _ => (format!("route remove {name}"), "a"),
        };
        timeline.edit(&[index], &[server], || edit(&site.balancer, &command));
        let who = askers[number % 2].who(&wire[index]);
        assert_eq!(who, server, "the first query after `dproxy {command}` follows it");
    }

    let asked = stream.stop();
    println!("{ROUTE_EDITS} edits during {} queries", asked.len());
    timeline.check(&asked);
    let status = site.balancer.cli(&["status"]).unwrap();
    assert_eq!(status["live_edits"], ROUTE_EDITS, "every edit was counted");
}

/// The steps for a pool that begins with the first server alone: a command, and who may answer after it.
fn pool_steps() -> Vec<(String, &'static [&'static str])> {
    vec![
        (format!("backend add p {B2} --weight 3"), &["a", "b"]),
        (format!("backend weight p {B1} 0"), &["b"]),
        (format!("backend add p {B3}"), &["b", "c"]),
        (format!("backend remove p {B1}"), &["b", "c"]),
        (format!("backend weight p {B2} 0"), &["c"]),
        (format!("backend add p {B1_V6} --weight 1000"), &["a", "c"]),
        (format!("backend remove p {B3}"), &["a"]),
        (format!("backend remove p {B2}"), &["a"]),
        (format!("backend add p {B1}"), &["a"]),
        (format!("backend remove p {B1_V6}"), &["a"]),
    ]
}

#[test]
fn backends_change_without_losing_a_query() {
    if skip_without_root() {
        return;
    }
    for (policy, topology) in [("maglev", "e2e-members"), ("random", "e2e-draws")] {
        let pools =
            format!("[pools.p]\npolicy = \"{policy}\"\nbackends = [\"{B1}\"]\n[routes]\n\".\" = \"p\"\n");
        let site = Site::new(topology, &pools);
        let wire: Vec<Vec<u8>> =
            (0..NAMES_ASKED).map(|number| wire_name(&format!("m{number}.test"))).collect();
        let all: Vec<usize> = (0..NAMES_ASKED).collect();
        let mut timeline = Timeline::new(&[&["a"][..]; NAMES_ASKED]);
        let mut askers = site.askers();
        let stream = Stream::start(&site.topology.client.namespace, wire.clone());
        let mut surprises = Vec::new();
        for _ in 0..6 {
            for (command, servers) in pool_steps() {
                timeline.edit(&all, servers, || edit(&site.balancer, &command));
                let found = answers(&mut askers, &wire);
                if !found.is_subset(&set(servers)) {
                    surprises.push(format!("after `dproxy {command}` {servers:?} may answer, not {found:?}"));
                }
            }
        }
        let asked = stream.stop();
        assert!(surprises.is_empty(), "{policy}: {}", surprises.join("\n"));
        timeline.check(&asked);
    }
}

fn answers(askers: &mut [Asker; 2], names: &[Vec<u8>]) -> BTreeSet<String> {
    names.iter().enumerate().map(|(number, name)| askers[number % 2].who(name)).collect()
}

#[test]
fn an_edit_that_is_refused_changes_nothing() {
    if skip_without_root() {
        return;
    }
    let tables = tables(&[("a", B1), ("b", B2)], &[(".", "a"), ("b.test", "b")]);
    let site = Site::new("e2e-refused", &tables);
    let generation = || site.balancer.cli(&["status"]).unwrap()["generation"].as_u64().unwrap();
    let before = generation();
    let stream =
        Stream::start(&site.topology.client.namespace, vec![wire_name("x.test"), wire_name("b.test")]);
    let timeline = Timeline::new(&[&["a"], &["b"]]);
    for (command, reason) in [
        ("route add b.test a", "is there already and leads to pool \"b\""),
        ("route add x.test nowhere", "names pool \"nowhere\", which does not exist"),
        ("route add a..b a", "has an empty label"),
        ("route remove x.test", "there is no route \"x.test\""),
        ("pool remove b", "pool \"b\" is in use by 1 route"),
        ("backend remove b 10.53.2.10:53", "has no backend"),
        ("backend weight b 10.53.2.10:53 0", "has weight 0 for every backend"),
        ("backend add b 10.53.2.10:53", "is there already"),
        ("backend add b 10.53.2.10:0", "port"),
        ("backend add nowhere 10.53.2.10", "there is no pool \"nowhere\""),
    ] {
        let arguments: Vec<&str> = command.split(' ').collect();
        let error = site.balancer.cli(&arguments).unwrap_err().to_string();
        assert!(error.contains(reason), "`dproxy {command}` says: {error}");
    }
    assert_eq!(generation(), before, "a refused edit makes no generation");
    timeline.check(&stream.stop());
}

#[test]
fn the_socket_speaks_http() {
    if skip_without_root() {
        return;
    }
    let site = Site::new("e2e-http", &tables(&[("a", B1), ("b", B2)], &[(".", "a")]));
    let [mut asker, _] = site.askers();
    let request = |request: &str, body: &str| {
        let mut stream = UnixStream::connect(site.balancer.socket()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let length = body.len();
        let head = format!("Host: dproxy\r\nConnection: close\r\nContent-Length: {length}");
        write!(stream, "{request} HTTP/1.1\r\n{head}\r\n\r\n{body}").unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        response
    };
    for (method, body, status, who) in [
        ("POST /v1/routes", r#"{"pattern": "h.test", "pool": "b"}"#, "201", "b"),
        ("POST /v1/routes", r#"{"pattern": "h.test", "pool": "b"}"#, "409", "b"),
        ("PUT /v1/routes/h.test", r#"{"answer": "nxdomain"}"#, "200", "nxdomain"),
        ("PUT /v1/routes/h.test", "{", "400", "nxdomain"),
        ("DELETE /v1/routes/h.test", "", "200", "a"),
        ("DELETE /v1/routes/h.test", "", "404", "a"),
        ("PUT /v1/routes/%2E", r#"{"pool": "b"}"#, "200", "b"),
    ] {
        let response = request(method, body);
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{method} {body}: {response}");
        assert_eq!(asker.who(&wire_name("h.test")), who, "the first query after {method} {body}");
    }
}
