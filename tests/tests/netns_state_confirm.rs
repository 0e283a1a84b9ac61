//! `apply --confirm`: what nobody confirms is taken back, however the time until then ends.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::time::{Duration, Instant};

use dproxy_lab::{Balancer, Server, Topology, default_binary, skip_without_root};
use dproxy_tests::frames::wire_name;
use dproxy_tests::net::{
    Asker, B1, B2, Operator, Site, configuration, end, listeners, tables, wait_until, xdp_programs,
};
use nix::sys::signal::Signal;

const PATIENCE: Duration = Duration::from_secs(10);

/// A site whose file moves `t.test` from `a` to `b`.
struct Stage {
    balancer: Balancer,
    operator: Operator,
    _servers: Vec<Server>,
    topology: Topology,
}

fn pools_and_routes(side: &str) -> String {
    tables(&[("a", B1), ("b", B2)], &[(".", "refused"), ("t.test", side)])
}

impl Stage {
    fn new(name: &str) -> Self {
        let Site { balancer, servers, topology } = Site::new(name, &pools_and_routes("a"));
        let operator = Operator::of(&balancer);
        let stage = Self { balancer, operator, _servers: servers, topology };
        let text = configuration(&stage.topology, "native", &pools_and_routes("b"));
        fs::write(stage.balancer.config(), text).unwrap();
        stage
    }

    fn assert_answered(&self, server: &str, when: &str) {
        for listener in listeners() {
            let mut asker = Asker::new(&self.topology.client.namespace, listener);
            assert_eq!(asker.who(&wire_name("t.test")), server, "{when}: at {listener}");
        }
    }

    /// A successor of a daemon that has ended.
    fn go_on(self) -> Self {
        let Self { balancer, operator, _servers, topology } = self;
        drop(balancer);
        let balancer = Balancer::go_on(&topology, &default_binary().unwrap()).unwrap();
        Self { balancer, operator, _servers, topology }
    }

    /// Status and history say, once each, that it was taken back, and why.
    fn assert_says(&self, why: &str) {
        for command in ["status", "history"] {
            let said = self.operator.does(command);
            assert_eq!(
                said.matches("back to generation").count(),
                1,
                "`dproxy {command}` says it once: {said}"
            );
            assert!(said.contains(why), "`dproxy {command}` says why: {said}");
        }
    }
}

#[test]
fn without_a_confirmation_the_old_generation_answers_again() {
    if skip_without_root() {
        return;
    }
    let stage = Stage::new("e2e-unconfirmed");
    let operator = &stage.operator;
    let before = operator.configuration();
    stage.assert_answered("a", "before");
    let start = Instant::now();
    let applied = operator.does("apply --confirm 2s");
    assert!(applied.contains("`dproxy confirm` keeps it"), "{applied}");
    stage.assert_answered("b", "applied");
    let status = operator.does("status");
    assert!(status.contains("unless `dproxy confirm` comes within"), "{status}");
    for command in
        ["route add x.test a", "backend drain b 10.53.2.10:53", "apply", "apply --confirm 5s", "save"]
    {
        operator.is_refused(command, "waits for its confirmation until");
    }
    operator.is_refused("confirm --generation 1", "but generation 2 is in force");
    operator.does("plan");
    operator.does("history");
    stage.assert_answered("b", "before the time is over");
    wait_until("the way back", PATIENCE, || operator.status().get("unconfirmed").is_none());
    let elapsed = start.elapsed();
    assert!((1.9..5.0).contains(&elapsed.as_secs_f64()), "taken back after {elapsed:?}");
    stage.assert_answered("a", "taken back");
    assert_eq!(operator.configuration(), before, "what runs is as before");
    stage.assert_says("back to generation 1, since nobody confirmed generation 2 within 2s");
    operator.is_refused("confirm", "no generation waits for a confirmation");
    operator.does("route add x.test a");
    let status = operator.does("status");
    assert!(status.contains("the file says something else"), "it still wants the other: {status}");
    let plan = operator.does("plan");
    assert!(plan.contains("route t.test to pool b instead of pool a"), "the file still wants it: {plan}");
}

#[test]
fn a_confirmation_keeps_it() {
    if skip_without_root() {
        return;
    }
    let stage = Stage::new("e2e-confirmed");
    stage.operator.does("apply --confirm 1s");
    let generation = stage.operator.generation();
    stage.operator.does("confirm");
    assert_eq!(stage.operator.generation(), generation, "a confirmation makes no generation");
    std::thread::sleep(Duration::from_millis(1500));
    stage.assert_answered("b", "confirmed");
    stage.operator.does("status");
    // Another one, taken back by hand.
    fs::write(stage.balancer.config(), configuration(&stage.topology, "native", &pools_and_routes("a")))
        .unwrap();
    stage.operator.does("apply --confirm 60s");
    stage.assert_answered("a", "applied");
    stage.operator.does("rollback");
    stage.assert_answered("b", "rolled back");
    stage.assert_says("back to generation 2, since generation 3 was rolled back");
    stage.balancer.kill().unwrap();
    let balancer = Balancer::go_on(&stage.topology, &default_binary().unwrap()).unwrap();
    let stage = Stage { balancer, ..stage };
    stage.assert_answered("b", "confirmed, and started again");
}

#[test]
fn an_end_while_it_waits_is_a_way_back() {
    if skip_without_root() {
        return;
    }
    let stage = Stage::new("e2e-waitkill");
    stage.operator.does("apply --confirm 60s");
    end(stage.balancer.pid(), Signal::SIGKILL);
    let mut stage = stage;
    wait_until("kill -9", PATIENCE, || stage.balancer.ended().unwrap().is_some());
    stage.assert_answered("b", "after kill -9, nobody is there to take it back");
    let mut stage = stage.go_on();
    stage.assert_answered("a", "the next start takes it back");
    stage.assert_says("back to generation 1, since dproxy ended before generation 2 was confirmed");

    stage.operator.does("apply --confirm 60s");
    stage.assert_answered("b", "applied");
    end(stage.balancer.pid(), Signal::SIGTERM);
    wait_until("the end", PATIENCE, || stage.balancer.ended().unwrap().is_some());
    println!("{}", stage.balancer.log_tail());
    assert!(!xdp_programs(&stage.topology.balancer).is_empty(), "SIGTERM leaves the fast path");
    stage.assert_answered("a", "SIGTERM takes it back at once");
    let stage = stage.go_on();
    stage.assert_answered("a", "the next start");
    let history = stage.operator.does("history");
    assert_eq!(
        history.matches("back to generation").count(),
        2,
        "each way back is written down once: {history}"
    );
}
