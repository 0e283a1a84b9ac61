//! Random routes, names and frames: the oracle, the host build and the kernel have to agree.

use std::cell::RefCell;

use dproxy_common::reason::{Reason, Verdict};
use dproxy_tests::{
    arbitrary::{damaged_frame, query, route, world},
    cases,
    kernel::{InKernel, in_namespace},
    machine::{Host, Machine, Outcome},
    oracle,
    world::World,
};
use dproxy_userspace::config::Target;
use proptest::{
    collection::vec,
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config as RunnerConfig, TestCaseError, TestRunner},
};

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(RunnerConfig { cases, failure_persistence: None, ..RunnerConfig::default() })
}

fn expected(world: &World, frame: &[u8]) -> Option<String> {
    let name = oracle::question(frame)?;
    Some(match oracle::target(&world.config, &name) {
        Some(Target::Pool(pool)) => pool.to_string(),
        Some(Target::Answer(answer)) => format!("answered-{answer}"),
        None => "no-route".to_owned(),
    })
}

#[test]
fn host_and_oracle_agree_on_routes() {
    let strategy = (vec(route(), 0..40), vec(query(), 50));
    let outcome = runner(200).run(&strategy, |(routes, queries)| {
        let Some(world) = world(&routes) else { return Err(TestCaseError::reject("contradictory routes")) };
        let mut host = Host::new(&world);
        for query in queries {
            let frame = query.octets();
            let wanted = expected(&world, &frame).expect("a well-formed query");
            prop_assert_eq!(world.leads_to(host.explain(&frame)), wanted, "{:?}", oracle::question(&frame));
        }
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

/// What holds for any packet whatever.
fn invariants(frame: &[u8], outcome: &Outcome) -> Result<(), TestCaseError> {
    match outcome.reason.verdict() {
        Verdict::Pass | Verdict::Drop => {
            prop_assert_eq!(&outcome.frame, frame, "{:?} changed the frame", outcome.reason)
        }
        Verdict::Deliver | Verdict::Forward | Verdict::Answer => {
            // A wrong checksum stays wrong; a right one stays right.
            if oracle::checksums_are_right(frame) {
                prop_assert!(
                    oracle::checksums_are_right(&outcome.frame),
                    "{:?} spoilt a checksum",
                    outcome.reason
                );
            }
        }
        Verdict::Abort => prop_assert!(false, "a broken invariant"),
    }
    if outcome.reason.verdict() == Verdict::Answer {
        prop_assert!(outcome.frame.len() <= frame.len(), "amplified");
    }
    Ok(())
}

#[test]
fn host_keeps_its_invariants_on_damaged_frames() {
    let world = cases::world([1, 2]);
    let host = RefCell::new(Host::new(&world));
    let outcome = runner(30_000).run(&damaged_frame(), |frame| {
        let outcome = host.borrow_mut().receive(&frame, 1);
        invariants(&frame, &outcome)
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    let (counters, received) = host.borrow().counters();
    assert_eq!(
        counters.values().sum::<u64>(),
        received,
        "received = passed + forwarded + answered + dropped"
    );
}

/// A value of a strategy, for loops in which loading the program sets the pace.
fn draw<S: Strategy>(strategy: &S, runner: &mut TestRunner) -> S::Value {
    strategy.new_tree(runner).unwrap_or_else(|error| panic!("{error}")).current()
}

#[test]
fn kernel_host_and_oracle_agree_on_routes() {
    in_namespace("differential::kernel_host_and_oracle_agree_on_routes", |_| {
        let (routes, query, mut runner) = (vec(route(), 10..60), query(), runner(1));
        let worlds: Vec<World> =
            std::iter::repeat_with(|| world(&draw(&routes, &mut runner))).flatten().take(10).collect();
        let mut asked = 0;
        for world in &worlds {
            let (mut kernel, mut host) = (InKernel::new(world), Host::new(world));
            for _ in 0..2000 {
                let frame = draw(&query, &mut runner).octets();
                let wanted = expected(world, &frame).expect("a well-formed query");
                let name = oracle::question(&frame);
                assert_eq!(world.leads_to(kernel.explain(&frame)), wanted, "kernel: {name:?}");
                assert_eq!(world.leads_to(host.explain(&frame)), wanted, "host: {name:?}");
                asked += 1;
            }
        }
        println!("{asked} queries over {} tables", worlds.len());
    });
}

#[test]
fn kernel_and_host_do_the_same_to_damaged_frames() {
    in_namespace("differential::kernel_and_host_do_the_same_to_damaged_frames", |[client, backend]| {
        let world = cases::world([client, backend]);
        let (mut kernel, mut host) = (InKernel::new(&world), Host::new(&world));
        let (frames, mut runner) = (damaged_frame(), runner(1));
        for _ in 0..20_000 {
            let frame = draw(&frames, &mut runner);
            let (in_kernel, on_host) = (kernel.receive(&frame, client), host.receive(&frame, client));
            let [kernels, hosts] = [&in_kernel, &on_host].map(without_ticket);
            assert_eq!(kernels, hosts, "{frame:02x?}");
            invariants(&frame, &in_kernel).unwrap_or_else(|broken| panic!("{broken}\n{frame:02x?}"));
        }
        let (counters, received) = kernel.counters();
        assert_eq!((counters.clone(), received), host.counters(), "counters");
        assert_eq!(
            counters.values().sum::<u64>(),
            received,
            "received = passed + forwarded + answered + dropped"
        );
        println!("{received} frames, {} different ends", counters.len());
    });
}

/// An outcome but for what each machine draws at random: source port and ID of a forwarded query, and with
/// them its checksum, whose rightness [`invariants`] checks.
fn without_ticket(outcome: &Outcome) -> Outcome {
    let mut outcome = outcome.clone();
    if outcome.reason == Reason::QueryForwarded {
        // Backends are behind no tag here.
        let udp = if outcome.frame[12..14] == [8, 0] { 34 } else { 54 };
        for octets in [udp..udp + 2, udp + 6..udp + 10] {
            outcome.frame[octets].fill(0);
        }
    }
    outcome
}
