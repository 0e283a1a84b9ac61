//! Where routes and their counters are.

use super::*;

/// How many of the routes are not at their counter's place.
fn misplaced(halves: &Halves) -> usize {
    let routes = &halves.halves[halves.in_force()].routes;
    let first = |route: &dproxy_common::abi::Route| {
        if route.at.target.is_some() { route.at.route } else { route.below.route }
    };
    (0..).zip(routes).filter(|(place, route)| first(route) != *place).count()
}

fn routes(numbers: impl Iterator<Item = u32>) -> Change {
    let blue = || Some(Target::from_word("blue"));
    let routes = numbers.map(|number| (format!("n{number:04}.example").parse().unwrap(), blue()));
    Change { routes: routes.collect(), ..Change::default() }
}

#[test]
fn a_route_has_the_place_of_its_counter() {
    let mut halves = Halves::new(config(&["blue"]), Capacity::for_routes(4096, 10));
    // The first ones; more than there were, so that the tables are built anew; few, that are added.
    let changes = [routes((0..100).map(|n| 7 * n)), routes((0..1000).map(|n| 2 * n)), routes(901..1000)];
    for (change, is_built) in changes.into_iter().zip([true, true, false]) {
        halves.make(&change).unwrap();
        let patch = halves.last.as_ref().unwrap();
        assert_eq!(matches!(patch.routes, Rows::All(_)), is_built);
        assert_eq!(misplaced(&halves), 0);
    }
}

#[test]
fn backends_count_in_each_of_their_pools() {
    let mut halves = Halves::new(config(&["blue", "green"]), Capacity::for_routes(64, 10));
    halves.capacity.backend_ids = 2;
    let pools = [("third".to_owned(), Some(halves.config.pools["blue"].clone()))];
    let error = halves.make(&Change { pools: pools.into_iter().collect(), ..Change::default() }).unwrap_err();
    assert!(
        matches!(error, CompileError::TooMany { has: 3, limit: 2, .. }),
        "the address is known, but not as a member of that pool: {error}"
    );
}
