//! The route tables: index, routes and long names, built whole or patched.

use std::collections::BTreeMap;
use std::sync::Arc;

use dproxy_common::{
    abi::{self, LongName, MAX_DEPTHS, NAME_POWERS, Route, RouteBucket, RouteTarget},
    route::IndexKey,
};

use super::find::{Held, code, id_of, key, names};
use super::leads::{Lead, leads, leads_by_name, names_of};
use super::patch::Rows;
use super::route_ids::RouteIds;
use super::route_index::{self, Draft, buckets_for, entry};
use super::{Capacity, CompileError};
use crate::config::{Change, Config, MAX_LABELS, Name, PatternKind, Target};

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
        // By their ids, so that most have the place of their counter: what the program foresees.
        named.sort_by_key(|(_, at, below)| if at.target.is_some() { at.route } else { below.route });
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
        let (powers, index) = route_index::build(named, buckets).ok_or(CompileError::Collisions)?;
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
        let mut draft = Draft::default();
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
        // In a fuller index, room is found by moving more and more.
        let room = capacity.routes.min(self.bucket_mask + 1);
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
                        self.ids.take(capacity.route_ids).ok_or(CompileError::RouteIdsTaken)?;
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
