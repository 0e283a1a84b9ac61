//! A state folder that cannot be written: edits are refused, and queries answered as before.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dproxy_lab::{Balancer, Server, Topology, default_binary, skip_without_root};
use dproxy_tests::frames::wire_name;
use dproxy_tests::net::{
    Asker, B1, B2, Mounted, Operator, Stream, configuration, listeners, servers, tables, wait_until,
};

const PATIENCE: Duration = Duration::from_secs(10);
const FULL: &str = "No space left on device";
const READ_ONLY: &str = "Read-only file system";

/// A topology without dproxy as yet, and a state folder that can be a disk of its own.
struct Stage {
    _servers: Vec<Server>,
    topology: Topology,
}

impl Stage {
    fn new(name: &str) -> Self {
        Mounted::remove_left(&Path::new("/run/dproxy-lab").join(name));
        let topology = Topology::builder(name).build().unwrap();
        let stage = Self { _servers: servers(&topology), topology };
        stage.write_file("b");
        stage
    }

    fn write_file(&self, side: &str) {
        let tables = tables(&[("a", B1), ("b", B2)], &[(".", "a"), ("b.test", side)]);
        let text = configuration(&self.topology, "native", &tables);
        fs::write(self.topology.instance().folder().join("dproxy.toml"), text).unwrap();
    }

    fn state(&self) -> PathBuf {
        self.topology.instance().folder().join("state")
    }

    fn start(&self) -> (Balancer, Operator) {
        let balancer = Balancer::go_on(&self.topology, &default_binary().unwrap()).unwrap();
        let operator = Operator::of(&balancer);
        (balancer, operator)
    }

    fn assert_answered(&self, expected: &[(&str, &str)], when: &str) {
        for listener in listeners() {
            let mut asker = Asker::new(&self.topology.client.namespace, listener);
            for (name, server) in expected {
                assert_eq!(asker.who(&wire_name(name)), *server, "{when}: {name} at {listener}");
            }
        }
    }

    fn files(&self) -> BTreeSet<PathBuf> {
        let files = fs::read_dir(self.state().join("generations")).into_iter().flatten();
        files.map(|file| file.unwrap().path()).collect()
    }

    /// Nothing that would have to be written down can be done, and nothing has changed by the attempt.
    fn assert_refused(&self, operator: &Operator, cause: &str) {
        let generation = operator.generation();
        let (before, files) = (operator.configuration(), self.files());
        self.write_file("a");
        let message = format!("cannot write in {}: {cause}", self.state().display());
        for command in [
            "route add u.test b",
            "route remove b.test",
            &format!("backend add a {B2}"),
            "pool switch a b",
            "pool switch a b --percent 10",
            "apply --discard-edits",
            "apply --confirm 5s --discard-edits",
        ] {
            let error = operator.is_refused(command, &message);
            assert_eq!(error.lines().count(), 1, "one line: {error}");
        }
        assert_eq!(operator.generation(), generation, "the generation is as before");
        assert_eq!(operator.configuration(), before, "the configuration is as before");
        assert_eq!(self.files(), files, "nothing is left of the attempts");
        let status = operator.does("status");
        let line = status.lines().find(|line| line.starts_with("state ")).unwrap_or_default();
        assert!(line.contains(&message), "status says what is wrong with the folder: {status}");
        self.write_file("b");
    }

    /// What was refused can be done by now.
    fn assert_taken(&self, operator: &Operator) {
        let generation = operator.generation();
        operator.does("route add u.test b");
        assert!(operator.generation() > generation);
        self.assert_answered(&[("u.test", "b")], "an edit that is taken again");
        let status = operator.does("status");
        assert!(!status.contains("cannot write"), "nothing is wrong any more: {status}");
        operator.does("route remove u.test");
    }
}

#[test]
fn a_disk_that_fills_up_or_is_read_only_refuses_edits_and_loses_no_query() {
    if skip_without_root() {
        return;
    }
    let stage = Stage::new("e2e-disk");
    let disk = Mounted::small_disk(&stage.state());
    let (balancer, operator) = stage.start();
    operator.does("route add t.test b");
    let names = ["x.test", "b.test", "t.test"];
    let expected = ["a", "b", "b"];
    let stream = Stream::start(&stage.topology.client.namespace, names.map(wire_name).to_vec());

    disk.fill();
    stage.assert_refused(&operator, FULL);
    let asked = stream.stop();
    let wrong =
        asked.iter().filter(|asked| !matches!(&asked.answer, Some((_, who)) if who == expected[asked.name]));
    assert_eq!(wrong.count(), 0, "every query is answered, and by whom it was before");
    println!("{} queries while edits were refused", asked.len());
    disk.make_room();
    stage.assert_taken(&operator);

    let read_only = Mounted::read_only(&stage.state().join("generations"));
    stage.assert_refused(&operator, READ_ONLY);
    stage.assert_answered(&[("x.test", "a"), ("b.test", "b"), ("t.test", "b")], "read-only");
    drop(read_only);
    stage.assert_taken(&operator);
    balancer.kill().unwrap();
    let (_balancer, operator) = stage.start();
    assert!(operator.configuration().contains("\"t.test\" = \"b\""), "what was acknowledged is there");
    operator.does("history");
}

#[test]
fn a_generation_that_nobody_confirms_goes_away_though_the_disk_is_full() {
    if skip_without_root() {
        return;
    }
    let stage = Stage::new("e2e-diskwait");
    let disk = Mounted::small_disk(&stage.state());
    let (balancer, operator) = stage.start();
    let before = operator.configuration();
    stage.write_file("a");
    operator.does("apply --confirm 1s");
    disk.fill();
    stage.assert_answered(&[("b.test", "a")], "unconfirmed");
    wait_until("the way back", PATIENCE, || operator.status().get("unconfirmed").is_none());
    stage.assert_answered(&[("b.test", "b")], "taken back");
    assert_eq!(operator.configuration(), before);
    let status = operator.does("status");
    assert!(
        status.contains("back to generation 1, since nobody confirmed generation 2 within 1s"),
        "{status}"
    );
    let history = operator.does("history");
    assert_eq!(history.matches("in force").count(), 1, "one generation is in force: {history}");
    disk.make_room();
    stage.assert_taken(&operator);

    // What cannot be written down cannot be confirmed.
    operator.does("apply --confirm 2s --discard-edits");
    let read_only = Mounted::read_only(&stage.state().join("generations"));
    operator.is_refused("confirm", READ_ONLY);
    stage.assert_answered(&[("b.test", "a")], "unconfirmed");
    wait_until("the way back", PATIENCE, || operator.status().get("unconfirmed").is_none());
    stage.assert_answered(&[("b.test", "b")], "taken back");
    let history = operator.does("history");
    assert_eq!(history.matches("in force").count(), 1, "one generation is in force: {history}");
    assert!(!history.contains("waits to be confirmed"), "nobody waits any more: {history}");
    drop(read_only);
    balancer.kill().unwrap();
    let (_balancer, operator) = stage.start();
    assert_eq!(operator.configuration(), before, "after the next start");
    operator.does("status");
}

#[test]
fn it_starts_with_a_state_folder_that_it_cannot_write() {
    if skip_without_root() {
        return;
    }
    let stage = Stage::new("e2e-diskstart");
    let disk = Mounted::small_disk(&stage.state());
    disk.fill();
    let (balancer, operator) = stage.start();
    stage.assert_answered(&[("x.test", "a"), ("b.test", "b")], "the first start, on a full disk");
    stage.assert_refused(&operator, FULL);
    disk.make_room();
    // Though nothing was written down so far, there is a way back.
    stage.write_file("a");
    operator.does("apply --confirm 1s");
    stage.assert_answered(&[("b.test", "a")], "unconfirmed");
    wait_until("the way back", PATIENCE, || operator.status().get("unconfirmed").is_none());
    stage.assert_answered(&[("b.test", "b")], "taken back");
    operator.does("history");
    stage.assert_taken(&operator);
    operator.does("route add t.test b");
    operator.is_refused("apply", "live edits would be undone: route t.test");
    balancer.kill().unwrap();

    stage.write_file("a");
    disk.fill();
    let (balancer, operator) = stage.start();
    stage.assert_answered(&[("b.test", "b"), ("t.test", "b")], "another start, on a full disk");
    stage.assert_refused(&operator, FULL);
    balancer.kill().unwrap();
    disk.make_room();

    let read_only = Mounted::read_only(&stage.state());
    let (balancer, operator) = stage.start();
    stage.assert_answered(&[("b.test", "b"), ("t.test", "b")], "another start, read-only");
    stage.assert_refused(&operator, READ_ONLY);
    balancer.kill().unwrap();
    drop(read_only);
    drop(disk);

    let read_only = Mounted::read_only(&stage.state());
    let (_balancer, operator) = stage.start();
    stage.assert_answered(&[("x.test", "a"), ("b.test", "b")], "the first start, read-only");
    stage.assert_refused(&operator, READ_ONLY);
    drop(read_only);
    stage.assert_taken(&operator);
}
