//! The index from names to routes, and routes' entries.

use std::collections::BTreeMap;

use dproxy_common::{
    abi::{BUCKET_SLOTS, LongName, NAME_POWERS, Route, RouteBucket, RouteTarget},
    route::{BUCKETS_PROBED, IndexKey},
    select::mix,
};

use super::find::{Held, Lookup, flush_right, is_long, key};
use crate::config::Name;

/// Buckets for so many routes: one to two routes each, so that few overflow into the next one and next to
/// none over that.
pub(super) fn buckets_for(routes: u32) -> u32 {
    routes.div_ceil(2).next_power_of_two().max(64)
}

/// Hash bases tried before giving up; each fails with a small chance.
const BASES: u64 = 64;

/// What is to be written to the index and the routes.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) buckets: BTreeMap<u32, RouteBucket>,
    pub(super) routes: Vec<(u32, Route)>,
    pub(super) long_names: Vec<(u32, LongName)>,
}

impl Draft {
    fn bucket(&self, before: &Held, index: u32) -> Option<RouteBucket> {
        self.buckets.get(&index).copied().or_else(|| before.bucket(index))
    }

    /// A name's route, and what applies at and below it.
    pub(super) fn find(
        &self,
        before: &Held,
        name: &Name,
        key: IndexKey,
        mask: u32,
    ) -> Option<(u32, (RouteTarget, RouteTarget))> {
        let lookup = Lookup { bucket: &|index| self.bucket(before, index), held: before };
        lookup.find(name.wire(), key, mask).map(|(index, route)| (index, (route.at, route.below)))
    }

    /// Lets a route lead elsewhere.
    pub(super) fn rewrite(&mut self, before: &Held, index: u32, (at, below): (RouteTarget, RouteTarget)) {
        if let Some(route) = before.route(index) {
            self.routes.push((index, Route { at, below, ..*route }));
        }
    }

    /// Takes the first free slot for a route; `None` if there is none, or a route is in the way.
    pub(super) fn place(&mut self, before: &Held, key: IndexKey, mask: u32, route: u32) -> Option<()> {
        // Whose look-up may come by the slot taken begins one bucket before, at the earliest.
        for step in 0..BUCKETS_PROBED + 2 {
            let index = key.bucket.wrapping_add(step).wrapping_sub(1) & mask;
            let bucket = self.bucket(before, index)?;
            if bucket.0.iter().any(|slot| *slot != 0 && (*slot >> 32) as u32 == key.tag) {
                return None;
            }
        }
        for step in 0..BUCKETS_PROBED {
            let index = key.bucket.wrapping_add(step) & mask;
            let mut bucket = self.bucket(before, index)?;
            if let Some(slot) = bucket.0.iter_mut().find(|slot| **slot == 0) {
                *slot = u64::from(key.tag) << 32 | (u64::from(route) + 1);
                self.buckets.insert(index, bucket);
                return Some(());
            }
        }
        None
    }
}

/// A route's entry, and its name if that has no room there.
pub(super) fn entry(
    name: &Name,
    at: RouteTarget,
    below: RouteTarget,
    next_long: u32,
) -> (Route, Option<LongName>) {
    let wire = name.wire();
    let mut route = Route { at, below, name_length: wire.len() as u32, ..Route::default() };
    if is_long(wire) {
        route.long_name = next_long;
        return (route, Some(LongName(flush_right(wire))));
    }
    route.name = flush_right(wire);
    (route, None)
}

/// An index, the powers of the hash base that it is made with, and its number of buckets; `None` if there is no base
/// that keeps the names apart.
pub(super) fn build(
    named: &[(&Name, RouteTarget, RouteTarget)],
    buckets: u32,
) -> Option<([u64; NAME_POWERS], Vec<RouteBucket>)> {
    // A fixed sequence, so that the same configuration gives the same hashes everywhere. Bases that
    // are 5 modulo 8 have the largest order modulo 2⁶⁴.
    let mut bases = (0..BASES).map(|attempt| powers_of(mix(attempt + 1) & !7 | 5));
    bases.find_map(|powers| index(named, powers[1], buckets).map(|index| (powers, index)))
}

/// The powers of a hash base.
fn powers_of(base: u64) -> [u64; NAME_POWERS] {
    let mut powers = [1u64; NAME_POWERS];
    for exponent in 1..NAME_POWERS {
        powers[exponent] = powers[exponent - 1].wrapping_mul(base);
    }
    powers
}

/// The index for a hash base, or `None` if under it two routes get into each other's way.
fn index(named: &[(&Name, RouteTarget, RouteTarget)], base: u64, count: u32) -> Option<Vec<RouteBucket>> {
    let mask = count - 1;
    let mut buckets = vec![RouteBucket::default(); count as usize];
    let keys: Vec<IndexKey> = named.iter().map(|(name, ..)| key(name.wire(), base)).collect();
    for (route, key) in keys.iter().enumerate() {
        let slot = (0..BUCKETS_PROBED).map(|step| (key.bucket.wrapping_add(step) & mask) as usize).find_map(
            |bucket| buckets[bucket].0.iter().position(|slot| *slot == 0).map(|slot| (bucket, slot)),
        );
        let (bucket, slot) = slot?;
        buckets[bucket].0[slot] = u64::from(key.tag) << 32 | (route as u64 + 1);
    }
    let finds_itself = |(route, key): (usize, &IndexKey)| first_with_tag(&buckets, mask, key) == Some(route);
    keys.iter().enumerate().all(finds_itself).then_some(buckets)
}

/// What a look-up takes for the route of `key`: the first one with its tag.
fn first_with_tag(buckets: &[RouteBucket], mask: u32, key: &IndexKey) -> Option<usize> {
    for step in 0..BUCKETS_PROBED {
        let bucket = &buckets[(key.bucket.wrapping_add(step) & mask) as usize].0;
        if let Some(slot) = bucket.iter().find(|slot| (**slot >> 32) as u32 == key.tag && **slot != 0) {
            return Some(*slot as u32 as usize - 1);
        }
        if bucket[BUCKET_SLOTS - 1] == 0 {
            return None;
        }
    }
    None
}
