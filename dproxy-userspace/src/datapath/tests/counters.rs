//! Counters.

use std::time::Instant;

use dproxy_common::reason::Reason;

use super::*;
use crate::control::Member;

#[test]
fn counters_add_up_and_are_cleared_one_by_one() {
    let Some(_world) = World::enter() else { return };
    let (mut kernel, _, snapshot) = simple();
    for (name, times) in [("example.org", 3), ("blocked.example", 2), ("example.net", 1)] {
        for _ in 0..times {
            kernel.run(&query(name), 0, 1).unwrap();
        }
    }
    kernel.run(&[0; 60], 0, 1).unwrap();
    let route =
        |name: &str| *snapshot.route_names.iter().find(|(_, route)| route.to_string() == name).unwrap().0;
    let listener = *snapshot.names.listeners.iter().find(|(_, at)| at.is_ipv4()).unwrap().0;
    let pool = *snapshot.names.pools.iter().find(|(_, name)| *name == "one").unwrap().0;

    let counters = kernel.counters().unwrap();
    assert_eq!(counters.received, 7);
    assert_eq!(counters.reasons.len(), Reason::COUNT);
    assert_eq!(counters.reasons.iter().sum::<u64>(), 7);
    for (reason, times) in
        [(Reason::QueryForwarded, 3), (Reason::AnsweredNxdomain, 2), (Reason::NoRoute, 1), (Reason::NotIp, 1)]
    {
        assert_eq!(counters.reasons[reason as usize], times, "{reason:?}");
    }
    assert_eq!(counters.routes[route("example.org") as usize], 3);
    assert_eq!(counters.routes[route("blocked.example") as usize], 2);
    assert_eq!(counters.pools[usize::from(pool)], 3);
    assert_eq!(counters.listeners[usize::from(listener)], ListenerCounters { queries: 6, responses: 3 });
    assert_eq!(counters.backends.iter().map(|backend| backend.queries).sum::<u64>(), 3);
    assert_eq!(counters.slots_overwritten, 0);
    let in_use =
        [counters.listeners.len(), counters.routes.len(), counters.pools.len(), counters.backends.len()];
    assert_eq!(in_use, [2, 4, 2, 3]);

    kernel.clear(CounterId::Route(route("example.org"))).unwrap();
    kernel.clear(CounterId::Listener(listener)).unwrap();
    kernel.clear(CounterId::Pool(pool)).unwrap();
    for &id in snapshot.names.backends.keys() {
        kernel.clear(CounterId::Backend(id)).unwrap();
    }
    let mut expected = counters;
    expected.routes[route("example.org") as usize] = 0;
    expected.listeners[usize::from(listener)] = ListenerCounters::default();
    expected.pools[usize::from(pool)] = 0;
    expected.backends.fill(BackendCounters::default());
    expected.latencies.fill(Latencies::default());
    assert_eq!(kernel.counters().unwrap(), expected);
    assert!(kernel.clear(CounterId::Route(1 << 20)).is_err());
}

#[test]
fn all_ids_can_be_read_in_batches() {
    let Some(_world) = World::enter() else { return };
    let (mut kernel, _, mut snapshot) = simple();
    let pool = *snapshot.names.pools.keys().next().unwrap();
    // As if all ids had been in use.
    let capacity = kernel.capacity();
    snapshot.routes[0].at.route = capacity.route_ids - 1;
    let last = Member { pool, address: "192.0.2.99:53".parse().unwrap() };
    snapshot.names.backends.insert(capacity.backend_ids as u16 - 1, last);
    let few = Instant::now();
    kernel.counters().unwrap();
    let few = few.elapsed();
    kernel.loaded.counters.use_ids(&snapshot.patch());
    kernel.run(&query("example.org"), 0, 1).unwrap();
    let all = Instant::now();
    let counters = kernel.counters().unwrap();
    println!("counters in use take {few:?}, all of them {:?}", all.elapsed());
    assert_eq!(counters.routes.len(), capacity.route_ids as usize);
    assert_eq!(counters.backends.len(), capacity.backend_ids as usize);
    assert_eq!(counters.routes.iter().sum::<u64>(), 1);
    assert_eq!(counters.backends.iter().map(|backend| backend.queries).sum::<u64>(), 1);
}
