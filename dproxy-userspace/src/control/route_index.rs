//! The index from names to routes, and routes' entries.

use std::collections::BTreeMap;

use dproxy_common::{
    abi::{LongName, NAME_POWERS, Route, RouteBucket, RouteTarget},
    route::IndexKey,
    select::mix,
};

use super::find::{Held, Lookup, flush_right, is_long, key, tag};
use crate::config::Name;

/// Buckets for so many routes: a quarter to half of the slots are taken, so that there is next to always a free one
/// for an entry, or one for that in its place.
pub(super) fn buckets_for(routes: u32) -> u32 {
    routes.next_power_of_two().max(64)
}

/// Hash bases tried before giving up; each fails with a small chance.
const BASES: u64 = 64;
/// Entries moved to their other bucket to make room for one, before giving up.
const MOVES: u32 = 128;

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

    /// Finds a slot for a route; `None` if there is none, or a route is in the way. The draft is of no use then.
    pub(super) fn place(&mut self, before: &Held, key: IndexKey, mask: u32, route: u32) -> Option<()> {
        place(&mut Patched { draft: self, before }, key, mask, route)
    }
}

/// An index that is being made.
trait Buckets {
    fn get(&self, index: u32) -> Option<RouteBucket>;
    fn set(&mut self, index: u32, bucket: RouteBucket);
}

impl Buckets for Vec<RouteBucket> {
    fn get(&self, index: u32) -> Option<RouteBucket> {
        self.as_slice().get(index as usize).copied()
    }

    fn set(&mut self, index: u32, bucket: RouteBucket) {
        self[index as usize] = bucket;
    }
}

/// That of a half, with what is to be written to it.
struct Patched<'d> {
    draft: &'d mut Draft,
    before: &'d Held,
}

impl Buckets for Patched<'_> {
    fn get(&self, index: u32) -> Option<RouteBucket> {
        self.draft.bucket(self.before, index)
    }

    fn set(&mut self, index: u32, bucket: RouteBucket) {
        self.draft.buckets.insert(index, bucket);
    }
}

/// Finds a slot for a route, and moves others out of the way if need be; `None` if there is none, or a look-up for
/// the one would take the other for it.
fn place(index: &mut impl Buckets, key: IndexKey, mask: u32, route: u32) -> Option<()> {
    let [first, second] = key.buckets(mask);
    let mut slots = index.get(first)?.0.into_iter().chain(index.get(second)?.0);
    if key.tag == 0 || slots.any(|slot| tag(slot) == key.tag) {
        return None;
    }
    let mut entry = u64::from(key.tag) << 32 | (u64::from(route) + 1);
    let mut here = first;
    for turn in 0..MOVES {
        let there = IndexKey::other_bucket(here, tag(entry), mask);
        if put(index, here, entry)? || put(index, there, entry)? {
            return Some(());
        }
        // Whoever is in the way makes room. The turn says which slot, so that nobody moves to and fro for ever.
        let mut bucket = index.get(there)?;
        let slot = &mut bucket.0[(tag(entry) >> (turn & 31)) as usize & 1];
        (entry, *slot) = (*slot, entry);
        index.set(there, bucket);
        here = there;
    }
    None
}

/// Puts an entry into a free slot of a bucket. Was there one?
fn put(index: &mut impl Buckets, at: u32, entry: u64) -> Option<bool> {
    let mut bucket = index.get(at)?;
    let Some(slot) = bucket.0.iter_mut().find(|slot| **slot == 0) else { return Some(false) };
    *slot = entry;
    index.set(at, bucket);
    Some(true)
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
    let mut buckets = vec![RouteBucket::default(); count as usize];
    for (route, (name, ..)) in (0..).zip(named) {
        place(&mut buckets, key(name.wire(), base), count - 1, route)?;
    }
    Some(buckets)
}

#[cfg(test)]
mod tests;
