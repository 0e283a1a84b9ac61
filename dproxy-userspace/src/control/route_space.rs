//! The route tables: index, routes and long names, built whole or patched.

use std::collections::BTreeMap;
use std::sync::Arc;

use dproxy_common::{
    abi::{self, BUCKET_SLOTS, LongName, MAX_DEPTHS, NAME_POWERS, Route, RouteBucket, RouteTarget},
    route::{BUCKETS_PROBED, IndexKey},
    select::mix,
};

use super::find::{Held, Lookup, code, flush_right, id_of, is_long, key, names};
use super::patch::Rows;
use super::route_ids::RouteIds;
use super::{Capacity, CompileError};
use crate::config::{Change, Config, MAX_LABELS, Name, Pattern, PatternKind, Target};

/// Buckets for so many routes: one to two routes each, so that few overflow into the next one and next to
/// none over that.
pub(super) fn buckets_for(routes: u32) -> u32 {
    routes.div_ceil(2).next_power_of_two().max(64)
}

/// Hash bases tried before giving up; each fails with a small chance.
const BASES: u64 = 64;

/// What of the route tables is taken.
#[derive(Clone, Debug)]
pub(super) struct RouteSpace {
    ids: RouteIds,
    /// Entries in use, from the front.
    routes: u32,
    long_names: u32,
    pub(super) bucket_mask: u32,
    pub(super) powers: Arc<[u64; NAME_POWERS]>,
    pub(super) root: (RouteTarget, RouteTarget),
    /// How many names with routes have so many labels.
    label_counts: Box<[u32; MAX_LABELS + 1]>,
}

/// What becomes of the route tables, and what it is made for.
#[derive(Clone, Debug)]
pub(super) struct RouteRows<'c> {
    pub(super) buckets: Rows<RouteBucket>,
    pub(super) routes: Rows<Route>,
    pub(super) long_names: Rows<LongName>,
    /// What applies at and below each name that is concerned.
    pub(super) named: BTreeMap<&'c Name, (RouteTarget, RouteTarget)>,
    /// Ids whose counters must begin anew.
    pub(super) reused: Vec<u32>,
}

/// Why tables cannot be patched.
#[derive(Debug)]
pub(super) enum Unpatchable {
    /// They have to be built anew.
    Full,
    /// Nor can they be built.
    Never(CompileError),
}

/// What a route leads to, by the kind of its pattern.
type Lead<'c> = Option<(PatternKind, &'c Target)>;

impl RouteSpace {
    /// Nothing in it.
    pub(super) fn new() -> Self {
        Self {
            ids: RouteIds::default(),
            routes: 0,
            long_names: 0,
            bucket_mask: 0,
            powers: Arc::new([1; NAME_POWERS]),
            root: (RouteTarget::NONE, RouteTarget::NONE),
            label_counts: Box::new([0; MAX_LABELS + 1]),
        }
    }

    /// The generation before has been replaced.
    pub(super) fn settle(&mut self) {
        self.ids.settle();
    }

    /// The label counts that occur, largest first, and how many there are.
    pub(super) fn depths(&self) -> Result<([u8; MAX_DEPTHS], u16), CompileError> {
        let mut depths = [0; MAX_DEPTHS];
        let counts = self.label_counts.iter().enumerate().skip(1).rev().filter(|(_, names)| **names > 0);
        let counts: Vec<u8> = counts.map(|(labels, _)| labels as u8).collect();
        let room = depths.get_mut(..counts.len()).ok_or(CompileError::TooMany {
            what: "different numbers of labels among the routes' names",
            has: counts.len(),
            limit: MAX_DEPTHS as u32,
            mend: "write routes for names of fewer different lengths",
        })?;
        room.copy_from_slice(&counts);
        Ok((depths, counts.len() as u16))
    }

    /// Builds all anew. Routes keep the ids that they have in `before`.
    pub(super) fn build<'c>(
        &mut self,
        config: &'c Config,
        resolve: &dyn Fn(&Target) -> abi::Target,
        before: Option<&Held>,
        capacity: &Capacity,
    ) -> Result<RouteRows<'c>, CompileError> {
        // In front of all else: names that have no room would use up the ids.
        let (names, long) = names_of(config);
        if !capacity.holds(names, long) {
            return Err(CompileError::Routes { names, long });
        }
        let mut space = Self { ids: self.ids.clone(), ..Self::new() };
        let mut reused = Vec::new();
        let mut named: Vec<(&Name, RouteTarget, RouteTarget)> = Vec::new();
        for (name, at, below) in leads_by_name(config) {
            let old = before.and_then(|before| before.targets(name)).unwrap_or_default();
            let (at, below) = space.number(at, below, old, resolve, capacity, &mut reused)?;
            named.push((name, at, below));
        }
        let used =
            named.iter().flat_map(|(_, at, below)| [at, below]).filter(|target| target.target.is_some());
        space.ids.release_others(used.map(|target| target.route));
        let mut rows = RouteRows {
            buckets: Rows::NONE,
            routes: Rows::NONE,
            long_names: Rows::NONE,
            named: named.iter().map(|(name, at, below)| (*name, (*at, *below))).collect(),
            reused,
        };
        named.retain(|(name, at, below)| {
            if name.is_root() {
                space.root = (*at, *below);
            }
            !name.is_root()
        });
        space.lay_out(&named, capacity, &mut rows)?;
        *self = space;
        Ok(rows)
    }

    fn lay_out(
        &mut self,
        named: &[(&Name, RouteTarget, RouteTarget)],
        capacity: &Capacity,
        rows: &mut RouteRows<'_>,
    ) -> Result<(), CompileError> {
        let count = named.len() as u32;
        let (mut routes, mut long_names) = (Vec::with_capacity(named.len()), Vec::new());
        for (name, at, below) in named {
            self.label_counts[name.label_count()] += 1;
            let (route, long_name) = entry(name, *at, *below, long_names.len() as u32);
            routes.push(route);
            long_names.extend(long_name);
        }
        // With some room, so that not every further route makes them be built anew.
        let buckets = buckets_for(count + count / 4).min(capacity.route_buckets);
        // A fixed sequence, so that the same configuration gives the same hashes everywhere. Bases that
        // are 5 modulo 8 have the largest order modulo 2⁶⁴.
        let (powers, index) = (0..BASES)
            .map(|attempt| powers_of(mix(attempt + 1) & !7 | 5))
            .find_map(|powers| index(named, powers[1], buckets).map(|index| (powers, index)))
            .ok_or(CompileError::Collisions)?;
        (self.routes, self.long_names) = (count, long_names.len() as u32);
        (self.bucket_mask, self.powers) = (buckets - 1, Arc::new(powers));
        rows.buckets = Rows::All(index);
        rows.routes = Rows::All(routes);
        rows.long_names = Rows::All(long_names);
        Ok(())
    }

    /// Makes the rows that a change takes, to be written to what `before` has.
    pub(super) fn patch<'c>(
        &mut self,
        config: &Config,
        change: &'c Change,
        resolve: &dyn Fn(&Target) -> abi::Target,
        before: &Held,
        capacity: &Capacity,
    ) -> Result<RouteRows<'c>, Unpatchable> {
        let mut draft = Draft { buckets: BTreeMap::new(), routes: Vec::new(), long_names: Vec::new() };
        let (mut reused, mut concerned) = (Vec::new(), BTreeMap::new());
        for name in names(change.routes.keys()) {
            let (at, below) = leads(config, name);
            let key = key(name.wire(), self.powers[1]);
            let found = if name.is_root() { None } else { draft.find(before, name, key, self.bucket_mask) };
            let old =
                if name.is_root() { self.root } else { found.map_or_else(Default::default, |(_, old)| old) };
            let targets =
                self.number(at, below, old, resolve, capacity, &mut reused).map_err(Unpatchable::Never)?;
            self.release(old, targets);
            concerned.insert(name, targets);
            if name.is_root() {
                self.root = targets;
                continue;
            }
            self.count(name, old, targets);
            match found {
                Some((index, _)) => draft.rewrite(before, index, targets),
                None if targets.0.target.is_some() || targets.1.target.is_some() => {
                    self.insert(&mut draft, before, name, targets, key, capacity)?;
                }
                None => {}
            }
        }
        Ok(RouteRows {
            buckets: Rows::Some(draft.buckets.into_iter().collect()),
            routes: Rows::Some(draft.routes),
            long_names: Rows::Some(draft.long_names),
            named: concerned,
            reused,
        })
    }

    fn insert(
        &mut self,
        draft: &mut Draft,
        before: &Held,
        name: &Name,
        (at, below): (RouteTarget, RouteTarget),
        key: IndexKey,
        capacity: &Capacity,
    ) -> Result<(), Unpatchable> {
        let (route, long_name) = entry(name, at, below, self.long_names);
        // Fuller buckets would overflow over the next one before long.
        let room = capacity.routes.min(2 * (self.bucket_mask + 1));
        let long_room = capacity.long_names - u32::from(long_name.is_some());
        if self.routes >= room || self.long_names > long_room {
            return Err(Unpatchable::Full);
        }
        draft.place(before, key, self.bucket_mask, self.routes).ok_or(Unpatchable::Full)?;
        draft.routes.push((self.routes, route));
        self.routes += 1;
        if let Some(long_name) = long_name {
            draft.long_names.push((self.long_names, long_name));
            self.long_names += 1;
        }
        Ok(())
    }

    /// Gives ids to what applies at and below a name: those of before, as far as they are of the same patterns.
    fn number(
        &mut self,
        at: Lead<'_>,
        below: Lead<'_>,
        (old_at, old_below): (RouteTarget, RouteTarget),
        resolve: &dyn Fn(&Target) -> abi::Target,
        capacity: &Capacity,
        reused: &mut Vec<u32>,
    ) -> Result<(RouteTarget, RouteTarget), CompileError> {
        let mut number = |kind: PatternKind, target: &Target| {
            let route = match id_of(kind, old_at, old_below) {
                Some(id) => id,
                None => {
                    let (id, is_reused) =
                        self.ids.take(capacity.route_ids).ok_or(CompileError::IdsTaken("route"))?;
                    reused.extend(is_reused.then_some(id));
                    id
                }
            };
            Ok(RouteTarget { route, target: resolve(target), kind: code(kind) })
        };
        let at = at.map(|(kind, target)| number(kind, target)).transpose()?.unwrap_or(RouteTarget::NONE);
        let below = match below {
            None => RouteTarget::NONE,
            Some((kind, _)) if code(kind) == at.kind => at,
            Some((kind, target)) => number(kind, target)?,
        };
        Ok((at, below))
    }

    /// Frees the ids that a name had before and has no more.
    fn release(&mut self, old: (RouteTarget, RouteTarget), new: (RouteTarget, RouteTarget)) {
        let is_gone = |target: &RouteTarget| {
            target.target.is_some() && target.route != new.0.route && target.route != new.1.route
        };
        let (at, below) = old;
        if is_gone(&at) {
            self.ids.release(at.route);
        }
        if is_gone(&below) && below.route != at.route {
            self.ids.release(below.route);
        }
    }

    /// Counts the labels of a name that gets its first route, or loses its last one.
    fn count(&mut self, name: &Name, old: (RouteTarget, RouteTarget), new: (RouteTarget, RouteTarget)) {
        let leads = |(at, below): (RouteTarget, RouteTarget)| at.target.is_some() || below.target.is_some();
        let count = &mut self.label_counts[name.label_count()];
        match (leads(old), leads(new)) {
            (false, true) => *count += 1,
            (true, false) => *count -= 1,
            (true, true) | (false, false) => {}
        }
    }
}

/// What is to be written to the index and the routes.
struct Draft {
    buckets: BTreeMap<u32, RouteBucket>,
    routes: Vec<(u32, Route)>,
    long_names: Vec<(u32, LongName)>,
}

impl Draft {
    fn bucket(&self, before: &Held, index: u32) -> Option<RouteBucket> {
        self.buckets.get(&index).copied().or_else(|| before.bucket(index))
    }

    /// A name's route, and what applies at and below it.
    fn find(
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
    fn rewrite(&mut self, before: &Held, index: u32, (at, below): (RouteTarget, RouteTarget)) {
        if let Some(route) = before.route(index) {
            self.routes.push((index, Route { at, below, ..*route }));
        }
    }

    /// Takes the first free slot for a route; `None` if there is none, or a route is in the way.
    fn place(&mut self, before: &Held, key: IndexKey, mask: u32, route: u32) -> Option<()> {
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

/// How many names of a configuration have routes, besides the root, and how many of them have no room in a [`Route`].
pub fn names_of(config: &Config) -> (usize, usize) {
    let (mut all, mut long) = (0, 0);
    for name in names(config.routes.keys()).filter(|name| !name.is_root()) {
        all += 1;
        long += usize::from(is_long(name.wire()));
    }
    (all, long)
}

/// What applies at and below each name of a configuration. Patterns come sorted by name, those of one name in
/// order of precedence: so the first to claim a side of a name has it.
fn leads_by_name(config: &Config) -> impl Iterator<Item = (&Name, Lead<'_>, Lead<'_>)> {
    let mut routes = config.routes.iter().peekable();
    std::iter::from_fn(move || {
        let name = &routes.peek()?.0.name;
        let (mut at, mut below) = (None, None);
        while let Some((pattern, target)) = routes.next_if(|(pattern, _)| pattern.name == *name) {
            claim(pattern.kind, target, &mut at, &mut below);
        }
        Some((name, at, below))
    })
}

/// The same for one name.
fn leads<'c>(config: &'c Config, name: &Name) -> (Lead<'c>, Lead<'c>) {
    let (mut at, mut below) = (None, None);
    for kind in [PatternKind::Exact, PatternKind::Wildcard, PatternKind::Subtree] {
        if let Some(target) = config.routes.get(&Pattern { name: name.clone(), kind }) {
            claim(kind, target, &mut at, &mut below);
        }
    }
    (at, below)
}

fn claim<'c>(kind: PatternKind, target: &'c Target, at: &mut Lead<'c>, below: &mut Lead<'c>) {
    let (is_at, is_below) = match kind {
        PatternKind::Exact => (true, false),
        PatternKind::Wildcard => (false, true),
        PatternKind::Subtree => (true, true),
    };
    if is_at {
        at.get_or_insert((kind, target));
    }
    if is_below {
        below.get_or_insert((kind, target));
    }
}

/// A route's entry, and its name if that has no room there.
fn entry(name: &Name, at: RouteTarget, below: RouteTarget, next_long: u32) -> (Route, Option<LongName>) {
    let wire = name.wire();
    let mut route = Route { at, below, name_length: wire.len() as u32, ..Route::default() };
    if is_long(wire) {
        route.long_name = next_long;
        return (route, Some(LongName(flush_right(wire))));
    }
    route.name = flush_right(wire);
    (route, None)
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
