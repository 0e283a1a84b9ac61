//! The file and what runs: plan, apply, SIGHUP, save and rollback, by the command line.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use dproxy_lab::{Topology, skip_without_root};
use dproxy_tests::frames::wire_name;
use dproxy_tests::net::{
    Asker, B1, B2, B3, Operator, Site, Stream, configuration, end, listeners, tables, wait_until,
};
use nix::sys::signal::Signal;

const PATIENCE: Duration = Duration::from_secs(10);

/// A site, and its file.
struct Stage {
    operator: Operator,
    site: Site,
}

impl Stage {
    fn new(name: &str, pools_and_routes: &str) -> Self {
        let site = Site::new(name, pools_and_routes);
        Self { operator: Operator::of(&site.balancer), site }
    }

    fn file(&self) -> PathBuf {
        self.site.balancer.config().to_owned()
    }

    fn write(&self, pools_and_routes: &str) {
        fs::write(self.file(), configuration(&self.site.topology, "native", pools_and_routes)).unwrap();
    }

    fn log(&self) -> String {
        fs::read_to_string(self.site.topology.instance().folder().join("dproxy.log")).unwrap()
    }

    fn hang_up(&self, until: &str) -> String {
        end(self.site.balancer.pid(), Signal::SIGHUP);
        wait_until(&format!("`{until}` in the log"), PATIENCE, || self.log().contains(until));
        let log = self.log();
        let line = log.lines().find(|line| line.contains(until)).unwrap().to_owned();
        println!("log: {line}");
        line
    }

    fn assert_answered(&self, expected: &[(&str, &str)], when: &str) {
        assert_answered(&self.site.topology, expected, when);
    }
}

fn assert_answered(topology: &Topology, expected: &[(&str, &str)], when: &str) {
    for listener in listeners() {
        let mut asker = Asker::new(&topology.client.namespace, listener);
        for (name, server) in expected {
            assert_eq!(asker.who(&wire_name(name)), *server, "{when}: {name} at {listener}");
        }
    }
}

fn at_first() -> String {
    tables(&[("a", B1), ("b", B2)], &[(".", "a"), ("b.test", "b"), ("gone.test", "b")])
}

#[test]
fn plan_shows_what_apply_makes_and_rollback_takes_back() {
    if skip_without_root() {
        return;
    }
    let stage = Stage::new("e2e-plan", &at_first());
    let operator = &stage.operator;
    let (before, generation) = (operator.configuration(), operator.generation());
    assert!(operator.does("plan").contains("nothing differs"));
    assert!(operator.does("apply").contains("nothing differs"));
    let other =
        tables(&[("a", B3), ("b", B2), ("c", B1)], &[(".", "a"), ("b.test", "c"), ("new.test", "nxdomain")]);
    stage.write(&other);
    let plan = operator.does("plan");
    for part in [
        "- route gone.test",
        "+ route new.test to answer nxdomain",
        "~ route b.test to pool c instead of pool b",
        "+ pool c: policy maglev by qname, backend 10.53.1.10:53, weight 1",
        "~ pool a: backend 10.53.3.10:53 added, weight 1, backend 10.53.1.10:53 removed",
    ] {
        assert!(plan.lines().any(|line| line.starts_with(part)), "`{part}` is not in the plan: {plan}");
    }
    assert_eq!(operator.generation(), generation, "a plan changes nothing");
    assert!(operator.does("status").contains("the file says something else"), "status says so");
    let stream = Stream::start(
        &stage.site.topology.client.namespace,
        vec![wire_name("new.test"), wire_name("b.test")],
    );
    let applied = operator.does("apply");
    assert!(plan.lines().filter(|line| line.starts_with(['+', '-', '~'])).all(|line| applied.contains(line)));
    let after = [("x.test", "c"), ("b.test", "a"), ("new.test", "nxdomain"), ("gone.test", "c")];
    stage.assert_answered(&after, "applied");
    assert_eq!(operator.generation(), generation + 1, "one generation");
    assert!(
        !operator.does("status").contains("the file says something else"),
        "status does not say so any more"
    );
    operator.does("rollback");
    stage.assert_answered(
        &[("x.test", "a"), ("b.test", "b"), ("new.test", "a"), ("gone.test", "b")],
        "rolled back",
    );
    assert_eq!(operator.configuration(), before);
    operator.does(&format!("rollback {}", generation + 1));
    stage.assert_answered(&after, "returned to");
    let asked = stream.stop();
    assert!(asked.iter().all(|asked| asked.answer.is_some()), "no query of {} is lost", asked.len());
    operator.is_refused("rollback 4711", "generation 4711 is not kept; kept are: ");
    operator.does("history");
    // Another file is applied as well.
    let path = stage.site.topology.instance().folder().join("other.toml");
    fs::write(&path, configuration(&stage.site.topology, "native", &at_first())).unwrap();
    operator.does(&format!("plan --config {}", path.display()));
    operator.does(&format!("apply --config {}", path.display()));
    assert_eq!(operator.configuration(), before);
    wait_until("the comparison with the file", PATIENCE, || operator.status()["file_differs"] == true);
    operator.does("status");
}

#[test]
fn a_hang_up_applies_the_file_unless_it_is_invalid() {
    if skip_without_root() {
        return;
    }
    let stage = Stage::new("e2e-hangup", &at_first());
    let operator = &stage.operator;
    stage.write(&tables(&[("a", B1), ("b", B2)], &[(".", "a"), ("b.test", "a")]));
    stage.hang_up("SIGHUP: 2 routes");
    stage.assert_answered(&[("b.test", "a")], "SIGHUP");
    let (generation, running) = (operator.generation(), operator.configuration());
    for (wrong, message) in [
        (tables(&[("a", B1)], &[(".", "a")]) + "\"x..test\" = \"a\"\n", "empty label"),
        (
            tables(&[("a", B1)], &[(".", "a")]) + "\"x.test\" = \"nowhere\"\n",
            "\"nowhere\", which does not exist",
        ),
        ("[pools".to_owned(), "not TOML"),
    ] {
        stage.write(&wrong);
        for command in ["plan", "apply", "apply --confirm 5s"] {
            let ended = operator.types(command);
            assert_eq!((ended.code, ended.output.as_str()), (Some(1), ""), "{command}");
            assert!(ended.error.contains(message), "{command} says what is wrong: {}", ended.error);
            let place = format!("{}:", stage.file().display());
            assert!(ended.error.contains(&place), "{command} says where it is wrong: {}", ended.error);
        }
        stage.hang_up(message);
        assert_eq!(
            (operator.generation(), operator.configuration()),
            (generation, running.clone()),
            "{message}"
        );
        let status = operator.does("status");
        assert_eq!(status.matches("SIGHUP: the file was not applied").count(), 1, "status says so: {status}");
    }
    fs::remove_file(stage.file()).unwrap();
    operator.is_refused("apply", "does not exist");
    stage.assert_answered(&[("b.test", "a"), ("x.test", "a")], "whatever the file says");
    stage.write(&at_first());
    operator.does("apply");
    let status = operator.does("status");
    assert!(!status.contains("SIGHUP"), "that is over: {status}");
}

#[test]
fn live_edits_are_not_undone_by_mistake_and_can_be_saved() {
    if skip_without_root() {
        return;
    }
    let commented = at_first().replace("[routes]\n", "# Who goes where.\n[routes]\n") + "# The last word.\n";
    let stage = Stage::new("e2e-save", &commented);
    let operator = &stage.operator;
    operator.does("route add edited.test b");
    operator.does("route remove gone.test");
    operator.does(&format!("backend weight a {B1} 5"));
    let status = operator.does("status");
    assert!(status.contains("3 live edits since it was applied"), "{status}");
    operator.does("plan");
    for command in ["apply", "apply --confirm 5s"] {
        let error = operator.is_refused(command, "live edits would be undone");
        for part in ["route edited.test", "route gone.test", "pool a", "dproxy save", "--discard-edits"] {
            assert!(error.contains(part), "`{part}` is not in: {error}");
        }
    }
    let line = stage.hang_up("live edits would be undone");
    assert!(line.contains("SIGHUP"), "{line}");
    stage.assert_answered(&[("edited.test", "b"), ("gone.test", "a")], "still there");

    let running = operator.configuration();
    operator.does("save");
    let saved = fs::read_to_string(stage.file()).unwrap();
    println!("{saved}");
    for part in ["# Who goes where.\n[routes]\n", "# The last word.", "\"edited.test\" = \"b\"", "weight = 5"]
    {
        assert!(saved.contains(part), "`{part}` is not in: {saved}");
    }
    assert!(!saved.contains("gone.test"), "{saved}");
    assert!(operator.does("plan").contains("nothing differs"));
    let status = operator.does("status");
    assert!(!status.contains("live edit"), "{status}");
    assert_eq!(operator.configuration(), running, "a save changes nothing that runs");
    operator.does("save");

    operator.does("route add lost.test b");
    operator.does("apply --discard-edits");
    stage.assert_answered(&[("edited.test", "b"), ("lost.test", "a")], "discarded");
    // What an apply does not touch, it does not undo.
    operator.does("route add other.test b");
    operator.does("rollback");
    assert_eq!(operator.configuration(), running);
    operator.does("history");
}
