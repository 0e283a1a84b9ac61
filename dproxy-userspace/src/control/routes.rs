//! The route tables: index, routes and long names.

use dproxy_common::{
    abi::{
        BUCKET_SLOTS, INLINE_NAME_WORDS, LONG_NAME_WORDS, LongName, MAX_DEPTHS, NAME_POWERS, Route,
        RouteBucket, RouteTarget,
    },
    name::{fold_octet, hash_octet},
    route::{BUCKETS_PROBED, IndexKey},
    select::mix,
};

use crate::config::Name;

/// Buckets for so many routes: one to two routes each, so that few overflow into the next one and next to
/// none over that.
pub(super) fn buckets_for(routes: u32) -> u32 {
    routes.div_ceil(2).next_power_of_two().max(64)
}

/// Hash bases tried before giving up; each fails with a small chance.
const BASES: u64 = 64;

/// What is configured for one name.
#[derive(Clone, Debug)]
pub(super) struct NamedRoute<'a> {
    pub(super) name: &'a Name,
    pub(super) at: RouteTarget,
    pub(super) below: RouteTarget,
}

/// The tables of a generation's routes.
#[derive(Clone, Debug)]
pub(super) struct RouteTables {
    pub(super) powers: [u64; NAME_POWERS],
    pub(super) depths: [u8; MAX_DEPTHS],
    pub(super) depth_count: u16,
    pub(super) buckets: Vec<RouteBucket>,
    pub(super) routes: Vec<Route>,
    pub(super) long_names: Vec<LongName>,
}

/// Why there are no tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unbuildable {
    /// More distinct label counts than a look-up tries.
    Depths(usize),
    /// No hash base keeps all routes apart.
    Collisions,
}

/// Builds the tables; no name may be the root, none may come twice.
pub(super) fn build(named: &[NamedRoute<'_>]) -> Result<RouteTables, Unbuildable> {
    let mut counts: Vec<u8> = named.iter().map(|route| route.name.label_count() as u8).collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    counts.dedup();
    let mut depths = [0; MAX_DEPTHS];
    depths.get_mut(..counts.len()).ok_or(Unbuildable::Depths(counts.len()))?.copy_from_slice(&counts);
    let (routes, long_names) = entries(named);
    // A fixed sequence, so that the same configuration gives the same hashes everywhere. Bases that
    // are 5 modulo 8 have the largest order modulo 2⁶⁴.
    let (powers, buckets) = (0..BASES)
        .map(|attempt| powers_of(mix(attempt + 1) & !7 | 5))
        .find_map(|powers| index(named, powers[1]).map(|buckets| (powers, buckets)))
        .ok_or(Unbuildable::Collisions)?;
    Ok(RouteTables { powers, depths, depth_count: counts.len() as u16, buckets, routes, long_names })
}

/// The powers of a hash base.
fn powers_of(base: u64) -> [u64; NAME_POWERS] {
    let mut powers = [1u64; NAME_POWERS];
    for exponent in 1..NAME_POWERS {
        powers[exponent] = powers[exponent - 1].wrapping_mul(base);
    }
    powers
}

/// The hash of a name in canonical wire form without its root octet.
pub(super) fn hash(wire: &[u8], base: u64) -> u64 {
    wire.iter().fold(0, |hash, &octet| hash_octet(hash, base, fold_octet(octet)))
}

fn entries(named: &[NamedRoute<'_>]) -> (Vec<Route>, Vec<LongName>) {
    let mut long_names = Vec::new();
    let mut routes = Vec::with_capacity(named.len());
    for NamedRoute { name, at, below } in named {
        let wire = name.wire();
        let mut route = Route { at: *at, below: *below, name_length: wire.len() as u32, ..Route::default() };
        if wire.len() <= 8 * INLINE_NAME_WORDS {
            route.name = flush_right(wire);
        } else {
            route.long_name = long_names.len() as u32;
            long_names.push(LongName(flush_right::<LONG_NAME_WORDS>(wire)));
        }
        routes.push(route);
    }
    (routes, long_names)
}

/// The octets in words, the last octet at the top of the last word.
fn flush_right<const WORDS: usize>(octets: &[u8]) -> [u64; WORDS] {
    let mut words = [0; WORDS];
    for (word, chunk) in words.iter_mut().rev().zip(octets.rchunks(8)) {
        let mut padded = [0; 8];
        padded[8 - chunk.len()..].copy_from_slice(chunk);
        *word = u64::from_le_bytes(padded);
    }
    words
}

/// The index for a hash base, or `None` if under it two routes get into each other's way.
fn index(named: &[NamedRoute<'_>], base: u64) -> Option<Vec<RouteBucket>> {
    let count = buckets_for(named.len() as u32);
    let mask = count - 1;
    let mut buckets = vec![RouteBucket::default(); count as usize];
    let keys: Vec<IndexKey> =
        named.iter().map(|route| IndexKey::of_hash(hash(route.name.wire(), base))).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flush_right_puts_the_last_octet_on_top() {
        assert_eq!(flush_right::<2>(b"\x01a\x02bc"), [0, u64::from_le_bytes(*b"\0\0\0\x01a\x02bc")]);
        let words = flush_right::<2>(b"\x04abcd\x04efgh");
        assert_eq!(
            words[1],
            u64::from_le_bytes(
                *b"cd\x04efgh"
                    .first_chunk::<7>()
                    .map(|c| {
                        let mut w = [0; 8];
                        w[0] = b'b';
                        w[1..].copy_from_slice(c);
                        w
                    })
                    .as_ref()
                    .unwrap()
            )
        );
    }

    #[test]
    fn two_hundred_thousand_routes_are_each_found() {
        let names: Vec<Name> = (0..200_000).map(|n| format!("n{n}.example").parse().unwrap()).collect();
        let named: Vec<_> = names
            .iter()
            .map(|name| NamedRoute { name, at: RouteTarget::NONE, below: RouteTarget::NONE })
            .collect();
        let tables = build(&named).unwrap();
        assert_eq!(tables.routes.len(), 200_000);
        assert_eq!(&tables.depths[..2], &[2, 0]);
    }
}
