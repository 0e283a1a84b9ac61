//! Replies to queries that another program has forwarded.

use dproxy_common::reason::Reason;

use super::stream::Stream;
use super::*;
use crate::datapath::kernel::HANDING_BACK;

/// The verdicts of linux/bpf.h that matter here.
const XDP_PASS: u32 = 2;
const XDP_TX: u32 = 3;
const XDP_REDIRECT: u32 = 4;

/// A kernel that serves v0, as after a start: with [`SIMPLE`] in force and all its backends reachable.
fn serve(options: &KernelOptions, compiler: &mut Compiler) -> Kernel {
    let mut kernel = Kernel::load(options).unwrap();
    let inherited = kernel.inherited();
    let mut ids = Ids::new(&options.capacity);
    inherited.backends.iter().for_each(|(id, address)| ids.restore_backend(*id, *address));
    inherited.listeners.iter().for_each(|(id, address)| ids.restore_listener(*id, *address));
    *compiler = Compiler { layout: Layout::new(ids), ..Compiler::new(options.capacity) };
    let snapshot = compiler.compile(SIMPLE);
    kernel.introduce(&snapshot.names).unwrap();
    if inherited.backends.is_empty() {
        kernel.set_next_hop(0, &next_hop()).unwrap();
        for &id in snapshot.names.backends.keys() {
            kernel.set_live(id, BackendLive::reachable(0)).unwrap();
        }
    }
    kernel.publish(snapshot.patch()).unwrap();
    kernel.attach().unwrap();
    kernel
}

/// A query as it is forwarded, turned into a reply.
fn reply_to(forwarded: &[u8]) -> Vec<u8> {
    let mut reply = forwarded.to_vec();
    for (one, other, length) in [(0, 6, 6), (26, 30, 4), (34, 36, 2)] {
        for octet in 0..length {
            reply.swap(one + octet, other + octet);
        }
    }
    reply[14 + 20 + 8 + 2] |= 0x80;
    reply
}

fn forwarded(kernel: &Kernel) -> Vec<u8> {
    let run = kernel.run(&query("example.org"), 0, 1).unwrap();
    assert!(matches!(run.verdict, XDP_TX | XDP_REDIRECT), "verdict {}", run.verdict);
    run.frame
}

/// Is this the reply to [`query`]?
fn is_for_the_client(run: &Run) -> bool {
    let asked = query("example.org");
    let (to, id) = (&run.frame[30..34], &run.frame[42..44]);
    matches!(run.verdict, XDP_TX | XDP_REDIRECT) && to == &asked[26..30] && id == &asked[42..44]
}

/// A program that goes on without its daemon, and three queries that it has forwarded.
fn left_behind() -> (KernelOptions, Compiler, Vec<Vec<u8>>) {
    let options = options(&["v0"], XdpMode::Generic);
    let mut compiler = Compiler::new(options.capacity);
    let mut kernel = serve(&options, &mut compiler);
    let frames = (0..3).map(|_| forwarded(&kernel)).collect();
    kernel.stay();
    (options, compiler, frames)
}

#[test]
fn a_successor_takes_the_replies_to_its_predecessors_queries() {
    let Some(world) = World::enter() else { return };
    let _far = world.veth("v0", "p0");
    let (options, mut compiler, frames) = left_behind();

    // More routes fit into its successor.
    let larger = KernelOptions { capacity: Capacity::for_routes(4096, 10), ..options.clone() };
    let second = serve(&larger, &mut compiler);
    assert!(second.loaded.shares_flights);
    let run = |frame: &[u8]| second.run(&reply_to(frame), 0, 1).unwrap();
    assert!(is_for_the_client(&run(&frames[0])));
    assert!(!is_for_the_client(&run(&frames[0])), "once only");
    assert!(is_for_the_client(&run(&frames[2])), "in any order");
    let counters = second.counters().unwrap();
    assert_eq!(counters.reasons[Reason::QueryForwarded as usize], 3, "the counters go on");
    assert_eq!(counters.reasons[Reason::ReplyForwarded as usize], 2);
    let leftovers = std::fs::read_dir(world::BPFFS).unwrap().count();
    assert_eq!(leftovers, 1, "nothing is left of handing the maps over: links alone are pinned");
}

#[test]
fn a_stranger_hands_replies_back_to_its_predecessor() {
    let Some(world) = World::enter() else { return };
    let _far = world.veth("v0", "p0");
    let (options, mut compiler, frames) = left_behind();

    // Its slots are others.
    let other = KernelOptions { capacity: Capacity::for_routes(1024, 11), ..options.clone() };
    let mut second = serve(&other, &mut compiler);
    assert!(!second.loaded.shares_flights);
    assert!(second.inherited().backends.is_empty());
    let own = forwarded(&second);
    assert!(is_for_the_client(&second.run(&reply_to(&own), 0, 1).unwrap()), "its own");
    for frame in &frames[..2] {
        assert!(is_for_the_client(&second.run(&reply_to(frame), 0, 1).unwrap()), "its predecessor's");
    }
    let counters = second.counters().unwrap();
    assert_eq!(counters.reasons[Reason::ReplyUnknown as usize], 2);
    assert_eq!(counters.received, counters.reasons.iter().sum::<u64>());

    // After a minute, all that may come has come.
    second.handing_back = second.handing_back.and_then(|since| since.checked_sub(HANDING_BACK));
    second.tick();
    assert_eq!(second.run(&reply_to(&frames[2]), 0, 1).unwrap().verdict, XDP_PASS);
}

#[test]
fn larger_tables_take_over_in_one_process() {
    let Some(world) = World::enter() else { return };
    let stream = Stream::new(&world, "a.b.example");
    let options = options(&["v0"], XdpMode::Auto);
    let mut kernel = Kernel::load(&options).unwrap();
    let mut compiler = Compiler::new(options.capacity);
    let refused = "[routes]\n\"b.example\" = { answer = \"refused\" }\n";
    kernel.publish(compiler.compile(refused).patch()).unwrap();
    kernel.attach().unwrap();
    let lost = stream.during(&[dproxy_common::wire::rcode::REFUSED], || {
        for power in 11..15 {
            let capacity = Capacity::for_routes(1 << power, 10);
            compiler.capacity = capacity;
            compiler.number = 0;
            kernel.enlarge(capacity, compiler.compile(refused).patch()).unwrap();
            assert_eq!(kernel.capacity(), capacity);
            // The other half has the generation too.
            kernel.settle().unwrap();
            compiler.number = 3;
            kernel.publish(compiler.compile(refused).patch()).unwrap();
        }
    });
    assert_eq!(lost, 0);
    let counters = kernel.counters().unwrap();
    let answered = counters.reasons[Reason::AnsweredRefused as usize];
    assert!(answered > 0);
    assert_eq!(counters.routes.iter().sum::<u64>(), answered, "routes go on counting");
}
