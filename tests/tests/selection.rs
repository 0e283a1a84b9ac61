//! Which backend of a pool gets a query, on the host build and in the kernel.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use dproxy_common::abi::BackendLive;
use dproxy_common::reason::Reason;
use dproxy_tests::{
    cases::at,
    frames::{Frame, Question},
    kernel::{InKernel, in_namespace},
    machine::{Host, Machine},
    world::World,
};
use nix::sched::{CpuSet, sched_getcpu, sched_setaffinity};
use nix::unistd::Pid;

const CONFIG: &str = r#"
[listen]
interfaces = ["client"]
addresses  = ["192.0.2.53"]

[pools.by-name]
backends = ["203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4"]
[pools.by-client]
hash     = "client"
backends = ["203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4"]
[pools.by-both]
hash     = "qname+client"
backends = ["203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4"]
[pools.weighted]
backends = [{ address = "203.0.113.1", weight = 1 }, { address = "203.0.113.2", weight = 2 }, { address = "203.0.113.3", weight = 7 }]
[pools.random]
policy   = "random"
backends = [{ address = "203.0.113.1", weight = 1 }, { address = "203.0.113.2", weight = 2 }, { address = "203.0.113.3", weight = 7 }]
[pools.even]
backends = ["203.0.113.1", "203.0.113.2", "203.0.113.3"]
[pools.turns]
policy   = "round-robin"
backends = [{ address = "203.0.113.1", weight = 1 }, { address = "203.0.113.2", weight = 2 }, { address = "203.0.113.3", weight = 7 }]
[pools.skewed]
backends = [{ address = "203.0.113.5", weight = 1000 }, { address = "203.0.113.6", weight = 1 }, { address = "203.0.113.7", weight = 0 }]

[routes]
"name.test"     = "by-name"
"client.test"   = "by-client"
"both.test"     = "by-both"
"weighted.test" = "weighted"
"random.test"   = "random"
"skewed.test"   = "skewed"
"even.test"     = "even"
"turns.test"    = "turns"
"#;

#[test]
fn host() {
    let world = World::new(CONFIG, [1, 2]);
    run(&world, &mut Host::new(&world));
}

#[test]
fn kernel() {
    in_namespace("selection::kernel", |interfaces| {
        // Each processor goes round by itself.
        let mut here = CpuSet::new();
        here.set(sched_getcpu().unwrap()).unwrap();
        sched_setaffinity(Pid::from_raw(0), &here).unwrap();
        let world = World::new(CONFIG, interfaces);
        run(&world, &mut InKernel::new(&world));
    });
}

/// With more dead backends than are tried in turn, some draws fail; the next query must draw anew.
#[test]
fn a_failed_draw_is_not_repeated() {
    in_namespace("selection::a_failed_draw_is_not_repeated", |interfaces| {
        let backends: Vec<String> = (1..=200).map(|last| format!("\"203.0.113.{last}\"")).collect();
        let text = format!(
            "[listen]\ninterfaces = [\"client\"]\naddresses = [\"192.0.2.53\"]\n[pools.many]\npolicy = \"random\"\n\
             backends = [{}]\n[routes]\n\".\" = \"many\"\n",
            backends.join(", ")
        );
        let world = World::new(&text, interfaces);
        let frame = Frame::new(client(1), at("192.0.2.53:53"), Question::new("x.test").octets()).octets();
        let mut machines: [Box<dyn Machine>; 2] =
            [Box::new(Host::new(&world)), Box::new(InKernel::new(&world))];
        for machine in &mut machines {
            for last in 4..=200 {
                machine.set_hop(world.backend_id(&format!("203.0.113.{last}:53")), None);
            }
            for _ in 0..1000 {
                machine.receive(&frame, interfaces[0]);
            }
            let forwarded = machine.counters().0.get(&Reason::QueryForwarded).copied().unwrap_or_default();
            assert!(
                (100..1000).contains(&forwarded),
                "{forwarded} of 1000 forwarded on the {}",
                machine.name()
            );
        }
    });
}

fn run(world: &World, machine: &mut impl Machine) {
    affinity(world, machine);
    shares(world, machine);
    withheld(world, machine);
    turns(world, machine);
    unreachable(world, machine);
}

/// The backend that gets a query for a name from a client.
fn backend(world: &World, machine: &mut impl Machine, name: &str, client: SocketAddr) -> SocketAddr {
    let frame = Frame::new(client, at("192.0.2.53:53"), Question::new(name).octets());
    let (reason, subject) = machine.explain(&frame.octets());
    assert_eq!(reason, Reason::QueryForwarded, "{name} on the {}", machine.name());
    world.backend(subject.backend).unwrap_or_else(|| panic!("no backend {}", subject.backend))
}

fn client(number: u16) -> SocketAddr {
    let [high, low] = number.to_be_bytes();
    SocketAddr::from(([198, 51, high, low], 4000 + number))
}

fn affinity(world: &World, machine: &mut impl Machine) {
    let mut distinct = |zone: &str, names: u16, clients: u16| -> BTreeSet<SocketAddr> {
        let each = (0..names).flat_map(|name| (0..clients).map(move |client| (name, client)));
        each.map(|(name, number)| backend(world, machine, &format!("n{name}.{zone}"), client(number)))
            .collect()
    };
    assert_eq!(distinct("name.test", 1, 64).len(), 1, "one name goes to one backend, whoever asks");
    assert_eq!(distinct("name.test", 64, 1).len(), 4, "many names go to all backends");
    assert_eq!(distinct("client.test", 64, 1).len(), 1, "one client goes to one backend, whatever it asks");
    assert_eq!(distinct("client.test", 1, 64).len(), 4, "many clients go to all backends");
    assert_eq!(distinct("both.test", 64, 1).len(), 4, "one client's names go to all backends");
    assert_eq!(distinct("both.test", 1, 64).len(), 4, "one name's clients go to all backends");
    let both = |machine: &mut _| backend(world, machine, "n1.both.test", client(1));
    assert_eq!(both(machine), both(machine), "one client's one name goes to one backend");
    let lower = backend(world, machine, "www.name.test", client(1));
    assert_eq!(lower, backend(world, machine, "WwW.nAmE.tEsT", client(1)), "whatever the case");
}

fn shares(world: &World, machine: &mut impl Machine) {
    const QUERIES: usize = 4000;
    for zone in ["weighted.test", "random.test"] {
        let mut counts: BTreeMap<SocketAddr, usize> = BTreeMap::new();
        for number in 0..QUERIES {
            // Explaining draws no random number; a real query moves the generator on.
            let name = format!("n{number}.{zone}");
            let frame = Frame::new(client(1), at("192.0.2.53:53"), Question::new(&name).octets());
            let chosen = backend(world, machine, &name, client(1));
            machine.receive(&frame.octets(), 1);
            *counts.entry(chosen).or_default() += 1;
        }
        for (backend, weight) in [("203.0.113.1:53", 1), ("203.0.113.2:53", 2), ("203.0.113.3:53", 7)] {
            let share = counts[&at(backend)] as f64 / QUERIES as f64;
            let fair = f64::from(weight) / 10.0;
            // Five standard deviations of a binomial distribution with this many draws.
            let slack = 5.0 * (fair * (1.0 - fair) / QUERIES as f64).sqrt() + 0.001;
            assert!(
                (share - fair).abs() < slack,
                "{zone}: {backend} has {share}, not {fair}, on the {}",
                machine.name()
            );
        }
    }
}

/// How often each backend of a pool of three gets one name's query.
fn counts(world: &World, machine: &mut impl Machine, name: &str, queries: usize) -> [usize; 3] {
    let frame = Frame::new(client(1), at("192.0.2.53:53"), Question::new(name).octets()).octets();
    let mut counts = [0; 3];
    for _ in 0..queries {
        let chosen = backend(world, machine, name, client(1));
        machine.receive(&frame, 1);
        let index = (1..=3).position(|last| at(&format!("203.0.113.{last}:53")) == chosen);
        counts[index.unwrap_or_else(|| panic!("{chosen} is none of the three"))] += 1;
    }
    counts
}

/// What is withheld goes to others, by each query anew, as long as there are others.
fn withheld(world: &World, machine: &mut impl Machine) {
    let ids = [1, 2, 3].map(|last| world.member_id("even", &format!("203.0.113.{last}:53")));
    let set = |machine: &mut dyn Machine, withheld: [u16; 3]| {
        for (id, withheld) in ids.into_iter().zip(withheld) {
            machine.set_live(id, BackendLive::SLOW.withholding(withheld));
        }
    };
    let before: Vec<_> = (0..100).map(|n| chosen(world, machine, &format!("n{n}.even.test"))).collect();
    set(machine, [0, u16::MAX, 0]);
    for (number, before) in before.iter().enumerate() {
        let after = chosen(world, machine, &format!("n{number}.even.test"));
        assert_ne!(after, at("203.0.113.2:53"), "all is withheld from it, on the {}", machine.name());
        assert!(*before == after || *before == at("203.0.113.2:53"), "the others keep their names");
    }
    set(machine, [u16::MAX; 3]);
    let all: BTreeSet<_> = (0..100).map(|n| chosen(world, machine, &format!("n{n}.even.test"))).collect();
    assert_eq!(all.len(), 3, "somebody has to get them");
    set(machine, [0; 3]);
}

/// Whom a query would go to, whatever the way.
fn chosen(world: &World, machine: &mut impl Machine, name: &str) -> SocketAddr {
    let frame = Frame::new(client(1), at("192.0.2.53:53"), Question::new(name).octets());
    let (reason, subject) = machine.explain(&frame.octets());
    assert!([Reason::QueryForwarded, Reason::BackendSlowPath].contains(&reason), "{reason:?}");
    world.backend(subject.backend).unwrap_or_else(|| panic!("no backend {}", subject.backend))
}

/// Each in its turn, as often as its weight says; also when the way of one is the slow path, whose queries are not
/// counted as the pool's.
fn turns(world: &World, machine: &mut impl Machine) {
    let name = machine.name();
    assert_eq!(counts(world, machine, "x.turns.test", 400), [40, 80, 280], "on the {name}");
    let slow = world.member_id("turns", "203.0.113.3:53");
    machine.set_live(slow, BackendLive::SLOW);
    let frame = Frame::new(client(1), at("192.0.2.53:53"), Question::new("x.turns.test").octets()).octets();
    let before = machine.counters().0;
    for _ in 0..400 {
        machine.receive(&frame, 1);
    }
    let after = machine.counters().0;
    let new = |reason| after.get(&reason).unwrap_or(&0) - before.get(&reason).unwrap_or(&0);
    assert_eq!(new(Reason::BackendSlowPath), 280, "on the {name}");
    assert_eq!(new(Reason::QueryForwarded), 120, "on the {name}");
}

fn unreachable(world: &World, machine: &mut impl Machine) {
    let id = |text: &str| world.backend_id(text);
    let before: Vec<_> =
        (0..200).map(|n| backend(world, machine, &format!("n{n}.name.test"), client(1))).collect();
    machine.set_hop(world.member_id("by-name", "203.0.113.2:53"), None);
    for (number, before) in before.iter().enumerate() {
        let after = backend(world, machine, &format!("n{number}.name.test"), client(1));
        assert_ne!(after, at("203.0.113.2:53"), "an unreachable backend gets nothing");
        if *before != at("203.0.113.2:53") {
            assert_eq!(after, *before, "the others keep their names");
        }
    }
    // The light one takes all, and the one without weight nothing.
    machine.set_hop(id("203.0.113.5:53"), None);
    for number in 0..200 {
        let chosen = backend(world, machine, &format!("n{number}.skewed.test"), client(1));
        assert_eq!(chosen, at("203.0.113.6:53"), "no query is lost while one backend can be reached");
    }
    machine.set_hop(id("203.0.113.6:53"), None);
    let frame = Frame::new(client(1), at("192.0.2.53:53"), Question::new("a.skewed.test").octets());
    assert_eq!(
        machine.explain(&frame.octets()).0,
        Reason::BackendUnresolved,
        "weight 0 gets nothing, even then"
    );
}
