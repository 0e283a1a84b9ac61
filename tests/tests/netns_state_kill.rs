//! kill -9 in front of each step in which dproxy writes something down: what runs after the next start is what ran
//! before or what was wanted, octet by octet, and every edit that was acknowledged is there.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use dproxy_lab::{Balancer, Server, Topology, default_binary, skip_without_root};
use dproxy_tests::frames::wire_name;
use dproxy_tests::net::{
    Asker, B1, B2, B3, Operator, Step, Tracer, configuration, finish, listeners, servers, tables, wait_until,
};

const PATIENCE: Duration = Duration::from_secs(10);
/// The routes whose edits were acknowledged, and which must be there ever after, have names that begin so.
const KEPT: &str = "\"k";

/// What dproxy writes down. It leads from one server that answers for `t.test` to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Edit,
    Apply,
    Rollback,
    ApplyUnconfirmed,
    Confirm,
    Expiry,
}

/// A topology in which dproxy is killed again and again.
struct Scene {
    operation: Operation,
    balancer: Option<Balancer>,
    operator: Operator,
    acknowledged: Vec<String>,
    _servers: Vec<Server>,
    topology: Topology,
}

/// The files in which generations are kept, by name.
type Records = BTreeMap<String, Vec<u8>>;

impl Scene {
    fn new(topology: &str, operation: Operation) -> Self {
        let topology = Topology::builder(topology).build().unwrap();
        let servers = servers(&topology);
        let config = file(&topology, "a", &[]);
        let balancer = Balancer::start(&topology, &default_binary().unwrap(), &config).unwrap();
        let operator = Operator::of(&balancer);
        let balancer = Some(balancer);
        Self { operation, balancer, operator, acknowledged: Vec::new(), _servers: servers, topology }
    }

    /// Whatever is acknowledged before the operation; then its command, unless dproxy does it by itself.
    fn prepare(&mut self, to: &str) -> Option<String> {
        let name = format!("k{}.test", self.acknowledged.len());
        self.operator.does(&format!("route add {name} c"));
        self.acknowledged.push(name);
        let folder = self.topology.instance().folder();
        fs::write(folder.join("dproxy.toml"), file(&self.topology, to, &self.acknowledged)).unwrap();
        match self.operation {
            Operation::Edit => Some(format!("route add t.test {to} --replace")),
            Operation::Apply => Some("apply".to_owned()),
            Operation::Rollback => {
                let earlier = self.operator.generation() + 1;
                for side in [to, other(to)] {
                    self.operator.does(&format!("route add t.test {side} --replace"));
                }
                Some(format!("rollback {earlier}"))
            }
            Operation::ApplyUnconfirmed => Some("apply --confirm 60s".to_owned()),
            Operation::Confirm => {
                self.operator.does("apply --confirm 60s");
                Some("confirm".to_owned())
            }
            Operation::Expiry => {
                self.operator.does("apply --confirm 2s");
                None
            }
        }
    }

    /// Lets the operation happen while strace looks on, which may kill the daemon; the steps.
    fn carry_out(&mut self, command: Option<&str>, kill_before: Option<&Step>) -> Vec<Step> {
        let output = self.topology.instance().folder().join("strace");
        let files = self.files();
        let balancer = self.balancer.as_mut().unwrap();
        let tracer = Tracer::attach(balancer.pid(), &files, &output, kill_before);
        if let Some(command) = command {
            let ended = finish(&mut self.operator.command(command), PATIENCE);
            let is_done = ended.code == Some(0);
            assert_eq!(is_done, kill_before.is_none(), "`dproxy {command}`: {}", ended.error);
        }
        if kill_before.is_some() {
            wait_until("kill -9", PATIENCE, || balancer.ended().unwrap().is_some());
        } else if self.operation == Operation::Expiry {
            let until = || self.operator.status().get("unconfirmed").is_none();
            wait_until("the generation to be taken back", PATIENCE, until);
        }
        tracer.steps()
    }

    fn generations(&self) -> PathBuf {
        self.topology.instance().folder().join("state/generations")
    }

    /// The folder, and whatever may be written there next.
    fn files(&self) -> Vec<PathBuf> {
        let (folder, now) = (self.generations(), self.operator.generation());
        let names =
            (now..now + 3).flat_map(|it| [format!("{it}"), format!(".{it}"), format!("{it}.unconfirmed")]);
        names.map(|name| folder.join(name)).chain([folder.clone()]).collect()
    }

    fn records(&self) -> Records {
        let files = fs::read_dir(self.generations()).unwrap().map(|entry| entry.unwrap().path());
        files
            .map(|file| (file.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(file).unwrap()))
            .collect()
    }

    fn go_on(&mut self) {
        self.balancer.take();
        self.balancer = Some(Balancer::go_on(&self.topology, &default_binary().unwrap()).unwrap());
    }

    fn assert_answered(&self, server: &str, when: &str) {
        for listener in listeners() {
            let mut asker = Asker::new(&self.topology.client.namespace, listener);
            assert_eq!(asker.who(&wire_name("t.test")), server, "{when}: t.test at {listener}");
            for name in self.acknowledged.iter().rev().take(3) {
                assert_eq!(asker.who(&wire_name(name)), "c", "{when}: {name}, acknowledged, at {listener}");
            }
        }
    }

    /// What runs, but for the edits that must be there in any case.
    fn running(&self, when: &str) -> String {
        let text = self.operator.configuration();
        for name in &self.acknowledged {
            assert!(text.contains(&format!("\n\"{name}\" = \"c\"\n")), "{when}: {name} is lost:\n{text}");
        }
        text.lines().filter(|line| !line.starts_with(KEPT)).map(|line| format!("{line}\n")).collect()
    }
}

fn other(side: &str) -> &'static str {
    if side == "a" { "b" } else { "a" }
}

fn file(topology: &Topology, side: &str, others: &[String]) -> String {
    let others: String = others.iter().map(|name| format!("\"{name}\" = \"c\"\n")).collect();
    let tables = tables(&[("a", B1), ("b", B2), ("c", B3)], &[(".", "refused"), ("t.test", side)]);
    configuration(topology, "native", &tables) + &others
}

/// What is to come of an operation that a kill has cut off in front of a step.
struct Expected {
    /// Who answers until the next start.
    meanwhile: &'static str,
    /// Who answers then.
    then: &'static str,
}

impl Operation {
    fn expected(self, from: &'static str, to: &'static str, is_named: bool, step: &Step) -> Expected {
        match self {
            // The packets are told last of all.
            Self::Edit | Self::Apply | Self::Rollback => {
                Expected { meanwhile: from, then: if is_named { to } else { from } }
            }
            Self::ApplyUnconfirmed => Expected { meanwhile: from, then: from },
            Self::Confirm => Expected { meanwhile: to, then: if is_named { to } else { from } },
            Self::Expiry => Expected { meanwhile: if step.call == "unlink" { from } else { to }, then: from },
        }
    }
}

/// Carries an operation out once in peace, and then once for each of its steps with a kill in front of that.
fn kill_at_each_step(topology: &str, operation: Operation) {
    if skip_without_root() {
        return;
    }
    let mut scene = Scene::new(topology, operation);
    let texts = ["b", "a"].map(|side| {
        scene.operator.does(&format!("route add t.test {side} --replace"));
        (side, scene.running("in peace"))
    });
    let texts = BTreeMap::from(texts);
    let (mut from, mut to) = ("a", "b");
    let command = scene.prepare(to);
    let steps = scene.carry_out(command.as_deref(), None);
    println!("{operation:?}: {} steps", steps.len());
    match operation {
        Operation::Edit | Operation::Apply | Operation::Rollback | Operation::Confirm => {
            (from, to) = (to, from)
        }
        Operation::ApplyUnconfirmed => {
            scene.operator.does("confirm");
            (from, to) = (to, from);
        }
        Operation::Expiry => {}
    }
    assert_eq!(scene.running("in peace"), texts[from], "in peace");

    let rename = steps.iter().position(|step| step.call == "rename");
    let rename = rename.unwrap_or_else(|| panic!("what is durable gets its name in one step: {steps:?}"));
    for (index, step) in steps.iter().enumerate() {
        let command = scene.prepare(to);
        let before = scene.records();
        scene.carry_out(command.as_deref(), Some(step));
        let when = format!("kill -9 in front of step {}, `{step}`", index + 1);
        let Expected { meanwhile, then } = operation.expected(from, to, index > rename, step);
        scene.assert_answered(meanwhile, &format!("{when}, without a daemon"));
        scene.go_on();
        assert_eq!(scene.running(&when), texts[then], "{when}: what runs");
        scene.assert_answered(then, &when);
        let new = check_records(&before, &scene.records(), &when);
        let is_new = if then == to { "the new one" } else { "the old one" };
        println!("    {}. killed, and then {is_new}, {new} new records: {step}", index + 1);
        let may_be_new = match operation {
            Operation::Edit | Operation::Apply | Operation::Rollback => usize::from(then == to),
            // The way back is written down, too.
            Operation::ApplyUnconfirmed | Operation::Confirm | Operation::Expiry => 1,
        };
        assert!(new <= may_be_new, "{when}: {new} new records");
        if then == to {
            (from, to) = (to, from);
        }
    }
}

/// Are all records as they were, and nothing there but records? How many are new.
fn check_records(before: &Records, after: &Records, when: &str) -> usize {
    let is_record = |name: &str| name.parse::<u64>().is_ok();
    for (name, octets) in before.iter().filter(|(name, _)| is_record(name)) {
        assert_eq!(after.get(name), Some(octets), "{when}: record {name}");
    }
    let odd: Vec<&String> = after.keys().filter(|name| !is_record(name)).collect();
    assert!(odd.is_empty(), "{when}: left behind are {odd:?}");
    after.keys().filter(|name| !before.contains_key(*name)).count()
}

#[test]
fn an_edit_is_made_or_not() {
    kill_at_each_step("e2e-killedit", Operation::Edit);
}

#[test]
fn an_apply_is_made_or_not() {
    kill_at_each_step("e2e-killapply", Operation::Apply);
}

#[test]
fn a_rollback_is_made_or_not() {
    kill_at_each_step("e2e-killback", Operation::Rollback);
}

#[test]
fn an_apply_to_be_confirmed_does_not_survive() {
    kill_at_each_step("e2e-killwait", Operation::ApplyUnconfirmed);
}

#[test]
fn a_confirmation_is_made_or_not() {
    kill_at_each_step("e2e-killconfirm", Operation::Confirm);
}

#[test]
fn the_way_back_by_itself_is_always_back() {
    kill_at_each_step("e2e-killexpiry", Operation::Expiry);
}
