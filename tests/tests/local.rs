//! Backends on this host and those of the slow path: what the golden table does not tell.

use std::net::SocketAddr;

use dproxy_common::{
    abi::{BackendLive, DIRECT_QUERIES, Subject},
    egress::{self, Restoration},
    host::{HostPacket, HostState},
    reason::Reason,
    reply::LATE,
};
use dproxy_tests::{
    arbitrary::damage,
    cases::{self, LISTENER_V4, LISTENER_V6, LOCALS, at},
    frames::{CLIENT_MAC, Checksum, Frame, OUR_MAC, Question},
    kernel::{InKernel, in_namespace},
    machine::{Host, Machine},
    oracle::checksums_are_right,
    world::World,
};
use dproxy_userspace::control::Memory;
use proptest::{
    prelude::*,
    sample::select,
    strategy::ValueTree,
    test_runner::{Config as RunnerConfig, TestRunner},
};

/// A reply of a backend on this host to a client.
fn reply(backend: &str) -> Frame {
    let client = if at(backend).is_ipv4() { cases::CLIENT_V4 } else { cases::CLIENT_V6 };
    let question = Question { flags: 0x8583, ..Question::new("www.here.example") };
    Frame {
        to_mac: CLIENT_MAC,
        from_mac: OUR_MAC,
        hop_limit: 64,
        fragment: 0x4000,
        ..Frame::new(at(backend), at(client), question.octets())
    }
}

/// What leaves this host, by name, and the listener that it has to come from, if it is to change.
fn leaving() -> Vec<(&'static str, Frame, Option<&'static str>)> {
    let [(here, _), (too, _), (six, _)] = LOCALS;
    let (v4, other, v6) = (reply(here), reply(too), reply(six));
    let tagged = |tags: &[(u16, u16)], frame: &Frame| Frame { tags: tags.to_vec(), ..frame.clone() };
    let first = |frame: &Frame| match frame.from.is_ipv4() {
        true => Frame { fragment: 0x2000, ..frame.clone() },
        false => Frame { extensions: vec![(44, vec![0, 0, 1, 0, 0, 0, 7])], ..frame.clone() },
    };
    let query = Question::new("example").octets();
    vec![
        ("same address", v4.clone(), Some(LISTENER_V4)),
        ("other address", other.clone(), Some(LISTENER_V4)),
        ("IPv6", v6.clone(), Some(LISTENER_V6)),
        ("one tag", tagged(&[(0x8100, 7)], &other), Some(LISTENER_V4)),
        ("two tags", tagged(&[(0x88a8, 7), (0x8100, 8)], &v6), Some(LISTENER_V6)),
        ("no checksum", Frame { checksum: Checksum::Absent, ..v4.clone() }, Some(LISTENER_V4)),
        (
            "no checksum, other address",
            Frame { checksum: Checksum::Absent, ..other.clone() },
            Some(LISTENER_V4),
        ),
        ("wrong checksum", Frame { checksum: Checksum::Off(1), ..other.clone() }, Some(LISTENER_V4)),
        ("first fragment", first(&v4), Some(LISTENER_V4)),
        ("first fragment, other address", first(&other), None),
        ("later fragment", Frame { fragment: 0x00b9, ..v4.clone() }, None),
        ("first IPv6 fragment", first(&v6), Some(LISTENER_V6)),
        (
            "later IPv6 fragment",
            Frame { extensions: vec![(44, vec![0, 5, 0xa8, 0, 0, 0, 7])], ..v6.clone() },
            None,
        ),
        ("a query of the backend's own", Frame { payload: query, ..v4.clone() }, None),
        ("another port", Frame { from: at("192.0.2.53:8054"), ..v4.clone() }, None),
        ("another address", Frame { from: at("192.0.2.98:53"), ..other.clone() }, None),
        ("the listener's own", Frame { from: at(LISTENER_V4), ..v4.clone() }, None),
        ("TCP", Frame { protocol: 6, ..v4.clone() }, None),
        ("ICMP", Frame { protocol: 1, ..v4.clone() }, None),
        ("options", Frame { options: vec![1; 4], ..v4.clone() }, None),
        ("extension header", Frame { extensions: vec![(60, vec![0, 1, 4, 0, 0, 0, 0])], ..v6.clone() }, None),
        ("three tags", tagged(&[(0x88a8, 1), (0x8100, 2), (0x8100, 3)], &v4), None),
        ("11 octets", Frame { payload: v4.payload[..11].to_vec(), ..v4.clone() }, None),
    ]
}

/// What the host build says about a frame that leaves.
fn planned(tables: &Memory, frame: &[u8]) -> Option<Restoration> {
    egress::plan(&HostPacket::new(frame, 1), tables, &mut HostState::new(0, 1))
}

#[test]
fn egress_on_the_host() {
    let world = cases::world([1, 2]);
    for (name, frame, listener) in leaving() {
        let plan = planned(&world.memory(), &frame.octets());
        let restored = plan.map(|Restoration { listener, .. }| {
            SocketAddr::new(listener.address.into(), listener.port.get())
        });
        assert_eq!(restored, listener.map(at), "{name}");
        let Some(plan) = plan else { continue };
        let (listener, backend) = (plan.subject.listener, plan.subject.backend);
        assert_eq!(world.snapshot.names.listeners[&listener], restored.unwrap(), "{name}");
        assert_eq!(world.backend(backend), Some(frame.from), "{name}");
        assert_eq!(plan.subject, Subject { listener, backend, rcode: 3, ..Subject::UNKNOWN }, "{name}");
    }
}

#[test]
fn egress_in_the_kernel() {
    in_namespace("local::egress_in_the_kernel", |interfaces| {
        let world = cases::world(interfaces);
        let kernel = InKernel::new(&world).kernel;
        let mut restored = 0;
        for (name, frame, listener) in leaving() {
            let run = kernel.run_egress(&frame.octets()).unwrap();
            assert_eq!(run.verdict as i32, UNSPEC, "{name}: others may look at it too");
            let expected = listener.map_or_else(|| frame.clone(), |listener| from(&frame, listener));
            assert_eq!(run.frame, expected.octets(), "{name}");
            restored += u64::from(listener.is_some());
        }
        let counters = dproxy_userspace::datapath::Datapath::counters(&kernel).unwrap();
        let [(here, listener), ..] = LOCALS;
        let id = usize::from(world.backend_id(here));
        assert_eq!(counters.reasons[Reason::ReplyDelivered as usize], restored);
        assert_eq!(counters.received, restored, "nothing else is counted");
        assert_eq!((counters.backends[id].replies, counters.backends[id].nxdomain), (3, 3), "{here}");
        let names = &world.snapshot.names.listeners;
        let (&id, _) = names.iter().find(|(_, address)| **address == at(listener)).unwrap();
        assert_eq!(counters.listeners[usize::from(id)].responses, 7, "{listener}");
    });
}

/// `TC_ACT_UNSPEC`: on to the next program.
const UNSPEC: i32 = -1;

fn from(frame: &Frame, listener: &str) -> Frame {
    Frame { from: at(listener), ..frame.clone() }
}

#[test]
fn egress_does_in_the_kernel_what_it_plans_on_the_host() {
    in_namespace("local::egress_does_in_the_kernel_what_it_plans_on_the_host", |interfaces| {
        let world = cases::world(interfaces);
        let kernel = InKernel::new(&world).kernel;
        let (tables, mut runner) = (world.memory(), TestRunner::new(RunnerConfig::default()));
        let frames = damage(select(leaving()).prop_map(|(_, frame, _)| frame.octets()));
        let mut restored = 0;
        for _ in 0..20_000 {
            let frame = frames.new_tree(&mut runner).unwrap().current();
            // Shorter than an Ethernet and an IP header together, the kernel does not run it.
            if frame.len() < 60 {
                continue;
            }
            let run = kernel.run_egress(&frame).unwrap();
            assert_eq!(run.frame != frame, planned(&tables, &frame).is_some(), "{frame:02x?}");
            let spoilt = checksums_are_right(&frame) && !checksums_are_right(&run.frame);
            assert!(!spoilt, "a checksum is spoilt: {frame:02x?}");
            restored += u32::from(run.frame != frame);
        }
        assert!(restored > 1000, "{restored} of 20000 restored");
    });
}

/// Whoever asks a backend itself, rather than a listener, gets one response as it is; `restores` says whether
/// the machine changes a frame on its way out.
fn ask_directly<M: Machine>(machine: &mut M, interface: u32, restores: impl Fn(&mut M, &Frame) -> bool) {
    for (backend, _) in LOCALS {
        let response = reply(backend);
        let (from, to) = (response.to, response.from);
        let query = Frame { from, to, ..cases::query_v4(&Question::new("www.here.example")) };
        let id = u16::from_be_bytes([query.payload[0], query.payload[1]]);
        let with_id = |id: u16| {
            let payload = [&id.to_be_bytes(), &response.payload[2..]].concat();
            Frame { payload, ..response.clone() }
        };
        let to_port = |port| Frame { to: SocketAddr::new(response.to.ip(), port), ..response.clone() };
        let receive = |machine: &mut M, frame: &Frame| {
            let outcome = machine.receive(&frame.octets(), interface);
            assert_eq!(
                (outcome.reason, outcome.frame),
                (Reason::NotForListener, frame.octets()),
                "{backend}"
            );
        };
        let name = machine.name();
        assert!(restores(machine, &response), "{backend} on the {name}: nobody has asked it");
        receive(machine, &query);
        for other in [with_id(!id), to_port(40001)] {
            assert!(restores(machine, &other), "{backend} on the {name}: another query's {other:?}");
        }
        assert!(!restores(machine, &response), "{backend} on the {name}: it was asked");
        assert!(restores(machine, &response), "{backend} on the {name}: it was asked once");

        let (reason, subject) = machine.explain(&query.octets());
        assert_eq!((reason, subject), (Reason::NotForListener, Subject::UNKNOWN));
        assert!(restores(machine, &response), "{backend} on the {name}: only explained");
        receive(machine, &Frame { from, to, ..with_id(id) });
        assert!(restores(machine, &response), "{backend} on the {name}: that was no query");
    }
}

#[test]
fn who_asks_a_backend_itself_hears_from_it_on_the_host() {
    let world = cases::world([1, 2]);
    let restores = |host: &mut Host, frame: &Frame| {
        let packet = HostPacket::new(&frame.octets(), 1);
        egress::plan(&packet, &world.memory(), host.state()).is_some()
    };
    let mut host = Host::new(&world);
    ask_directly(&mut host, 1, restores);

    let [(backend, _), ..] = LOCALS;
    let query = Frame { to: at(backend), ..cases::query_v4(&Question::new("www.here.example")) };
    for (ticks, is_restored) in [(LATE, false), (LATE + 1, true)] {
        host.receive(&query.octets(), 1);
        host.state().ticks = host.state().ticks.wrapping_add(ticks);
        assert_eq!(restores(&mut host, &reply(backend)), is_restored, "after {ticks} ticks");
    }
    for id in 0..=u16::MAX {
        let question = Question { id, ..Question::new("www.here.example") };
        host.receive(&Frame { to: at(backend), ..cases::query_v4(&question) }.octets(), 1);
    }
    assert_eq!(host.state().direct.len(), DIRECT_QUERIES as usize, "as in the kernel");
}

#[test]
fn who_asks_a_backend_itself_hears_from_it_in_the_kernel() {
    in_namespace("local::who_asks_a_backend_itself_hears_from_it_in_the_kernel", |interfaces| {
        let mut kernel = InKernel::new(&cases::world(interfaces));
        let restores = |machine: &mut InKernel, frame: &Frame| {
            let frame = frame.octets();
            machine.kernel.run_egress(&frame).unwrap().frame != frame
        };
        ask_directly(&mut kernel, interfaces[0], restores);
    });
}

/// What becomes of a query that announces a UDP size, by the limit.
#[test]
fn what_may_come_in_fragments_is_for_the_slow_path() {
    in_namespace("local::what_may_come_in_fragments_is_for_the_slow_path", |interfaces| {
        for (limit, size, expected) in [
            ("\"off\"", 1452, Reason::QueryForwarded),
            ("\"off\"", 1453, Reason::EdnsSize),
            ("1452", 4096, Reason::QueryForwarded),
            ("1453", 1453, Reason::EdnsSize),
            ("1453", 4096, Reason::EdnsSize),
            ("4096", 1232, Reason::QueryForwarded),
            ("4096", 1500, Reason::EdnsSize),
        ] {
            let text = format!(
                "[listen]\ninterfaces = [\"client\"]\naddresses = [\"192.0.2.53\"]\nedns_udp_size = {limit}\n\
                 [pools.a]\nbackends = [\"203.0.113.1\"]\n[routes]\n\".\" = \"a\"\n"
            );
            let world = World::new(&text, interfaces);
            let frame = cases::query_v4(&Question::new("x.test").with_opt(size, true)).octets();
            let machines: [Box<dyn Machine>; 2] =
                [Box::new(Host::new(&world)), Box::new(InKernel::new(&world))];
            for mut machine in machines {
                let reason = machine.receive(&frame, interfaces[0]).reason;
                assert_eq!(reason, expected, "size {size}, limit {limit}, {}", machine.name());
            }
        }
    });
}

/// A query that takes no slot draws a random number all the same: else the next one would draw it again.
#[test]
fn a_random_policy_draws_anew_whatever_the_way() {
    let text = "[listen]\ninterfaces = [\"client\"]\naddresses = [\"192.0.2.53\"]\n[pools.a]\npolicy = \"random\"\n\
                backends = [\"203.0.113.1\", \"203.0.113.2\", \"192.0.2.53:8053\"]\n[routes]\n\".\" = \"a\"\n";
    in_namespace("local::a_random_policy_draws_anew_whatever_the_way", |interfaces| {
        let world = World::with_locals(text, interfaces, &[("192.0.2.53:8053", LISTENER_V4)]);
        let machines: [Box<dyn Machine>; 2] = [Box::new(Host::new(&world)), Box::new(InKernel::new(&world))];
        for mut machine in machines {
            machine.set_live(world.backend_id("203.0.113.2:53"), BackendLive::SLOW);
            let frame = cases::query_v4(&Question::new("x.test")).octets();
            for _ in 0..3000 {
                machine.receive(&frame, interfaces[0]);
            }
            let (counters, _) = machine.counters();
            for reason in [Reason::QueryForwarded, Reason::BackendSlowPath, Reason::QueryDelivered] {
                let count = counters.get(&reason).copied().unwrap_or_default();
                // A third, give or take six standard deviations.
                assert!((845..1155).contains(&count), "{count} {reason:?} on the {}", machine.name());
            }
        }
    });
}
