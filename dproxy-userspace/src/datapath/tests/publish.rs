//! Generations.

use std::time::Instant;

use dproxy_common::{
    reason::Reason,
    wire::rcode::{REFUSED, SERVFAIL},
};

use super::stream::Stream;
use super::*;
use crate::control::Member;

#[test]
fn a_generation_goes_to_the_half_that_is_not_in_force() {
    let Some(_world) = World::enter() else { return };
    let (mut kernel, mut compiler, _) = simple();
    compiler.number = 2;
    let error = kernel.publish(compiler.compile(SIMPLE).patch()).unwrap_err();
    assert!(error.to_string().contains("belongs into the half in force"), "{error}");
    assert_eq!(kernel.explain(&query("example.org"), 0).unwrap().generation, 1);
    compiler.number = 1;
    kernel.publish(compiler.compile(SIMPLE).patch()).unwrap();
    assert_eq!(kernel.explain(&query("example.org"), 0).unwrap().generation, 2);
}

#[test]
fn a_live_word_lasts_as_long_as_its_backend() {
    let Some(_world) = World::enter() else { return };
    let (mut kernel, mut compiler, _) = simple();
    let reason = |kernel: &Kernel, name: &str| kernel.explain(&query(name), 0).unwrap().reason().unwrap();
    let more = SIMPLE
        .replace("[routes]", "new = { backends = [\"192.0.2.30\"] }\n[routes]\n\"new.example\" = \"new\"\n");
    kernel.publish(compiler.compile(&more).patch()).unwrap();
    assert_eq!(reason(&kernel, "example.org"), Reason::QueryForwarded, "its backend is the same");
    assert_eq!(reason(&kernel, "new.example"), Reason::BackendUnresolved, "nobody has said how to reach it");

    // An id that means another backend afterwards.
    let mut snapshot = compiler.compile(&more);
    let is_meant = |at: &Member| at.address.to_string() == "192.0.2.10:53";
    let (&id, member) = snapshot.names.backends.iter_mut().find(|(_, at)| is_meant(at)).unwrap();
    member.address = "192.0.2.40:53".parse().unwrap();
    kernel.publish(snapshot.patch()).unwrap();
    assert_eq!(reason(&kernel, "example.org"), Reason::BackendUnresolved);
    kernel.set_live(id, BackendLive::reachable(0)).unwrap();
    assert_eq!(reason(&kernel, "example.org"), Reason::QueryForwarded);
    kernel.set_live(id, BackendLive::UNRESOLVED).unwrap();
    assert_eq!(reason(&kernel, "example.org"), Reason::BackendUnresolved);
}

#[test]
fn a_backend_can_be_reachable_before_its_first_generation() {
    let Some(_world) = World::enter() else { return };
    let mut kernel = Kernel::load(&options(&[], XdpMode::Auto)).unwrap();
    let snapshot = Compiler::new(kernel.capacity()).compile(SIMPLE);
    kernel.introduce(&snapshot.names).unwrap();
    kernel.set_next_hop(0, &next_hop()).unwrap();
    for &id in snapshot.names.backends.keys() {
        kernel.set_live(id, BackendLive::reachable(0)).unwrap();
    }
    kernel.publish(snapshot.patch()).unwrap();
    assert_eq!(kernel.explain(&query("example.org"), 0).unwrap().reason(), Some(Reason::QueryForwarded));
}

#[test]
fn tables_that_do_not_say_what_was_configured_do_not_get_in_force() {
    let Some(_world) = World::enter() else { return };
    let (mut kernel, mut compiler, _) = simple();
    let good = compiler.compile(SIMPLE);
    type Damage = fn(&mut Snapshot);
    let broken: [(&str, Damage); 4] = [
        ("a route's name", |snapshot| snapshot.routes[0].name[4] ^= 1 << 32),
        ("the index", |snapshot| snapshot.buckets.fill(Default::default())),
        ("the listeners", |snapshot| snapshot.destinations.fill(Default::default())),
        ("the hash base", |snapshot| snapshot.generation.powers[1] += 2),
    ];
    for (what, damage) in broken {
        let mut snapshot = good.clone();
        damage(&mut snapshot);
        let error = kernel.publish(snapshot.patch()).unwrap_err().to_string();
        assert!(error.contains("the generation before stays in force"), "{what}: {error}");
        assert_eq!(kernel.explain(&query("www.example.org"), 0).unwrap().generation, 1, "{what}");
    }
    kernel.publish(good.patch()).unwrap();
}

#[test]
fn what_is_abandoned_leaves_no_trace() {
    let Some(_world) = World::enter() else { return };
    let (mut kernel, mut compiler, _) = simple();
    let mut draft = Compiler { layout: compiler.layout.clone(), locals: BTreeMap::new(), ..compiler };
    let other = "[pools]\none = { backends = [\"192.0.2.10\"] }\n[routes]\n\"other.example\" = \"one\"\n";
    kernel.prepare(draft.compile(other).patch()).unwrap();
    kernel.abandon();
    // The idle half has to have all that a change of one name leaves as it was.
    let more = format!("{SIMPLE}\"new.example\" = {{ answer = \"nxdomain\" }}\n");
    let patch = compiler.change(SIMPLE, &kernel.held().unwrap(), &more);
    kernel.publish(patch).unwrap();
    for (name, reason) in [
        ("new.example", Reason::AnsweredNxdomain),
        ("blocked.example", Reason::AnsweredNxdomain),
        ("www.example.org", Reason::QueryForwarded),
    ] {
        let explained = kernel.explain(&query(name), 0).unwrap();
        assert_eq!((explained.generation, explained.reason()), (2, Some(reason)), "{name}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let Some(_world) = World::enter() else { return };
    let (mut kernel, mut compiler, _) = simple();
    let mut snapshot = compiler.compile(SIMPLE);
    snapshot.routes.resize(1025, Default::default());
    let error = kernel.publish(snapshot.patch()).unwrap_err().to_string();
    assert_eq!(error, "1025 routes do not fit into a table for 1024");
    assert!(kernel.set_live(16384, BackendLive::UNRESOLVED).is_err());
    assert!(kernel.set_next_hop(16384, &next_hop()).is_err());
    assert!(kernel.set_next_hop(16383, &next_hop()).is_ok());
}

#[test]
fn generations_change_under_traffic_and_at_once() {
    let Some(world) = World::enter() else { return };
    let stream = Stream::new(&world, "a.b.example");
    let mut kernel = Kernel::load(&options(&["v0"], XdpMode::Auto)).unwrap();
    let mut compiler = Compiler::new(kernel.capacity());
    let answer = |answer: &str| format!("[routes]\n\"b.example\" = {{ answer = \"{answer}\" }}\n");
    // Two generations that have nothing in common but the listeners.
    let mut others = answer("servfail");
    for other in 0..900 {
        others += &format!("\"{other}.a.b.c.example\" = {{ answer = \"nxdomain\" }}\n");
    }
    kernel.publish(compiler.compile(&answer("refused")).patch()).unwrap();
    kernel.attach().unwrap();
    let lost = stream.during(&[REFUSED, SERVFAIL], || {
        for _ in 0..30 {
            kernel.publish(compiler.compile(&others).patch()).unwrap();
            assert_eq!(
                kernel.explain(&query("a.b.example"), 0).unwrap().reason(),
                Some(Reason::AnsweredServfail)
            );
            kernel.publish(compiler.compile(&answer("refused")).patch()).unwrap();
        }
    });
    assert_eq!(lost, 0);
    let again = [others, answer("refused"), answer("servfail")];
    for (rest, rcode) in again.iter().zip([SERVFAIL, REFUSED, SERVFAIL]) {
        kernel.publish(compiler.compile(rest).patch()).unwrap();
        assert_eq!(stream.ask(), Some(rcode), "the next query sees it");
    }
    let counters = kernel.counters().unwrap();
    let answered =
        [Reason::AnsweredRefused, Reason::AnsweredServfail].map(|reason| counters.reasons[reason as usize]);
    assert_eq!(counters.reasons[Reason::NoRoute as usize], 0);
    let responses: u64 = counters.listeners.iter().map(|listener| listener.responses).sum();
    assert_eq!(answered.iter().sum::<u64>(), responses);
}

#[test]
fn sixteen_thousand_routes_take_milliseconds() {
    let Some(_world) = World::enter() else { return };
    let capacity = Capacity::for_routes(16384, 16);
    let began = Instant::now();
    let mut kernel = Kernel::load(&KernelOptions { capacity, ..options(&[], XdpMode::Auto) }).unwrap();
    println!("loading takes {:?}", began.elapsed());
    let mut compiler = Compiler::new(capacity);
    let mut rest = String::from("[pools]\none = { backends = [\"192.0.2.10\"] }\n[routes]\n");
    for route in 0..16384 {
        rest += &format!("\"n{route}.example\" = \"one\"\n");
    }
    for _ in 0..4 {
        let snapshot = compiler.compile(&rest);
        let began = Instant::now();
        kernel.publish(snapshot.patch()).unwrap();
        let all = began.elapsed();
        let (patch, idle) = (snapshot.patch(), kernel.idle());
        kernel.settle().unwrap();
        let began = Instant::now();
        kernel.loaded.fill(&patch).unwrap();
        let filling = began.elapsed();
        let began = Instant::now();
        let ask = |frame: &[u8]| kernel.explain(frame, 0);
        verify::verify(&patch, ask).unwrap();
        let verifying = began.elapsed();
        let began = Instant::now();
        kernel.loaded.wait_for_readers(idle).unwrap();
        println!(
            "publishing {all:?}; filling {filling:?}, asking {verifying:?}, waiting for readers {:?}",
            began.elapsed()
        );
    }
    let answer = kernel.explain(&query("x.n4711.example"), 0).unwrap();
    assert!(answer.subject.route < 16384);
    let began = Instant::now();
    let counters = kernel.counters().unwrap();
    println!("counters of {} routes take {:?}", counters.routes.len(), began.elapsed());
}
