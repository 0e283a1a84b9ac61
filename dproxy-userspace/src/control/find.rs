//! Looking routes up in a half of the tables, by their patterns.

use std::sync::Arc;

use dproxy_common::{
    abi::{Generation, INLINE_NAME_WORDS, LONG_NAME_WORDS, LongName, Route, RouteBucket, RouteTarget},
    name::{fold_octet, hash_octet},
    route::IndexKey,
    tables::{Half, Tables},
};

use super::Snapshot;
use crate::config::{Name, Pattern, PatternKind};

/// A half of the tables that nobody writes as long as this lives.
#[derive(Clone)]
pub struct Held {
    tables: Arc<dyn Tables + Send + Sync>,
    half: Half,
    /// Whoever wants to write counts these.
    _hold: Arc<()>,
}

impl Held {
    /// A half, and what is counted to know who holds it.
    pub fn new(tables: Arc<dyn Tables + Send + Sync>, half: Half, hold: Arc<()>) -> Self {
        Self { tables, half, _hold: hold }
    }

    /// The tables.
    pub fn tables(&self) -> &(dyn Tables + Send + Sync) {
        &*self.tables
    }

    /// Which half it is.
    pub fn half(&self) -> Half {
        self.half
    }

    /// What holds for the whole of it.
    pub fn generation(&self) -> Option<&Generation> {
        self.tables.generation(self.half)
    }

    /// The id of a route, unless others of the same name hide it.
    pub fn route_id(&self, pattern: &Pattern) -> Option<u32> {
        let (at, below) = self.targets(&pattern.name)?;
        id_of(pattern.kind, at, below)
    }

    /// What applies at and below a name that has, or has had, routes.
    pub(super) fn targets(&self, name: &Name) -> Option<(RouteTarget, RouteTarget)> {
        let generation = self.generation()?;
        if name.is_root() {
            return Some((generation.root_at, generation.root_below));
        }
        let (wire, lookup) = (name.wire(), Lookup { bucket: &|index| self.bucket(index), held: self });
        let (_, route) = lookup.find(wire, key(wire, generation.powers[1]), generation.bucket_mask)?;
        Some((route.at, route.below))
    }

    pub(super) fn bucket(&self, index: u32) -> Option<RouteBucket> {
        self.tables.route_bucket(self.half, index).copied()
    }

    pub(super) fn route(&self, index: u32) -> Option<&Route> {
        self.tables.route(self.half, index)
    }

    fn long_name(&self, index: u32) -> Option<&LongName> {
        self.tables.long_name(self.half, index)
    }
}

/// A generation in memory, held by whoever has it.
impl From<Snapshot> for Held {
    fn from(snapshot: Snapshot) -> Self {
        let half = Half::of_generation(snapshot.generation.number);
        Self::new(Arc::new(snapshot), half, Arc::default())
    }
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Held").field("half", &self.half).finish_non_exhaustive()
    }
}

/// What [`RouteTarget::kind`] is for a kind of patterns.
pub(super) const fn code(kind: PatternKind) -> u16 {
    match kind {
        PatternKind::Exact => 1,
        PatternKind::Wildcard => 2,
        PatternKind::Subtree => 3,
    }
}

/// The kind of patterns that a code is for.
pub(super) const fn kind(code: u16) -> Option<PatternKind> {
    match code {
        1 => Some(PatternKind::Exact),
        2 => Some(PatternKind::Wildcard),
        3 => Some(PatternKind::Subtree),
        _ => None,
    }
}

/// The id of a name's pattern of this kind, by what applies at the name and below it.
pub(super) fn id_of(kind: PatternKind, at: RouteTarget, below: RouteTarget) -> Option<u32> {
    [at, below].into_iter().find(|target| target.kind == code(kind)).map(|target| target.route)
}

/// Where a name in canonical wire form, without its root octet, lives in the index.
pub(super) fn key(wire: &[u8], base: u64) -> IndexKey {
    IndexKey::of_hash(hash(wire, base))
}

/// The tag in a slot of the index.
pub(super) const fn tag(slot: u64) -> u32 {
    (slot >> 32) as u32
}

/// The hash of a name in canonical wire form without its root octet.
pub(super) fn hash(wire: &[u8], base: u64) -> u64 {
    wire.iter().fold(0, |hash, &octet| hash_octet(hash, base, fold_octet(octet)))
}

/// The index of a half, or of what is about to become one.
pub(super) struct Lookup<'l> {
    pub(super) bucket: &'l dyn Fn(u32) -> Option<RouteBucket>,
    pub(super) held: &'l Held,
}

impl Lookup<'_> {
    /// The route of a name, and its index.
    pub(super) fn find(&self, wire: &[u8], key: IndexKey, mask: u32) -> Option<(u32, &Route)> {
        let buckets = key.buckets(mask).into_iter().filter_map(|index| (self.bucket)(index));
        let slots = buckets.flat_map(|bucket| bucket.0);
        let tagged = slots.filter(|slot| *slot != 0 && tag(*slot) == key.tag).map(|slot| slot as u32 - 1);
        let mut routes = tagged.filter_map(|index| Some((index, self.held.route(index)?)));
        routes.find(|(_, route)| self.is_named(route, wire))
    }

    fn is_named(&self, route: &Route, wire: &[u8]) -> bool {
        if route.name_length as usize != wire.len() {
            return false;
        }
        if is_long(wire) {
            self.held
                .long_name(route.long_name)
                .is_some_and(|name| name.0 == flush_right::<LONG_NAME_WORDS>(wire))
        } else {
            route.name == flush_right::<INLINE_NAME_WORDS>(wire)
        }
    }
}

/// Has a name no room in a [`Route`]?
pub(super) const fn is_long(wire: &[u8]) -> bool {
    wire.len() > 8 * INLINE_NAME_WORDS
}

/// The octets in words, the last octet at the top of the last word.
pub(super) fn flush_right<const WORDS: usize>(octets: &[u8]) -> [u64; WORDS] {
    let mut words = [0; WORDS];
    for (word, chunk) in words.iter_mut().rev().zip(octets.rchunks(8)) {
        let mut padded = [0; 8];
        padded[8 - chunk.len()..].copy_from_slice(chunk);
        *word = u64::from_le_bytes(padded);
    }
    words
}

/// The pattern that applies to a name in a configuration, if there is one.
pub(super) fn name_of(pattern: &Pattern) -> Vec<u8> {
    match pattern.kind {
        PatternKind::Exact | PatternKind::Subtree => pattern.name.wire().to_vec(),
        PatternKind::Wildcard => [b"\x01x", pattern.name.wire()].concat(),
    }
}

/// All names that have patterns, once each, of patterns in their order.
pub(super) fn names<'p>(patterns: impl Iterator<Item = &'p Pattern>) -> impl Iterator<Item = &'p Name> {
    let mut last: Option<&Name> = None;
    patterns.filter_map(move |pattern| {
        let is_new = last != Some(&pattern.name);
        last = Some(&pattern.name);
        is_new.then_some(&pattern.name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flush_right_puts_the_last_octet_on_top() {
        let words = |octets: [&[u8; 8]; 2]| octets.map(|octets| u64::from_le_bytes(*octets));
        assert_eq!(flush_right::<2>(b"\x01a\x02bc"), words([&[0; 8], b"\0\0\0\x01a\x02bc"]));
        assert_eq!(flush_right::<2>(b"\x04abcd\x04efgh"), words([b"\0\0\0\0\0\0\x04a", b"bcd\x04efgh"]));
    }
}
