//! From a configuration to a generation: whole, or what changes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use dproxy_common::abi::{self, Destination, Generation, MAX_DEPTHS};

use super::find::{Held, name_of};
use super::ids::{Id, Ids};
use super::patch::{Patch, Question};
use super::pool_space::{PoolRows, PoolSpace};
use super::route_space::{RouteRows, RouteSpace, Unpatchable};
use super::{Capacity, Host, Member, Snapshot, SnapshotNames, destinations};
use crate::config::{Answer, Change, Config, MAX_NAME, Name, Pattern, Target, matching};

/// Why a valid configuration does not become a generation: it does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// Larger tables are needed.
    #[error("routes for {names} names, {long} of them of more than 40 octets, do not fit into the tables")]
    Routes {
        /// Names with routes.
        names: usize,
        /// Those of more than 40 octets.
        long: usize,
    },
    /// Too many of something that does not grow.
    #[error("{has} {what} do not fit into tables for {limit}; {mend}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many there are.
        has: usize,
        /// How many fit.
        limit: u32,
        /// What to do.
        mend: &'static str,
    },
    /// Larger tables are needed, or another change first: too many routes take the place of others at once.
    #[error("all route ids are taken")]
    RouteIdsTaken,
    /// All ids of a kind are taken.
    #[error("all {0} ids are taken; restart dproxy to free those of removed ones")]
    IdsTaken(&'static str),
    /// The listeners' addresses and our own find no perfect hash.
    #[error("too many listeners and addresses of our own; use fewer than 64 listeners in all")]
    Destinations,
    /// The routes find no hash base.
    #[error("the route names collide under every hash base; please report this with the configuration")]
    Collisions,
}

/// What of the tables is taken by the generation in force. A clone is a draft: a change that is refused leaves
/// nothing behind.
#[derive(Clone, Debug)]
pub struct Layout {
    ids: Ids,
    routes: RouteSpace,
    pools: PoolSpace,
    /// What the destination table was last made from, and its seed.
    destinations: Option<(BTreeMap<u16, SocketAddr>, Host, u64)>,
    /// Who is meant by the ids of the generation.
    names: Arc<SnapshotNames>,
}

/// What a generation is made from.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'p> {
    /// A configuration that [`check`](crate::config::check) has no problem with.
    pub config: &'p Config,
    /// The host that it is for.
    pub host: &'p Host,
    /// What [`Generation::number`] is to be.
    pub number: u64,
    /// How much the tables hold.
    pub capacity: &'p Capacity,
}

/// Questions asked of a program before a generation is put in force, at most.
const QUESTIONS: usize = 32;

impl Layout {
    /// Nothing in the tables, and nobody has an id but those given.
    pub fn new(ids: Ids) -> Self {
        Self {
            ids,
            routes: RouteSpace::new(),
            pools: PoolSpace::default(),
            destinations: None,
            names: Arc::default(),
        }
    }

    /// Who is meant by the ids.
    pub fn names(&self) -> &Arc<SnapshotNames> {
        &self.names
    }

    /// The generation has replaced the one before it: ids that only that one had are free from now on.
    pub fn settle(&mut self) {
        if self.names.listeners.is_empty() {
            // There is no generation yet. Whoever has an id has got it from a predecessor.
            return;
        }
        self.ids.retain(&self.names);
        self.routes.settle();
    }

    /// The ids that mean somebody since this was last asked. Their counters have to begin at zero.
    pub fn take_new(&mut self) -> Vec<Id> {
        self.ids.take_new()
    }

    /// A whole generation. Ids that stand in `before` stay.
    pub fn build(&mut self, plan: &Plan<'_>, before: Option<&Held>) -> Result<Patch, CompileError> {
        let (config, capacity) = (plan.config, plan.capacity);
        let names = self.name(plan)?;
        let pools = self.pools.build(config, &mut self.ids, &names, capacity)?;
        let ids = pool_ids(&names);
        let routes = self.routes.build(config, &|target| resolve(&ids, target), before, capacity)?;
        self.destinations = None;
        let sample = config.routes.keys().step_by(config.routes.len().div_ceil(QUESTIONS).max(1));
        let questions = questions(config, sample, |pattern| id(&routes, None, pattern));
        self.finish(plan, names, pools, routes, questions)
    }

    /// What a change makes of the generation before, which `before` holds. If it cannot be patched, all of it.
    pub fn patch(&mut self, plan: &Plan<'_>, before: &Held, change: &Change) -> Result<Patch, CompileError> {
        let (config, capacity) = (plan.config, plan.capacity);
        // As much work as building, and more memory.
        if change.routes.len() > config.routes.len() / 2 + QUESTIONS {
            return self.build(plan, Some(before));
        }
        let mut draft = self.clone();
        let names = draft.name(plan)?;
        let ids = pool_ids(&names);
        let resolve = |target: &Target| resolve(&ids, target);
        let routes = match draft.routes.patch(config, change, &resolve, before, capacity) {
            Ok(routes) => routes,
            Err(Unpatchable::Never(error)) => return Err(error),
            Err(Unpatchable::Full) => return self.build(plan, Some(before)),
        };
        let pools = draft.pools.patch(config, &change.pools, &mut draft.ids, &names, capacity)?;
        let changed = change.routes.keys().filter(|pattern| config.routes.contains_key(*pattern));
        let questions = questions(config, changed, |pattern| id(&routes, Some(before), pattern));
        let patch = draft.finish(plan, names, pools, routes, questions)?;
        *self = draft;
        Ok(patch)
    }

    /// Gives ids to everybody.
    fn name(&mut self, plan: &Plan<'_>) -> Result<Arc<SnapshotNames>, CompileError> {
        let (config, ids) = (plan.config, &mut self.ids);
        let members: usize = config.pools.values().map(|pool| pool.backends.len()).sum();
        if members > plan.capacity.backend_ids as usize {
            return Err(CompileError::TooMany {
                what: "backends, counted in each of their pools",
                has: members,
                limit: plan.capacity.backend_ids,
                mend: "use fewer pools, or fewer backends in each",
            });
        }
        let mut names = SnapshotNames::default();
        for address in &config.listen.addresses {
            let id = ids.listener(address).ok_or(CompileError::IdsTaken("listener"))?;
            names.listeners.insert(id, *address);
        }
        for (name, pool) in &config.pools {
            let pool_id = ids.pool(name).ok_or(CompileError::IdsTaken("pool"))?;
            names.pools.insert(pool_id, name.clone());
            for backend in &pool.backends {
                let id = ids.backend(name, backend.address).ok_or(CompileError::IdsTaken("backend"))?;
                names.backends.insert(id, Member { pool: pool_id, address: backend.address });
            }
        }
        let limit = plan.capacity.pools;
        if names.pools.len() > limit as usize {
            let has = names.pools.len();
            return Err(CompileError::TooMany { what: "pools", has, limit, mend: "use fewer pools" });
        }
        Ok(Arc::new(names))
    }

    fn finish(
        &mut self,
        plan: &Plan<'_>,
        names: Arc<SnapshotNames>,
        pools: PoolRows,
        routes: RouteRows<'_>,
        questions: Vec<Question>,
    ) -> Result<Patch, CompileError> {
        let (destinations, seed) = self.destinations(&names, plan.host)?;
        let (depths, depth_count): ([u8; MAX_DEPTHS], u16) = self.routes.depths()?;
        self.ids.note_reused_routes(&routes.reused);
        self.names = Arc::clone(&names);
        Ok(Patch {
            generation: Generation {
                number: plan.number,
                destination_seed: seed,
                root_at: self.routes.root.0,
                root_below: self.routes.root.1,
                bucket_mask: self.routes.bucket_mask,
                depth_count,
                edns_udp_size: plan.config.listen.edns_udp_size.unwrap_or(0),
                depths,
                powers: *self.routes.powers,
            },
            destinations,
            buckets: routes.buckets,
            routes: routes.routes,
            long_names: routes.long_names,
            pools: pools.pools,
            candidates: pools.candidates,
            names,
            questions,
        })
    }

    /// The destination table, if it changes, and its seed.
    fn destinations(
        &mut self,
        names: &SnapshotNames,
        host: &Host,
    ) -> Result<(Option<Vec<Destination>>, u64), CompileError> {
        if let Some((listeners, last, seed)) = &self.destinations
            && (listeners, last) == (&names.listeners, host)
        {
            return Ok((None, *seed));
        }
        let (seed, table) = destinations::table(names, host).ok_or(CompileError::Destinations)?;
        self.destinations = Some((names.listeners.clone(), host.clone(), seed));
        Ok((Some(table), seed))
    }
}

/// Compiles a configuration for empty tables.
pub fn compile(
    config: &Config,
    host: &Host,
    ids: &Ids,
    number: u64,
    capacity: &Capacity,
) -> Result<Snapshot, CompileError> {
    let plan = Plan { config, host, number, capacity };
    let patch = Layout::new(ids.clone()).build(&plan, None)?;
    Ok(Snapshot::of(&patch, config))
}

fn pool_ids(names: &SnapshotNames) -> BTreeMap<&str, u16> {
    names.pools.iter().map(|(id, name)| (name.as_str(), *id)).collect()
}

/// A target as the tables have it. `check` has made sure that the pool exists.
fn resolve(ids: &BTreeMap<&str, u16>, target: &Target) -> abi::Target {
    match target {
        Target::Pool(name) => ids.get(&**name).map_or(abi::Target::NONE, |&id| abi::Target::pool(id)),
        Target::Answer(answer) => abi::Target::answer(kernel_answer(*answer)),
    }
}

/// The id of a pattern's route, in these rows or, if they do not concern its name, before them.
fn id(routes: &RouteRows<'_>, before: Option<&Held>, pattern: &Pattern) -> Option<u32> {
    match routes.named.get(&pattern.name) {
        Some((at, below)) => super::find::id_of(pattern.kind, *at, *below),
        None => before?.route_id(pattern),
    }
}

/// What the program must say about names to which patterns apply. It follows from what the operator wrote, but for
/// the ids.
fn questions<'p>(
    config: &Config,
    patterns: impl Iterator<Item = &'p Pattern>,
    id: impl Fn(&Pattern) -> Option<u32>,
) -> Vec<Question> {
    let question = |wire: Vec<u8>| {
        let applied = Name::from_wire(&wire).and_then(|name| Some(matching(config, &name).next()?.0.clone()));
        let route = applied.and_then(|pattern| id(&pattern));
        Question { name: wire, route }
    };
    let mut questions: Vec<_> =
        patterns.map(name_of).filter(|wire| wire.len() < MAX_NAME).take(QUESTIONS).map(question).collect();
    if questions.is_empty() {
        questions.push(question(Vec::new()));
    }
    questions
}

const fn kernel_answer(answer: Answer) -> abi::Answer {
    match answer {
        Answer::Refused => abi::Answer::Refused,
        Answer::Nxdomain => abi::Answer::Nxdomain,
        Answer::Servfail => abi::Answer::Servfail,
        Answer::Truncate => abi::Answer::Truncate,
        Answer::Drop => abi::Answer::Drop,
    }
}

const _: () = assert!(crate::config::MAX_LABEL_COUNTS == MAX_DEPTHS);
