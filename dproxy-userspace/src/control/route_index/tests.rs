//! Each name is found where it was put, and no other.

use std::collections::BTreeSet;

use proptest::prelude::*;

use dproxy_common::abi::{MAX_DEPTHS, Target};

use super::*;
use crate::control::{Snapshot, tests::packet_path};

/// In an index this small, entries get into each other's way.
const SMALL: u32 = 64;

fn name(number: u32) -> Name {
    format!("n{number}.example").parse().unwrap()
}

/// Leads to the route of this number.
fn lead(number: u32) -> RouteTarget {
    RouteTarget { route: number, target: Target::pool(0), kind: 3 }
}

/// Tables with routes for these names.
fn tables(numbers: &[u32], buckets: u32) -> Option<Snapshot> {
    let names: Vec<Name> = numbers.iter().copied().map(name).collect();
    let named = names.iter().zip(numbers).map(|(name, &number)| (name, lead(number), lead(number)));
    let named: Vec<_> = named.collect();
    let (powers, index) = build(&named, buckets)?;
    let mut tables = Snapshot::empty();
    tables.generation.powers = powers;
    tables.generation.bucket_mask = buckets - 1;
    tables.generation.depths = [0; MAX_DEPTHS];
    tables.generation.depths[0] = 2;
    tables.buckets = index;
    tables.routes = named.iter().map(|(name, at, below)| entry(name, *at, *below, 0).0).collect();
    Some(tables)
}

/// What the packet path takes for a name's route.
fn found(tables: &Snapshot, number: u32) -> Option<u32> {
    let route = packet_path::found(tables, name(number).wire());
    route.target.is_some().then_some(route.route)
}

fn check(tables: &Snapshot, numbers: &[u32]) {
    let all: BTreeSet<u32> = numbers.iter().copied().collect();
    for number in 0..200 {
        assert_eq!(found(tables, number), all.contains(&number).then_some(number), "n{number}");
    }
    let taken = tables.buckets.iter().flat_map(|bucket| bucket.0).filter(|slot| *slot != 0).count();
    assert_eq!(taken, numbers.len(), "each name has one slot");
}

fn numbers(most: usize) -> impl Strategy<Value = Vec<u32>> {
    proptest::collection::btree_set(0..200u32, 0..=most)
        .prop_map(|numbers| numbers.into_iter().collect::<Vec<_>>())
        .prop_shuffle()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_build_finds_its_names_and_no_others(numbers in numbers(100)) {
        check(&tables(&numbers, SMALL).unwrap(), &numbers);
    }

    #[test]
    fn names_that_are_placed_are_found_and_stay_found(built in 0..60usize, numbers in numbers(100)) {
        let built = built.min(numbers.len());
        let mut tables = tables(&numbers[..built], SMALL).unwrap();
        for there in built..numbers.len() {
            let number = numbers[there];
            let (held, mut draft) = (Held::from(tables.clone()), Draft::default());
            let (route, key) = (tables.routes.len() as u32, key(name(number).wire(), tables.generation.powers[1]));
            prop_assert!(draft.place(&held, key, SMALL - 1, route).is_some(), "{there} of {} slots", 2 * SMALL);
            draft.buckets.iter().for_each(|(index, bucket)| tables.buckets[*index as usize] = *bucket);
            tables.routes.push(entry(&name(number), lead(number), lead(number), 0).0);
            check(&tables, &numbers[..=there]);
        }
    }
}

#[test]
fn a_name_has_two_buckets_and_each_leads_to_the_other() {
    for hash in (0..10_000u64).map(mix) {
        let key = IndexKey::of_hash(hash);
        let [first, second] = key.buckets(SMALL - 1);
        assert_ne!(first, second);
        assert!(first < SMALL && second < SMALL);
        assert_eq!(IndexKey::other_bucket(first, key.tag, SMALL - 1), second);
        assert_eq!(IndexKey::other_bucket(second, key.tag, SMALL - 1), first);
    }
}

#[test]
fn the_same_tag_in_the_same_buckets_is_refused_whichever_comes_first() {
    let key = IndexKey::of_hash(mix(1));
    let [_, second] = key.buckets(SMALL - 1);
    let mut index = vec![RouteBucket::default(); SMALL as usize];
    assert_eq!(place(&mut index, key, SMALL - 1, 0), Some(()));
    assert_eq!(place(&mut index, key, SMALL - 1, 1), None);
    // Moved to its other bucket, it is in the way as before.
    let mut index = vec![RouteBucket::default(); SMALL as usize];
    assert_eq!(put(&mut index, second, u64::from(key.tag) << 32 | 1), Some(true));
    assert_eq!(place(&mut index, key, SMALL - 1, 1), None);
}

#[test]
fn more_names_than_slots_are_refused() {
    let numbers: Vec<u32> = (0..2 * SMALL + 1).collect();
    assert!(tables(&numbers, SMALL).is_none());
}
