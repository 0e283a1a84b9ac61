//! The small internet by itself, without dproxy: what is built is connected, and goes away.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use dproxy_lab::dns::rr::{Name, RecordType};
use dproxy_lab::{
    Instance, LISTENERS, Namespace, Question, Server, SyntheticZone, Topology, run, skip_without_root,
};

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn start_server(namespace: &Namespace, server: &str, addresses: &[SocketAddr]) -> Server {
    let zone = Arc::new(SyntheticZone::new(name("cryo.test.")));
    Server::start(namespace, server, addresses, zone).unwrap()
}

/// Asks every backend directly, and a server on the listener addresses, over IPv4 and IPv6.
fn assert_connected(topology: &Topology) {
    let mut servers = Vec::new();
    for (number, backend) in topology.backends.iter().enumerate() {
        servers.push(start_server(&backend.namespace, &format!("b{number}"), &backend.sockets(53)));
    }
    let listeners = LISTENERS.map(|address| SocketAddr::from((address, 53)));
    servers.push(start_server(&topology.balancer, "listener", &listeners));

    for server in &servers {
        for address in server.addresses() {
            let question = Question::new(name("whoami.cryo.test."), RecordType::TXT);
            let reply = question.ask(&topology.client.namespace, *address).unwrap();
            let answer = &reply.message.answers[0].data;
            assert_eq!(answer.to_string(), server.name(), "asked {address}");
        }
        assert_eq!(server.queries().udp, 2);
    }
}

/// A namespace in place of what a killed test may have left.
fn fresh_namespace(name: &str) -> Namespace {
    Namespace::remove(name).unwrap();
    Namespace::create(name).unwrap()
}

fn exists(namespace: &str) -> bool {
    Path::new("/run/netns").join(namespace).exists()
}

#[test]
fn every_host_has_its_own_line() {
    if skip_without_root() {
        return;
    }
    let topology = Topology::builder("lab-lines").build().unwrap();
    assert_eq!(topology.interfaces(), ["client", "backend1", "backend2", "backend3"]);
    assert_connected(&topology);
}

#[test]
fn client_and_backend1_share_an_interface() {
    if skip_without_root() {
        return;
    }
    let topology = Topology::builder("lab-shared").shared_interface().build().unwrap();
    assert_eq!(topology.interfaces(), ["lan", "backend2", "backend3"]);
    assert_connected(&topology);
}

#[test]
fn nothing_stays() {
    if skip_without_root() {
        return;
    }
    let topology = Topology::builder("lab-gone").shared_interface().build().unwrap();
    let folder = topology.instance().folder().to_owned();
    let namespaces = ["client", "balancer", "switch", "backend1", "backend2", "backend3"];
    let namespaces = namespaces.map(|role| format!("lab-gone-{role}"));
    assert!(folder.exists());
    assert!(namespaces.iter().all(|namespace| exists(namespace)));

    drop(topology);
    assert!(!folder.exists() && !folder.with_extension("lock").exists());
    assert!(!namespaces.iter().any(|namespace| exists(namespace)));
}

#[test]
fn a_second_lab_of_a_name_is_refused_and_the_first_unharmed() {
    if skip_without_root() {
        return;
    }
    let topology = Topology::builder("lab-twice").build().unwrap();
    let error = Topology::builder("lab-twice").build().unwrap_err().to_string();
    assert!(error.contains(&format!("pid {}", std::process::id())), "{error}");
    assert_connected(&topology);

    drop(topology);
    drop(Topology::builder("lab-twice").build().unwrap());
}

#[test]
fn a_name_that_is_not_fit_is_refused() {
    for prefix in ["", "..", "a/b", "Lab"] {
        let error = Instance::claim(prefix).unwrap_err().to_string();
        assert!(error.contains("may only have"), "{error}");
    }
}

#[test]
fn the_remains_of_a_killed_lab_are_removed() {
    if skip_without_root() {
        return;
    }
    let remains = ["lab-remains-client", "lab-remains-backend2"].map(fresh_namespace);
    remains[0].add_veth("eth0", &remains[1], "eth0").unwrap();
    // Unlike a command of ours, this one outlives who started it.
    let mut inhabitant = Command::new("ip")
        .args(["netns", "exec", "lab-remains-client", "sleep", "1000"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_until(|| lives_in(inhabitant.id(), "lab-remains-client"));
    remains.into_iter().for_each(std::mem::forget);

    let topology = Topology::builder("lab-remains").build().unwrap();
    assert!(!inhabitant.wait().unwrap().success());
    assert_connected(&topology);
}

#[test]
fn a_name_for_the_whole_machine_is_removed_without_harm() {
    if skip_without_root() {
        return;
    }
    let own = std::process::id().to_string();
    run(Command::new("ip").args(["netns", "attach", "lab-machine", &own])).unwrap();
    let mut bystander = Command::new("sleep").arg("1000").stdout(Stdio::null()).spawn().unwrap();
    Namespace::remove("lab-machine").unwrap();
    assert!(!exists("lab-machine"));
    assert_eq!(bystander.try_wait().unwrap(), None);
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

#[test]
fn commands_run_inside_and_die_with_their_parent() {
    if skip_without_root() {
        return;
    }
    let namespace = fresh_namespace("lab-command");
    let spawn = || namespace.command("sleep").arg("1000").spawn().unwrap();
    let mut child = thread::scope(|scope| {
        let parent = scope.spawn(|| {
            let child = spawn();
            assert!(lives_in(child.id(), "lab-command"));
            child
        });
        parent.join().unwrap()
    });
    wait_until(|| child.try_wait().unwrap().is_some());
}

#[test]
fn xdp_pass_is_native_and_leaves() {
    if skip_without_root() {
        return;
    }
    let [here, there] = ["lab-pass-here", "lab-pass-there"].map(fresh_namespace);
    here.add_veth("eth0", &there, "eth0").unwrap();
    let pass = dproxy_lab::XdpPass::attach(&there, "eth0").unwrap();
    let show = || {
        let output = there.command("ip").args(["-d", "link", "show", "eth0"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(show().contains(" xdp "), "generic XDP shows as xdpgeneric: {}", show());
    drop(pass);
    assert!(!show().contains("xdp"), "{}", show());

    let error = dproxy_lab::XdpPass::attach(&there, "eth9").unwrap_err();
    assert!(format!("{error:#}").contains("eth9 in lab-pass-there"), "{error:#}");
}

fn lives_in(process: u32, namespace: &str) -> bool {
    let identity = |path: String| {
        let metadata = std::fs::metadata(path).ok()?;
        Some(std::os::unix::fs::MetadataExt::ino(&metadata))
    };
    identity(format!("/proc/{process}/ns/net")) == identity(format!("/run/netns/{namespace}"))
}

fn wait_until(condition: impl FnMut() -> bool) {
    let start = Instant::now();
    let mut condition = condition;
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(5), "waited in vain");
        thread::sleep(Duration::from_millis(10));
    }
}
