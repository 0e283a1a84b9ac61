//! Asking the loaded program.

use dproxy_common::{
    abi::{NO_ID, NO_ROUTE, Processor, Slot},
    reason::Reason,
    wire::Be16,
};

use std::os::fd::AsFd;

use super::*;
use crate::datapath::table::Table;

const XDP_TX: u32 = 3;
const XDP_REDIRECT: u32 = 4;

/// All that the program may change: every counter, every slot, and where the next one is.
type State = (Counters, Vec<Slot>, Vec<u64>);

fn state(kernel: &Kernel) -> State {
    let slots = (0..1 << kernel.capacity().slot_bits).map(|index| kernel.slot(index).unwrap()).collect();
    let processors = kernel.loaded.settings.processors;
    let mut words = vec![];
    for (map, count) in [("NEXT_CHUNK", 1), ("PROCESSORS", processors * size_of::<Processor>() as u32 / 8)] {
        let table = Table::<u64>::map(kernel.loaded.programs.map(map).unwrap(), count).unwrap();
        words.extend((0..count).map(|word| table.read(word).unwrap()));
    }
    (kernel.counters().unwrap(), slots, words)
}

#[test]
fn explaining_names_what_decides() {
    let Some(_world) = World::enter() else { return };
    let (kernel, _, snapshot) = simple();
    let route = |id: u32| snapshot.route_names.get(&id).map(ToString::to_string);
    let pool = |id: u16| snapshot.names.pools.get(&id).map(String::as_str);
    for (name, reason, expected_route, expected_pool) in [
        ("example.org", Reason::QueryForwarded, Some("example.org"), Some("one")),
        ("www.example.org", Reason::QueryForwarded, Some("=www.example.org"), Some("two")),
        ("x.www.example.org", Reason::QueryForwarded, Some("*.example.org"), Some("two")),
        ("a.blocked.example", Reason::AnsweredNxdomain, Some("blocked.example"), None),
        ("example.net", Reason::NoRoute, None, None),
        (".", Reason::NoRoute, None, None),
    ] {
        let answer = kernel.explain(&query(name), 0).unwrap();
        assert_eq!(answer.reason(), Some(reason), "{name}");
        assert_eq!(route(answer.subject.route).as_deref(), expected_route, "{name}");
        assert_eq!(pool(answer.subject.pool), expected_pool, "{name}");
        assert_eq!(answer.generation, 1, "{name}");
        assert_eq!(answer.subject.backend == NO_ID, expected_pool.is_none(), "{name}");
        assert_eq!(answer.subject.route == NO_ROUTE, expected_route.is_none(), "{name}");
    }
}

#[test]
fn explaining_leaves_everything_as_it_was() {
    let Some(_world) = World::enter() else { return };
    let (kernel, _, _) = simple();
    let names = ["example.org", "www.example.org", "blocked.example", "example.net"];
    // Something to be left as it was.
    for name in names {
        kernel.run(&query(name), 0, 1).unwrap();
    }
    let before = state(&kernel);
    assert_eq!(before.0.received, 4);
    for _ in 0..500 {
        for name in names {
            kernel.explain(&query(name), 0).unwrap();
        }
        kernel.explain(&[0; 60], 0).unwrap();
    }
    assert_eq!(state(&kernel), before);
    kernel.run(&query("example.org"), 0, 1).unwrap();
    assert_ne!(state(&kernel), before, "a run that is no question changes something");
}

#[test]
fn without_the_key_a_question_is_a_packet() {
    let Some(_world) = World::enter() else { return };
    let (kernel, _, _) = simple();
    let program = kernel.loaded.programs.xdp.as_fd();
    let question = Explain::question(kernel.loaded.settings.explain_key ^ 1, 0);
    assert!(ask::explain(program, question, &query("example.org")).is_err());
    assert!(kernel.counters().unwrap().received > 0);
}

#[test]
fn a_run_forwards_counts_and_takes_a_slot() {
    let Some(_world) = World::enter() else { return };
    let (kernel, _, snapshot) = simple();
    let run = kernel.run(&query("www.example.org"), 0, 1).unwrap();
    assert_eq!(run.verdict, XDP_TX, "the next hop is on the interface of the run, the loopback");
    assert_eq!(run.frame.len(), query("www.example.org").len());
    let counters = kernel.counters().unwrap();
    assert_eq!(counters.reasons[Reason::QueryForwarded as usize], 1);
    assert_eq!(counters.reasons.iter().sum::<u64>(), 1);
    assert_eq!(counters.routes.iter().sum::<u64>(), 1);
    assert_eq!(counters.backends.iter().map(|backend| backend.queries).sum::<u64>(), 1);
    let (port, id) = ([run.frame[34], run.frame[35]], [run.frame[42], run.frame[43]]);
    let port = Be16::new(u16::from_be_bytes(port));
    let (slot, token) = dproxy_common::nat::decode(&kernel.nat(), port, u16::from_ne_bytes(id));
    let slot = kernel.slot(slot).unwrap();
    assert_eq!(slot.word.token(), token);
    assert_eq!(slot.client_port.get(), 4711);
    assert!(snapshot.names.backends.contains_key(&slot.backend));
}

#[test]
fn a_run_is_on_the_interface_that_it_is_told() {
    let Some(_world) = World::enter() else { return };
    world::ip("link add b0 type bridge");
    let bridge = interface::Interface::named("b0").unwrap().index;
    let (kernel, _, _) = simple();
    assert_eq!(kernel.run(&query("example.org"), bridge, 1).unwrap().verdict, XDP_REDIRECT);
    assert_eq!(kernel.run(&query("example.net"), bridge, 1).unwrap().verdict, XDP_TX, "an answer goes back");
    assert!(kernel.run(&query("example.org"), bridge + 1, 1).is_err());
    kernel.run(&query("example.net"), 0, 1000).unwrap();
    assert_eq!(kernel.counters().unwrap().received, 1002);
}

#[test]
fn the_verifier_tells_how_much_it_has_looked_at() {
    let Some(_world) = World::enter() else { return };
    let (kernel, _, _) = simple();
    let looked_at = kernel.programs()[0].verified_instructions.unwrap();
    println!("{looked_at} verified instructions");
    assert!(looked_at > 1000);
}
