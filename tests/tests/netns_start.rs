//! What dproxy says when it cannot start: one clear error, and exit status 1. And how it starts when it is
//! only the fast path that it cannot have.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use dproxy_lab::{Topology, default_binary, skip_without_root};
use dproxy_tests::frames::wire_name;
use dproxy_tests::net::{
    Asker, B1, become_nobody, configuration, end, finish, listeners, servers, wait_for, wait_until,
    xdp_programs,
};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;
use nix::unistd::User;

const PATIENCE: Duration = Duration::from_secs(10);

/// What is wrong with a configuration that was right: what of it is replaced, by what, and what dproxy says.
const CONFIGURATIONS: [(&str, &str, &str, &str); 20] = [
    ("no such interface", "\"client\"", "\"nowhere0\"", "there is no interface nowhere0"),
    ("an interface twice", "\"client\"", "\"backend1\"", "interface \"backend1\" is listed twice"),
    (
        "unknown pool in a route",
        "\".\" = \"p\"",
        "\".\" = \"q\"",
        "route \".\" names pool \"q\", which does not exist",
    ),
    ("a route twice", "\".\" = \"p\"", "\".\" = \"p\"\n\".\" = \"p\"", "key \".\" is there twice"),
    (
        "a name twice, in another case",
        "\".\" = \"p\"",
        "\"a.test\" = \"p\"\n\"A.TEST.\" = \"p\"",
        "route \"A.TEST.\" is route \"a.test\" once more",
    ),
    (
        "a pool twice",
        "[routes]",
        "[pools.p]\nbackends = [\"10.53.2.10\"]\n[routes]",
        "key \"p\" is there twice",
    ),
    ("a label too long", "\".\" =", "\"LABEL64.test\" =", "has a label of 64 octets"),
    ("a name too long", "\".\" =", "\"NAME256\" =", "has 256 octets in wire form"),
    (
        "weight 0 everywhere",
        "\"10.53.1.10:53\"",
        "{ address = \"10.53.1.10\", weight = 0 }",
        "has weight 0 for every backend",
    ),
    ("a weight too large", "\"10.53.1.10:53\"", "{ address = \"10.53.1.10\", weight = 1001 }", "is 1001"),
    ("a backend's port 0", "10.53.1.10:53", "10.53.1.10:0", "backend 10.53.1.10:0 of pool \"p\" has port 0"),
    ("a listener's port 0", "198.51.100.53:53", "198.51.100.53:0", "listener 198.51.100.53:0 has port 0"),
    (
        "a listener twice",
        "[2001:db8:53::53]:53",
        "198.51.100.53",
        "listener 198.51.100.53:53 is listed twice",
    ),
    ("a backend twice", "\"10.53.1.10:53\"", "\"10.53.1.10:53\", \"10.53.1.10\"", "is listed twice"),
    ("a pool without a backend", "\"10.53.1.10:53\"", "", "has no backend"),
    ("a backend that is a listener", "10.53.1.10:53", "198.51.100.53:53", "is a listener too"),
    (
        "an unknown policy",
        "[pools.p]",
        "[pools.p]\npolicy = \"fairest\"",
        "policy \"fairest\" does not exist",
    ),
    ("an unknown key", "xdp =", "xpd =", "unknown key \"xpd\""),
    ("no TOML", "[routes]", "[routes", "not TOML"),
    (
        "no BPF file system",
        "[routes]",
        "[control]\nbpffs = \"FOLDER\"\n[routes]",
        "is not in a BPF file system; mount one with",
    ),
];

/// A configuration with nothing wrong.
fn right(topology: &Topology) -> String {
    let pools = format!("[pools.p]\nbackends = [\"{B1}\"]\n[routes]\n\".\" = \"p\"\n");
    configuration(topology, "native", &pools)
}

/// `dproxy run` in the balancer's namespace. It knows nothing of what ran before.
fn run(topology: &Topology, program: &Path, config: &Path) -> Command {
    let folder = topology.instance().folder();
    let state = folder.join("state");
    if state.exists() {
        fs::remove_dir_all(&state).unwrap();
    }
    let mut command = topology.balancer.command(program);
    command.arg("run").arg("--config").arg(config).arg("--state").arg(state);
    command.arg("--socket").arg(folder.join("dproxy.sock"));
    command
}

#[test]
fn a_configuration_that_cannot_work_gets_one_clear_error() {
    if skip_without_root() {
        return;
    }
    let topology = Topology::builder("e2e-wrong").build().unwrap();
    let folder = topology.instance().folder();
    for (title, right_part, wrong_part, expected) in CONFIGURATIONS {
        let right = right(&topology);
        assert!(right.contains(right_part), "{title}: `{right_part}` is not in {right}");
        let label = |length: usize| "x".repeat(length);
        let name = [label(63), label(63), label(63), label(62)].join(".");
        let wrong_part = wrong_part.replace("LABEL64", &label(64)).replace("NAME256", &name);
        let wrong_part = wrong_part.replace("FOLDER", &folder.display().to_string());
        let file = folder.join("wrong.toml");
        fs::write(&file, right.replacen(right_part, &wrong_part, 1)).unwrap();

        let ended = finish(&mut run(&topology, &default_binary().unwrap(), &file), PATIENCE);
        ended.assert_one_error(title, expected);
        assert_nothing_happened(&topology, title);
    }
}

#[test]
fn a_configuration_file_that_is_none_gets_one_clear_error() {
    if skip_without_root() {
        return;
    }
    let topology = Topology::builder("e2e-nofile").build().unwrap();
    let folder = topology.instance().folder();
    fs::write(folder.join("octets"), [0xff, 0xfe]).unwrap();
    for (title, file, expected) in [
        ("a folder", ".", "is a folder"),
        ("no file", "none", "does not exist"),
        ("octets", "octets", "is not UTF-8"),
    ] {
        let file = folder.join(file);
        let ended = finish(&mut run(&topology, &default_binary().unwrap(), &file), PATIENCE);
        ended.assert_one_error(title, expected);
        let mut check = Command::new(default_binary().unwrap());
        finish(check.arg("check").arg("--config").arg(&file), PATIENCE).assert_one_error(title, expected);
    }
}

#[test]
fn without_rights_it_says_what_it_needs() {
    if skip_without_root() {
        return;
    }
    let topology = Topology::builder("e2e-rights").build().unwrap();
    let folder = topology.instance().folder();
    let config = folder.join("right.toml");
    fs::write(&config, right(&topology)).unwrap();
    // Opened here, because the way to the file may be closed to nobody.
    let binary = File::open(default_binary().unwrap()).unwrap();
    let program = format!("/proc/self/fd/{}", binary.as_raw_fd());

    let mut command = run(&topology, Path::new(&program), &config);
    become_nobody(&mut command, &binary);
    let ended = finish(&mut command, PATIENCE);
    ended.assert_one_error("no root, no folder to write to", "run dproxy as root");

    let nobody = User::from_name("nobody").unwrap().unwrap();
    chown(folder, Some(nobody.uid.as_raw()), None).unwrap();
    let mut command = run(&topology, Path::new(&program), &config);
    become_nobody(&mut command, &binary);
    let ended = finish(&mut command, PATIENCE);
    ended.assert_one_error("no root", "dproxy may not load programs into the kernel; run it as root");
    assert_nothing_happened(&topology, "no root");
}

#[test]
fn without_bpffs_it_says_how_to_mount_it() {
    if skip_without_root() {
        return;
    }
    let topology = Topology::builder("e2e-nobpffs").build().unwrap();
    let config = topology.instance().folder().join("right.toml");
    fs::write(&config, right(&topology)).unwrap();
    let mut command = run(&topology, &default_binary().unwrap(), &config);
    // SAFETY: between fork and exec only system calls are made: nothing is allocated or locked.
    unsafe { command.pre_exec(unmount_bpffs) };
    let ended = finish(&mut command, PATIENCE);
    ended.assert_one_error("bpffs not mounted", "mount one with `mount -t bpf bpf /sys/fs/bpf`");
    assert_nothing_happened(&topology, "bpffs not mounted");
}

/// Starts dproxy in a way and asks it, over both IP versions, in the absence of a fast path.
fn assert_serves_without_fast_path(topology: &Topology, command: &mut Command, why: &str) {
    let log = topology.instance().folder().join("dproxy.log");
    let output = File::create(&log).unwrap();
    let mut daemon = command.stdout(output.try_clone().unwrap()).stderr(output).spawn().unwrap();
    let socket = topology.instance().folder().join("dproxy.sock");
    let cli = |arguments: &[&str]| {
        let mut command = Command::new(default_binary().unwrap());
        let output = command.arg("--socket").arg(&socket).args(arguments).output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    wait_until("dproxy to answer on its socket", PATIENCE, || {
        let ended = daemon.try_wait().unwrap();
        assert_eq!(ended, None, "{why}: it has ended: {}", fs::read_to_string(&log).unwrap());
        cli(&["status"]).0
    });
    assert!(xdp_programs(&topology.balancer).is_empty(), "{why}: nothing is attached");
    let (_, status) = cli(&["status"]);
    let line = status.lines().find(|line| line.starts_with("fast path")).unwrap();
    let expected = format!("fast path      off, all queries take the slow path: {why}");
    assert!(line.starts_with(&expected), "one line says what serves, and why: {status}");
    for listener in listeners() {
        let mut asker = Asker::new(&topology.client.namespace, listener);
        for (name, expected) in [("x.test", "a"), ("x.dropped.test", "nxdomain")] {
            assert_eq!(asker.who(&wire_name(name)), expected, "{why}: {name} asked at {listener}");
        }
    }
    let (_, explained) = cli(&["explain", "x.test", "TXT", "--json"]);
    let explained: serde_json::Value = serde_json::from_str(&explained).unwrap();
    assert_eq!((&explained["path"], &explained["backend"]["address"]), (&"slow".into(), &B1.into()), "{why}");
    let (_, stats) = cli(&["stats", "--json"]);
    let stats: serde_json::Value = serde_json::from_str(&stats).unwrap();
    assert_eq!(stats["received"], 0, "{why}: the fast path sees nothing");
    assert_eq!(stats["slow_path"]["reasons"]["udp-replied"], 2, "{why}: {stats:#}");
    assert_eq!(stats["pools"][0]["queries"], 2, "{why}: {stats:#}");
    end(daemon.id(), Signal::SIGTERM);
    let status = wait_for("dproxy to end", PATIENCE, || daemon.try_wait().unwrap());
    assert_eq!(status.code(), Some(0), "{why}: it ends in order");
    assert!(!socket.exists(), "{why}: its socket is gone");
}

#[test]
fn without_a_fast_path_it_serves_all_the_same() {
    if skip_without_root() {
        return;
    }
    let topology = Topology::builder("e2e-slowonly").build().unwrap();
    let _servers = servers(&topology);
    let folder = topology.instance().folder();
    // As docs/operations.md says for users without rights.
    topology.balancer.set_parameters(&[("net/ipv4/ip_unprivileged_port_start", "53")]).unwrap();
    let nobody = User::from_name("nobody").unwrap().unwrap();
    let file = |mode: &str| {
        let rest = right(&topology).replace("xdp = \"native\"", &format!("xdp = \"{mode}\""));
        let path = folder.join(format!("{mode}.toml"));
        fs::write(&path, rest + "\"dropped.test\" = { answer = \"nxdomain\" }\n").unwrap();
        path
    };
    let (off, auto) = (file("off"), file("auto"));
    let binary = default_binary().unwrap();
    assert_serves_without_fast_path(&topology, &mut run(&topology, &binary, &off), "listen.xdp is \"off\"");

    let mut command = run(&topology, &binary, &auto);
    // SAFETY: between fork and exec only system calls are made: nothing is allocated or locked.
    unsafe { command.pre_exec(unmount_bpffs) };
    assert_serves_without_fast_path(&topology, &mut command, "/sys/fs/bpf/");

    let opened = File::open(&binary).unwrap();
    let program = format!("/proc/self/fd/{}", opened.as_raw_fd());
    fs::remove_file(folder.join("dproxy.sock.lock")).unwrap();
    chown(folder, Some(nobody.uid.as_raw()), None).unwrap();
    for (file, why) in [(&off, "listen.xdp is \"off\""), (&auto, "dproxy may not load programs")] {
        let mut command = run(&topology, Path::new(&program), file);
        become_nobody(&mut command, &opened);
        assert_serves_without_fast_path(&topology, &mut command, why);
    }
}

/// In a mount namespace of its own.
fn unmount_bpffs() -> io::Result<()> {
    const NONE: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)?;
    Ok(umount2("/sys/fs/bpf", MntFlags::MNT_DETACH)?)
}

fn assert_nothing_happened(topology: &Topology, title: &str) {
    let programs = xdp_programs(&topology.balancer);
    assert!(programs.is_empty(), "{title}: XDP programs are attached: {programs:?}");
    assert!(!topology.instance().folder().join("dproxy.sock").exists(), "{title}: there is a socket");
}
