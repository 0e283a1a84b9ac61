//! Starting, stopping, being killed, and starting where one cannot.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use dproxy_lab::{Balancer, Server, Topology, default_binary, skip_without_root};
use dproxy_tests::frames::wire_name;
use dproxy_tests::net::{
    Asker, B1, B2_V6, Ended, configuration, egress_programs, end, finish, listeners, servers, tables,
    wait_until, xdp_programs,
};
use nix::sys::signal::Signal;

const PINS: &str = "/sys/fs/bpf/dproxy/links";
const PATIENCE: Duration = Duration::from_secs(10);
/// To load the program, on a slow machine.
const AT_ONCE: Duration = Duration::from_secs(5);

/// A topology with servers, in which dproxy comes and goes.
struct Stage {
    _servers: Vec<Server>,
    topology: Topology,
    config: String,
}

impl Stage {
    fn new(name: &str) -> Self {
        let topology = Topology::builder(name).build().unwrap();
        let tables = tables(&[("a", B1), ("b", B2_V6)], &[(".", "a"), ("b.test", "b")]);
        let config = configuration(&topology, "native", &tables);
        Self { _servers: servers(&topology), topology, config }
    }

    fn start(&self) -> Balancer {
        Balancer::start(&self.topology, &default_binary().unwrap(), &self.config).unwrap()
    }

    /// Asks over both IP versions for both backends.
    fn assert_answered(&self, when: &str) {
        for listener in listeners() {
            let mut asker = Asker::new(&self.topology.client.namespace, listener);
            for (name, server) in [("a.test", "a"), ("b.test", "b")] {
                assert_eq!(asker.who(&wire_name(name)), server, "{when}: {name} over {listener}");
            }
        }
    }

    /// The links that are pinned for the balancer's namespace.
    fn pins(&self) -> Vec<PathBuf> {
        let namespace = Path::new("/run/netns").join(self.topology.balancer.name());
        let prefix = format!("{}-", fs::metadata(namespace).unwrap().ino());
        let entries = fs::read_dir(PINS).into_iter().flatten().flatten().map(|entry| entry.path());
        entries.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(&prefix)).collect()
    }

    fn assert_nothing_left(&self, socket: &Path, after: &str) {
        let programs = xdp_programs(&self.topology.balancer);
        assert!(programs.is_empty(), "{after}: XDP programs are left: {programs:?}");
        let egress = egress_programs(&self.topology.balancer);
        assert!(egress.is_empty(), "{after}: egress programs are left: {egress:?}");
        assert!(self.pins().is_empty(), "{after}: pins are left: {:?}", self.pins());
        assert!(!socket.exists(), "{after}: the socket is left");
    }
}

#[test]
fn an_ended_dproxy_leaves_nothing_behind() {
    if skip_without_root() {
        return;
    }
    let stage = Stage::new("e2e-end");
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut balancer = stage.start();
        stage.assert_answered("started");
        assert_eq!(xdp_programs(&stage.topology.balancer).len(), stage.topology.interfaces().len());
        assert_eq!(stage.pins().len(), 2 * stage.topology.interfaces().len(), "two pins to an interface");
        end(balancer.pid(), signal);
        let socket = balancer.socket().to_owned();
        wait_until("dproxy to end", PATIENCE, || balancer.ended().unwrap().is_some());
        assert_eq!(balancer.ended().unwrap().unwrap().code(), Some(0), "{signal}: exit status");
        if signal == Signal::SIGTERM {
            stage.assert_answered("SIGTERM leaves the fast path");
            let mut detach = stage.topology.balancer.command(default_binary().unwrap());
            let ended = finish(detach.args(["detach", "--bpffs", "/sys/fs/bpf/dproxy"]), PATIENCE);
            assert_eq!((ended.code, ended.error.as_str()), (Some(0), ""), "dproxy detach");
        }
        stage.assert_nothing_left(&socket, signal.as_str());
    }
}

#[test]
fn a_killed_dproxy_goes_on_and_is_succeeded_at_once() {
    if skip_without_root() {
        return;
    }
    let stage = Stage::new("e2e-kill");
    let first = stage.start();
    stage.assert_answered("before the kill");
    let before = xdp_programs(&stage.topology.balancer);
    let socket = first.socket().to_owned();
    first.kill().unwrap();

    assert_eq!(xdp_programs(&stage.topology.balancer), before, "after kill -9 the fast path stays");
    stage.assert_answered("after kill -9, without a daemon");
    assert!(socket.exists(), "kill -9 leaves the socket, which the successor has to replace");

    let start = Instant::now();
    let second = stage.start();
    assert!(start.elapsed() < AT_ONCE, "the successor took {:?}", start.elapsed());
    stage.assert_answered("with a successor");
    let after = xdp_programs(&stage.topology.balancer);
    assert!(
        after.iter().all(|(name, program)| before[name] != *program),
        "the successor has its own program"
    );
    let edited = second.cli(&["route", "add", "c.test", "b"]).unwrap();
    assert_eq!(edited["changed"], true);
    let mut asker = Asker::new(&stage.topology.client.namespace, listeners()[0]);
    assert_eq!(asker.who(&wire_name("c.test")), "b", "an edit to the successor reaches the fast path");
    drop(second);
    stage.assert_nothing_left(&socket, "the end of the successor");
}

fn run(topology: &Topology, config: &Path, socket: &Path) -> Command {
    let mut command = topology.balancer.command(default_binary().unwrap());
    command.arg("run").arg("--config").arg(config).arg("--socket").arg(socket);
    command.arg("--state").arg(topology.instance().folder().join("second"));
    command
}

#[test]
fn a_second_dproxy_is_refused_and_the_first_unharmed() {
    if skip_without_root() {
        return;
    }
    let stage = Stage::new("e2e-second");
    let first = stage.start();
    let pid = first.pid().to_string();
    let other = stage.topology.instance().folder().join("other.sock");
    let programs = xdp_programs(&stage.topology.balancer);
    for (how, socket, expected) in [
        ("on the same socket", first.socket(), format!("is already served by process {pid}")),
        ("on the same interfaces", &other, format!("is served by another dproxy (process {pid})")),
    ] {
        let ended = finish(&mut run(&stage.topology, first.config(), socket), PATIENCE);
        ended.assert_one_error(how, &expected);
        assert_eq!(xdp_programs(&stage.topology.balancer), programs, "{how}: the first one's programs stay");
        stage.assert_answered(how);
        first.cli(&["status"]).unwrap();
    }
    assert!(!other.exists(), "the second one's socket is gone");
}

/// Runs `dproxy` to its end.
fn dproxy(arguments: &[&str]) -> Ended {
    finish(Command::new(default_binary().unwrap()).args(arguments), PATIENCE)
}

#[test]
fn misuse_of_the_command_line_has_status_2() {
    if skip_without_root() {
        return;
    }
    for arguments in [
        &[][..],
        &["frobnicate"],
        &["run", "--frobnicate"],
        &["route", "add", "example.org"],
        &["backend", "weight", "p", "192.0.2.1", "many"],
        &["stats", "--watch", "--json"],
    ] {
        let ended = dproxy(arguments);
        assert_eq!(ended.code, Some(2), "dproxy {arguments:?}: {}", ended.error);
        let helps = ["Usage: dproxy", "try '--help'"].iter().any(|help| ended.error.contains(help));
        assert!(helps, "dproxy {arguments:?} says how it is used: {}", ended.error);
        assert_eq!(ended.output, "", "dproxy {arguments:?}: errors go to standard error");
    }
    for arguments in [&["status"][..], &["route", "list"], &["explain", "example.org"], &["stats", "--json"]]
    {
        let socket = ["--socket", "/run/dproxy-lab/nobody.sock"];
        let ended = dproxy(&[&socket, arguments].concat());
        ended.assert_one_error(
            &format!("{arguments:?} without a daemon"),
            "no dproxy answers on /run/dproxy-lab/nobody.sock",
        );
    }
}
