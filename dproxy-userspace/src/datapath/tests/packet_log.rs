//! A line for a packet.

use std::io::{Seek, read_to_string};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use aya::maps::{Map, MapData, RingBuf};
use dproxy_common::log::{LINES, WINDOW};
use nix::sched::{CpuSet, sched_getcpu, sched_setaffinity};
use nix::unistd::Pid;
use serde_json::Value;
use tracing::dispatcher;

use super::*;

/// The shortest and the longest that a window can be: a kernel has from 100 to 1000 ticks a second.
const SHORTEST_WINDOW: Duration = Duration::from_millis(WINDOW as u64);
const LONGEST_WINDOW: Duration = Duration::from_millis(10 * WINDOW as u64);

/// What is logged about packets while a kernel, loaded with or without a log of them, is used.
fn logged(log_packets: bool, use_it: impl FnOnce(&Kernel)) -> Vec<Value> {
    logged_with(log_packets, |kernel, _| use_it(kernel))
}

fn logged_with(log_packets: bool, use_it: impl FnOnce(&mut Kernel, &mut Compiler)) -> Vec<Value> {
    let written = Arc::new(tempfile::tempfile().unwrap());
    let log = tracing_subscriber::fmt().json().flatten_event(true).with_max_level(tracing::Level::TRACE);
    let log = log.with_writer(Arc::clone(&written)).finish().into();
    dispatcher::with_default(&log, || {
        let options = KernelOptions { log_packets, ..options(&[], XdpMode::Auto) };
        let (mut kernel, mut compiler, _) = simple_with(&options);
        use_it(&mut kernel, &mut compiler);
    });
    written.as_ref().rewind().unwrap();
    let written = read_to_string(written.as_ref()).unwrap();
    let lines = written.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["target"] == "packets").collect()
}

/// All packets on one processor, since each has a budget of its own.
fn stay_on_this_processor() {
    let mut here = CpuSet::new();
    here.set(sched_getcpu().unwrap()).unwrap();
    sched_setaffinity(Pid::from_raw(0), &here).unwrap();
}

/// A frame that is dropped, and so stays as it is when it is run again and again.
fn response() -> Vec<u8> {
    let mut frame = query("example.org");
    frame[14 + 20 + 8 + 2] |= 0x80;
    frame
}

#[test]
fn a_packet_gets_a_line_that_names_what_decided() {
    let Some(_world) = World::enter() else { return };
    let [forwarded, answered, dropped] = [query("x.example.org"), query("blocked.example"), response()];
    let lines = logged(true, |kernel| {
        for frame in [&forwarded, &answered, &dropped] {
            kernel.run(frame, 0, 1).unwrap();
        }
    });
    let [first, second, third] = lines.as_slice() else { panic!("three lines, not {lines:#?}") };
    for line in &lines {
        assert_eq!(line["level"], "TRACE");
        assert_eq!(line["interface"], "lo");
        assert_eq!(line["from"], "198.51.100.7:4711");
        assert_eq!(line["listener"], "192.0.2.1:53");
        assert_eq!(line["suppressed"], Value::Null);
    }
    assert_eq!(first["message"], "query-forwarded");
    assert_eq!(first["verdict"], "forward");
    assert_eq!(first["route"], "*.example.org");
    assert_eq!(first["pool"], "two");
    let backend = first["backend"].as_str().unwrap();
    assert!(["192.0.2.20:53", "192.0.2.21:5300"].contains(&backend), "{backend}");
    assert_eq!(second["message"], "answered-nxdomain");
    assert_eq!(second["route"], "blocked.example");
    assert_eq!(second["pool"], Value::Null);
    assert_eq!(third["message"], "unexpected-response");
    assert_eq!(third["verdict"], "drop");
    assert_eq!(third["length"], dropped.len());
}

#[test]
fn a_reply_of_a_backend_on_this_host_gets_a_line_when_it_leaves() {
    let Some(_world) = World::enter() else { return };
    let backend: SocketAddr = "192.0.2.10:53".parse().unwrap();
    let listener: SocketAddr = format!("{SOURCE}:53").parse().unwrap();
    let client = "198.51.100.7:4711".parse().unwrap();
    let mut reply = query_frame(backend, client, b"\x07example\x03org\0", 1).unwrap();
    reply[14 + 20 + 8 + 2] |= 0x80;
    let lines = logged_with(true, |kernel, compiler| {
        compiler.locals.insert(backend, listener);
        kernel.publish(compiler.compile(SIMPLE).patch()).unwrap();
        kernel.run_egress(&reply).unwrap();
    });
    let [line] = lines.as_slice() else { panic!("one line, not {lines:#?}") };
    assert_eq!(line["message"], "reply-delivered");
    assert_eq!(line["from"], "192.0.2.10:53");
    assert_eq!(line["backend"], "192.0.2.10:53");
    assert_eq!(line["listener"], "192.0.2.1:53");
}

#[test]
fn a_flood_gets_few_lines_and_the_next_one_tells_of_the_others() {
    let Some(_world) = World::enter() else { return };
    const FLOOD: u32 = 10_000;
    stay_on_this_processor();
    let mut windows = 0;
    let lines = logged(true, |kernel| {
        let began = Instant::now();
        kernel.run(&response(), 0, FLOOD).unwrap();
        windows = 1 + began.elapsed().div_duration_f64(SHORTEST_WINDOW).ceil() as usize;
        sleep(LONGEST_WINDOW + Duration::from_millis(20));
        kernel.run(&response(), 0, 1).unwrap();
    });
    let suppressed: u64 = lines.iter().filter_map(|line| line["suppressed"].as_u64()).sum();
    let allowed = windows * LINES as usize + 1;
    assert!(lines.len() <= allowed, "{} lines, {allowed} allowed", lines.len());
    assert!(lines.last().unwrap()["suppressed"].as_u64() > Some(0), "{:#?}", lines.last());
    assert_eq!(lines.len() as u64 + suppressed, u64::from(FLOOD) + 1, "a packet has a line, or is told of");
}

#[test]
fn what_is_not_ours_gets_no_line_and_neither_does_a_question() {
    let Some(_world) = World::enter() else { return };
    let lines = logged(true, |kernel| {
        kernel.explain(&query("example.org"), 0).unwrap();
        kernel.run(&[0; 64], 0, 1).unwrap();
    });
    assert!(lines.is_empty(), "{lines:#?}");
}

#[test]
fn there_are_no_lines_unless_asked_for() {
    let Some(_world) = World::enter() else { return };
    let lines = logged(false, |kernel| {
        kernel.run(&response(), 0, 100).unwrap();
        let ring = MapData::from_fd(loaded::own(kernel.loaded.programs.map("AYA_LOGS").unwrap()).unwrap());
        assert!(
            RingBuf::try_from(Map::RingBuf(ring.unwrap())).unwrap().next().is_none(),
            "nor does the program write any"
        );
    });
    assert!(lines.is_empty(), "{lines:#?}");
}
