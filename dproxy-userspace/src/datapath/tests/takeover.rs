//! What is left when a process is killed, and how the next one takes it over.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;

use dproxy_common::wire::rcode::REFUSED;

use super::stream::Stream;
use super::world::ip;
use super::*;

/// Tells a process that it is one to be killed, and what it has to serve: a mode and interfaces.
const TASK: &str = "DPROXY_TEST_TASK";

/// Enters a world. In a process that is to be killed, serves instead, until it is.
fn enter() -> Option<World> {
    let Ok(task) = std::env::var(TASK) else { return World::enter() };
    let [mode, interfaces @ ..] = &task.split(' ').collect::<Vec<_>>()[..] else { panic!("no task") };
    let _kernel = serve(interfaces, mode.parse().unwrap());
    println!("serving");
    loop {
        thread::park();
    }
}

fn serve(interfaces: &[&str], mode: XdpMode) -> Kernel {
    let mut kernel = Kernel::load(&options(interfaces, mode)).unwrap();
    kernel.publish(Compiler::new(kernel.capacity()).compile(SIMPLE).patch()).unwrap();
    kernel.attach().unwrap();
    kernel
}

/// A process in this world that serves. Dropping it is `kill -9`.
struct Process(Child);

impl Process {
    fn start(task: &str) -> Self {
        // Any of these tests will do: all begin with `enter`.
        let (_, module) = module_path!().split_once("::").unwrap();
        let process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &format!("{module}::another_mode_replaces_what_is_left"), "--nocapture"])
            .env(TASK, task)
            .stdout(Stdio::piped())
            .spawn();
        let mut process = Self(process.unwrap());
        let mut lines = BufReader::new(process.0.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.ends_with("serving")), "it does not begin to serve");
        process
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn programs(interface: &str) -> Vec<(u32, XdpMode)> {
    interface::Interface::named(interface).unwrap().programs
}

/// The egress program's link, and that of XDP.
fn egress_link(interface: &str) -> Option<objects::LinkInfo> {
    let pins = Pins::open(world::BPFFS.as_ref()).unwrap();
    let index = interface::Interface::named(interface).unwrap().index;
    Some(pins::pinned(&pins.egress_path(index))?.1)
}

/// See [`egress_link`].
fn link(interface: &str) -> objects::LinkInfo {
    let pins = Pins::open(world::BPFFS.as_ref()).unwrap();
    let index = interface::Interface::named(interface).unwrap().index;
    pins::pinned(&pins.path(index)).unwrap().1
}

#[test]
fn a_killed_fast_path_goes_on_and_is_taken_over_without_a_lost_query() {
    let Some(world) = enter() else { return };
    let stream = Stream::new(&world, "example.net");
    let first = Process::start("auto v0");
    let (left, left_link, left_egress) = (programs("v0"), link("v0"), egress_link("v0").unwrap());
    let lost = stream.during(&[REFUSED], || {
        stream.wait();
        drop(first);
        stream.wait();
        assert_eq!(programs("v0"), left, "the killed process's program goes on");
        let mut kernel = Kernel::load(&options(&["v0"], XdpMode::Auto)).unwrap();
        kernel.publish(Compiler::new(kernel.capacity()).compile(SIMPLE).patch()).unwrap();
        assert_eq!(programs("v0"), left, "until the new one is attached");
        kernel.attach().unwrap();
        stream.wait();
        assert_ne!(programs("v0"), left);
        let attachment = &kernel.attachments()[0];
        assert_eq!(attachment.mode, XdpMode::Generic);
        assert!(attachment.fallback.is_some());
        assert_eq!(link("v0").id, left_link.id, "the link is the same");
        let egress = egress_link("v0").unwrap();
        assert_eq!(egress.id, left_egress.id, "the link is the same on the way out");
        assert_ne!(egress.program, left_egress.program, "and its program another one");
        assert!(kernel.counters().unwrap().received >= 1000, "the new program has the packets");
        // Killed, as it were: while there are queries, its end would lose some.
        std::mem::forget(kernel);
    });
    assert_eq!(lost, 0);
}

#[test]
fn another_mode_replaces_what_is_left() {
    let Some(world) = enter() else { return };
    let _far = world.veth("v0", "v1");
    drop(Process::start("generic v0"));
    let left = programs("v0");
    let kernel = serve(&["v0"], XdpMode::Native);
    let [(id, XdpMode::Native)] = programs("v0")[..] else { panic!("native") };
    assert_ne!(id, left[0].0);
    drop(kernel);
    assert_eq!(programs("v0"), []);
}

#[test]
fn native_that_is_left_stays_native_when_auto_takes_over() {
    let Some(_world) = enter() else { return };
    ip("tuntap add dev t0 mode tap");
    ip("link set t0 up");
    ip("link add b0 type bridge");
    drop(Process::start("native t0"));
    let before = link("t0");
    let kernel = serve(&["t0"], XdpMode::Auto);
    assert_eq!((link("t0").id, kernel.attachments()[0].mode), (before.id, XdpMode::Native));
    drop(kernel);
    // Generic that is left goes on being generic, without a gap.
    drop(Process::start("generic t0"));
    let before = link("t0");
    let kernel = serve(&["t0"], XdpMode::Auto);
    assert_eq!((link("t0").id, kernel.attachments()[0].mode), (before.id, XdpMode::Generic));
    assert!(kernel.attachments()[0].fallback.as_deref().unwrap().contains("was generic"));
}

#[test]
fn a_refused_takeover_leaves_what_was_left() {
    let Some(_world) = enter() else { return };
    ip("tuntap add dev t0 mode tap");
    ip("link set t0 up");
    ip("link add b0 type bridge");
    drop(Process::start("native t0"));
    let (left, left_egress) = (programs("t0"), egress_link("t0"));
    assert!(left_egress.is_some());
    let mut kernel = Kernel::load(&options(&["t0", "b0"], XdpMode::Native)).unwrap();
    assert!(kernel.attach().is_err(), "b0 has no native XDP");
    drop(kernel);
    assert_eq!((programs("t0"), egress_link("t0")), (left.clone(), left_egress), "its replies too");
    assert_eq!(egress_link("b0"), None);
    assert!(Kernel::load(&options(&["t0", "eth7"], XdpMode::Auto)).is_err());
    assert_eq!(programs("t0"), left);
}

#[test]
fn an_interface_that_came_again_is_attached_anew() {
    let Some(_world) = enter() else { return };
    ip("link add b0 type bridge");
    let index = interface::Interface::named("b0").unwrap().index;
    drop(Process::start("auto b0"));
    ip("link del b0");
    // The same index, so that the pin left there is in the way.
    ip(&format!("link add b0 index {index} type bridge"));
    let kernel = serve(&["b0"], XdpMode::Auto);
    assert_eq!(programs("b0").len(), 1);
    assert_eq!(link("b0").interface, index);
    assert_eq!(egress_link("b0").unwrap().interface, index);
    drop(kernel);
    assert_eq!(programs("b0"), []);
    assert_eq!(egress_link("b0"), None);
}

#[test]
fn interfaces_that_are_not_served_any_more_are_let_go() {
    let Some(world) = enter() else { return };
    let far = world.veth("v0", "v1");
    for name in ["b0", "b1", "b2"] {
        ip(&format!("link add {name} type bridge"));
    }
    // The far network has dproxies too, one alive and one killed, with the same folder for pins.
    let _alive = world.within(&far, || {
        ip("link add b7 type bridge");
        let alive = Process::start("auto v1");
        drop(Process::start("auto b7"));
        alive
    });
    drop(Process::start("auto b0 b1 b2"));
    ip("link del b1");
    let _other = Process::start("auto v0");
    let kernel = serve(&["b2"], XdpMode::Auto);
    assert_eq!((programs("b0"), egress_link("b0")), (vec![], None));
    assert_eq!(programs("b2").len(), 1);
    assert_eq!(programs("v0").len(), 1, "it is another dproxy's");
    world.within(&far, || {
        assert_eq!(programs("v1").len(), 1);
        assert_eq!(programs("b7").len(), 1);
    });
    let pins = std::fs::read_dir(format!("{}/links", world::BPFFS)).unwrap().count();
    assert_eq!(pins, 2 * 4, "b2 and v0 here, v1 and b7 there");
    drop(kernel);
}

#[test]
fn without_a_fast_path_nothing_of_one_stays() {
    let Some(_world) = enter() else { return };
    ip("link add b0 type bridge");
    drop(Process::start("auto b0"));
    assert_eq!(programs("b0").len(), 1, "a killed process's program goes on");
    let capacity = Capacity::for_routes(16, 10);
    Absent::new("listen.xdp is \"off\"", capacity, world::BPFFS).attach().unwrap();
    assert_eq!(programs("b0"), []);
    assert!(!Path::new(world::BPFFS).join("links").exists(), "nor its pins");
    Absent::new("listen.xdp is \"off\"", capacity, "/nowhere").attach().unwrap();
}

#[test]
fn a_renamed_interface_is_taken_over_too() {
    let Some(_world) = enter() else { return };
    ip("link add b0 type bridge");
    drop(Process::start("auto b0"));
    let left = link("b0");
    ip("link set b0 name b1");
    let kernel = serve(&["b1"], XdpMode::Auto);
    assert_eq!(link("b1").id, left.id);
    assert_eq!(kernel.attachments()[0].interface, "b1");
}
