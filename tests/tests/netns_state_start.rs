//! A start goes on with what ran, whatever the file says by now; and the fast path without a daemon.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::process::Command;
use std::time::Duration;

use dproxy_lab::{Balancer, Topology, default_binary, skip_without_root};
use dproxy_tests::frames::wire_name;
use dproxy_tests::net::{
    Asker, B1, B2, Ended, Operator, Site, configuration, egress_programs, end, finish, listeners, shown,
    tables, wait_until, xdp_programs,
};
use nix::sys::signal::Signal;

const PATIENCE: Duration = Duration::from_secs(10);

fn file(side: &str) -> String {
    tables(&[("a", B1), ("b", B2)], &[(".", "refused"), ("t.test", side)])
}

fn assert_answered(topology: &Topology, expected: &[(&str, &str)], when: &str) {
    for listener in listeners() {
        let mut asker = Asker::new(&topology.client.namespace, listener);
        for (name, server) in expected {
            assert_eq!(asker.who(&wire_name(name)), *server, "{when}: {name} at {listener}");
        }
    }
}

fn log(topology: &Topology) -> String {
    let log = fs::read_to_string(topology.instance().folder().join("dproxy.log")).unwrap();
    println!("{log}");
    log
}

/// Ends a daemon, and waits for that.
fn stop(balancer: &mut Balancer, signal: Signal) {
    end(balancer.pid(), signal);
    wait_until("dproxy to end", PATIENCE, || balancer.ended().unwrap().is_some());
    assert_eq!(balancer.ended().unwrap().unwrap().code(), Some(0), "{signal}: exit status");
}

#[test]
fn a_start_goes_on_with_what_ran() {
    if skip_without_root() {
        return;
    }
    let Site { topology, servers: _servers, mut balancer } = Site::new("e2e-goeson", &file("a"));
    let operator = Operator::of(&balancer);
    operator.does("route add edited.test b");
    let running = operator.configuration();
    fs::write(balancer.config(), configuration(&topology, "native", &file("b"))).unwrap();
    for (signal, what) in [(Signal::SIGTERM, "SIGTERM"), (Signal::SIGINT, "SIGINT")] {
        stop(&mut balancer, signal);
        log(&topology);
        balancer = Balancer::go_on(&topology, &default_binary().unwrap()).unwrap();
        assert_answered(&topology, &[("t.test", "a"), ("edited.test", "b")], what);
        assert_eq!(operator.configuration(), running, "{what}: it goes on with what ran");
        assert_eq!(operator.generation(), 2, "{what}: a start makes no generation");
        let warned = "is not what runs: `dproxy plan` shows the difference";
        wait_until("the comparison with the file", PATIENCE, || operator.status()["file_differs"] == true);
        let log = log(&topology);
        assert!(log.contains("going on with generation 2"), "{what}: the log says so: {log}");
        assert!(log.lines().any(|line| line.contains("WARN") && line.contains(warned)), "{what}: {log}");
        let status = operator.does("status");
        assert!(
            status.contains("the file says something else; `dproxy plan` shows what"),
            "{what}: {status}"
        );
        let plan = operator.does("plan");
        assert!(plan.contains("~ route t.test to pool b instead of pool a"), "{plan}");
        assert!(plan.contains("- route edited.test"), "{plan}");
    }

    // A file with mistakes in it, which somebody is in the middle of editing.
    fs::write(balancer.config(), "[listen").unwrap();
    stop(&mut balancer, Signal::SIGTERM);
    balancer = Balancer::go_on(&topology, &default_binary().unwrap()).unwrap();
    assert_answered(&topology, &[("t.test", "a"), ("edited.test", "b")], "an invalid file");
    wait_until("the comparison with the file", PATIENCE, || operator.status()["file_differs"] == true);
    log(&topology);
    operator.does("status");

    fs::write(balancer.config(), configuration(&topology, "native", &file("b"))).unwrap();
    stop(&mut balancer, Signal::SIGTERM);
    balancer = Balancer::go_on_with(&topology, &default_binary().unwrap(), &["--from-file"]).unwrap();
    assert_answered(&topology, &[("t.test", "b"), ("edited.test", "refused")], "--from-file");
    log(&topology);
    operator.does("status");
    operator.does("history");
    operator.does("rollback 2");
    assert_answered(
        &topology,
        &[("t.test", "a"), ("edited.test", "b")],
        "what ran before can be returned to",
    );
    drop(balancer);
}

#[test]
fn detach_removes_what_a_daemon_has_left() {
    if skip_without_root() {
        return;
    }
    let Site { topology, servers: _servers, mut balancer } = Site::new("e2e-detach", &file("a"));
    let detach = || -> Ended {
        let mut command: Command = topology.balancer.command(default_binary().unwrap());
        command.arg("detach").arg("--config").arg(balancer_config(&topology));
        shown("detach", finish(&mut command, PATIENCE))
    };
    let before = xdp_programs(&topology.balancer);
    let pid = balancer.pid();
    let refused = detach();
    refused.assert_one_error("detach while a daemon runs", &pid.to_string());
    assert_eq!(xdp_programs(&topology.balancer), before, "refused, it removes nothing");
    assert_answered(&topology, &[("t.test", "a")], "detach is refused");

    stop(&mut balancer, Signal::SIGTERM);
    assert_eq!(xdp_programs(&topology.balancer), before, "SIGTERM leaves the fast path");
    assert_answered(&topology, &[("t.test", "a")], "after SIGTERM, without a daemon");
    let ended = detach();
    assert_eq!((ended.code, ended.error.as_str()), (Some(0), ""), "detach");
    for interface in topology.interfaces() {
        assert!(ended.output.contains(&format!("detached from {interface}\n")), "{}", ended.output);
    }
    assert!(xdp_programs(&topology.balancer).is_empty(), "no XDP program is left");
    assert!(egress_programs(&topology.balancer).is_empty(), "no egress program is left");
    assert_eq!(detach().output, "nothing is attached\n", "twice is not worse than once");

    let balancer = Balancer::go_on(&topology, &default_binary().unwrap()).unwrap();
    assert_answered(&topology, &[("t.test", "a")], "started again");
    drop(balancer);
    assert!(xdp_programs(&topology.balancer).is_empty(), "SIGINT detaches");
}

fn balancer_config(topology: &Topology) -> std::path::PathBuf {
    topology.instance().folder().join("dproxy.toml")
}
