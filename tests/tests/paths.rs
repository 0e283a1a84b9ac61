//! Both paths: for the same query and generation, the kernel, the host build and the slow path choose the same
//! route, pool and backend.

use std::net::SocketAddr;
use std::sync::Arc;

use dproxy_common::abi::{BackendLive, NO_ID, Subject};
use dproxy_common::reason::{Reason, Verdict};
use dproxy_tests::{
    arbitrary::{damaged_frame, query, random_world},
    cases::CONFIG,
    kernel::{InKernel, in_namespace},
    machine::{Host, Machine},
    oracle,
    world::World,
};
use dproxy_userspace::slow_path::{Asked, Decider, Decision, View};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};

/// The slow path's decision, as a fast path would have ended.
struct SlowPath<'w> {
    world: &'w World,
    view: View,
    decider: Decider,
}

impl<'w> SlowPath<'w> {
    fn new(world: &'w World) -> Self {
        let view = View::of(
            &world.config,
            world.snapshot.clone().into(),
            Arc::new(world.snapshot.names.clone()),
            |_| BackendLive::reachable(0),
        );
        Self { world, view, decider: Decider::new(1) }
    }

    /// Where a frame's message leads, and whom it concerns.
    fn decide(&mut self, message: &[u8], client: SocketAddr, listener: u16) -> (String, Option<Subject>) {
        match self.decider.decide(&self.view, &Asked { message, client, listener, over_tcp: false }) {
            Decision::Forward(forward) => {
                let pool = self.world.snapshot.names.pools[&forward.subject.pool].clone();
                assert_eq!(Some(forward.address), self.world.backend(forward.subject.backend));
                (pool, Some(forward.subject))
            }
            Decision::Answer(response) => (response.reason.label().to_owned(), Some(response.subject)),
            Decision::Drop(reason, subject) => (reason.label().to_owned(), Some(subject)),
        }
    }
}

/// The pool that the packet path sends a query to, be it through the slow path; else the reason for something
/// else.
fn leads_to(world: &World, (reason, subject): (Reason, Subject)) -> String {
    let is_left = matches!(reason, Reason::BackendSlowPath | Reason::PoolSlowPath | Reason::EdnsSize);
    let reason = if is_left { Reason::QueryForwarded } else { reason };
    world.leads_to((reason, subject)).to_owned()
}

/// The same, if the packet path has chosen a backend at all.
fn same(fast: Subject, slow: Subject) -> bool {
    let backend = if fast.backend == NO_ID { NO_ID } else { slow.backend };
    fast == Subject { backend, ..slow }
}

/// A policy that draws at random has no choice to compare.
fn comparable(world: &World, subject: Subject) -> Subject {
    let is_random = world.snapshot.names.pools.get(&subject.pool).is_some_and(|pool| pool == "b");
    if is_random { Subject { backend: 0, ..subject } } else { subject }
}

fn draw<S: Strategy>(strategy: &S, runner: &mut TestRunner) -> S::Value {
    strategy.new_tree(runner).unwrap_or_else(|error| panic!("{error}")).current()
}

#[test]
fn one_hundred_thousand_queries_go_the_same_way_on_both() {
    in_namespace("paths::one_hundred_thousand_queries_go_the_same_way_on_both", |_| {
        let (query, mut runner) = (query(), TestRunner::deterministic());
        let mut asked = 0;
        for _ in 0..10 {
            let world = random_world(&mut runner);
            let (mut kernel, mut host, mut slow) =
                (InKernel::new(&world), Host::new(&world), SlowPath::new(&world));
            for _ in 0..10_000 {
                let frame = draw(&query, &mut runner).octets();
                let (client, message) = oracle::datagram(&frame).expect("UDP");
                let in_kernel = kernel.explain(&frame);
                let on_host = host.explain(&frame);
                let fast = (leads_to(&world, in_kernel), comparable(&world, in_kernel.1));
                let name = oracle::question(&frame);
                assert_eq!(fast.0, leads_to(&world, on_host), "host: {name:?}");
                assert_eq!(fast.1, comparable(&world, on_host.1), "host: {name:?}");
                let (led_to, subject) = slow.decide(message, client, in_kernel.1.listener);
                let subject = comparable(&world, subject.expect("well-formed queries are not dropped"));
                assert_eq!(led_to, fast.0, "slow path: {name:?}");
                assert!(same(fast.1, subject), "slow path: {name:?}: {subject:?}, not {:?}", fast.1);
                asked += 1;
            }
        }
        println!("{asked} queries over 10 tables");
    });
}

#[test]
fn of_damaged_packets_what_one_path_takes_the_other_takes_alike() {
    let world = World::new(CONFIG, [1, 2]);
    let (mut host, mut slow) = (Host::new(&world), SlowPath::new(&world));
    let (frames, mut runner) = (damaged_frame(), TestRunner::deterministic());
    let mut taken = 0;
    for _ in 0..100_000 {
        let frame = draw(&frames, &mut runner);
        let (reason, subject) = host.explain(&frame);
        let is_taken = matches!(reason.verdict(), Verdict::Answer) || reason == Reason::QueryForwarded;
        let is_ill = matches!(reason, Reason::RouteDrop | Reason::BadName | Reason::QuestionCut);
        if !is_taken && !is_ill {
            continue;
        }
        let (client, message) = oracle::datagram(&frame).unwrap_or_else(|| panic!("{frame:02x?}"));
        let (led_to, decided) = slow.decide(message, client, subject.listener);
        assert_eq!(led_to, leads_to(&world, (reason, subject)), "{frame:02x?}");
        if is_taken {
            let decided = decided.map(|decided| (decided.route, decided.pool));
            assert_eq!(decided, Some((subject.route, subject.pool)), "{frame:02x?}");
        }
        taken += 1;
    }
    println!("{taken} of 100,000 damaged packets got as far as a route");
    assert!(taken > 10_000, "too few: {taken}");
}

#[test]
fn answers_are_the_same_octets_on_both() {
    let world = World::new(CONFIG, [1, 2]);
    let (mut host, mut slow) = (Host::new(&world), SlowPath::new(&world));
    let mut compared = 0;
    for case in dproxy_tests::cases::cases() {
        let outcome = host.receive(&case.frame, 1);
        if outcome.reason.verdict() != Verdict::Answer {
            continue;
        }
        let (client, message) = oracle::datagram(&case.frame).unwrap();
        let (_, answer) = oracle::datagram(&outcome.frame).unwrap();
        let asked = Asked { message, client, listener: 0, over_tcp: false };
        let Decision::Answer(response) = slow.decider.decide(&slow.view, &asked) else {
            panic!("{:?}: the slow path does not answer", outcome.reason);
        };
        let mut made = Vec::new();
        response.write(message, &mut made);
        assert_eq!(made, answer, "{:?}", outcome.reason);
        compared += 1;
    }
    assert!(compared > 10, "only {compared} answers");
}
