//! From a configuration to a generation.

use dproxy_common::abi::{self, CANDIDATES_PER_LINE, CandidateLine, Generation, MAX_DEPTHS, RouteTarget};

use crate::config::{Answer, Config, HashInput, Pattern, PatternKind, Policy, Pool, Target};

use super::{
    Capacity, Host, Ids, Snapshot, SnapshotNames, destinations,
    maglev::{self, Member},
    routes::{self, NamedRoute, Unbuildable},
};

/// Why a valid configuration does not become a generation: it does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// Too many of something that a setting limits, or that a restart with other settings would allow.
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

/// Compiles a configuration that [`check`](crate::config::check) has no problem with.
///
/// `number` becomes the generation's.
pub fn compile(
    config: &Config,
    host: &Host,
    ids: &mut Ids,
    number: u64,
    capacity: &Capacity,
) -> Result<Snapshot, CompileError> {
    let mut names = SnapshotNames::default();
    for address in &config.listen.addresses {
        let id = ids.listener(address).ok_or(CompileError::IdsTaken("listener"))?;
        names.listeners.insert(id, *address);
    }
    let (pools, candidates) = compile_pools(config, ids, &mut names, capacity)?;
    let (destination_seed, destinations) =
        destinations::table(&names, host).ok_or(CompileError::Destinations)?;
    let (named, root) = name_routes(config, ids, &mut names)?;
    fits("routes", named.len(), capacity.routes, "raise fast_path.routes and restart dproxy")?;
    let tables = routes::build(&named).map_err(|error| match error {
        Unbuildable::Depths(has) => CompileError::TooMany {
            what: "different numbers of labels among the routes' names",
            has,
            limit: MAX_DEPTHS as u32,
            mend: "write routes for names of fewer different lengths",
        },
        Unbuildable::Collisions => CompileError::Collisions,
    })?;
    fits("routes for names of more than 40 octets", tables.long_names.len(), capacity.long_names, RAISE)?;
    let generation = Generation {
        number,
        destination_seed,
        root_at: root.0,
        root_below: root.1,
        bucket_mask: tables.buckets.len() as u32 - 1,
        depth_count: tables.depth_count,
        edns_udp_size: config.listen.edns_udp_size.unwrap_or(0),
        depths: tables.depths,
        powers: tables.powers,
    };
    Ok(Snapshot {
        generation,
        destinations,
        buckets: tables.buckets,
        routes: tables.routes,
        long_names: tables.long_names,
        pools,
        candidates,
        names,
    })
}

const RAISE: &str = "raise fast_path.routes, to which this is in proportion, and restart dproxy";

fn fits(what: &'static str, has: usize, limit: u32, mend: &'static str) -> Result<(), CompileError> {
    if has > limit as usize { Err(CompileError::TooMany { what, has, limit, mend }) } else { Ok(()) }
}

/// Pools in the order of their names, and their candidates.
fn compile_pools(
    config: &Config,
    ids: &mut Ids,
    names: &mut SnapshotNames,
    capacity: &Capacity,
) -> Result<(Vec<abi::Pool>, Vec<CandidateLine>), CompileError> {
    fits("pools", config.pools.len(), capacity.pools, "use fewer pools")?;
    let mut pools = Vec::with_capacity(config.pools.len());
    let mut lines = Vec::new();
    for (name, pool) in &config.pools {
        let id = ids.pool(name).ok_or(CompileError::IdsTaken("pool"))?;
        names.pools.insert(id, name.clone());
        let members = members(pool, ids, names)?;
        let table = maglev::table(&members);
        let weighty = maglev::in_turn(&members);
        let entry = abi::Pool {
            first_line: lines.len() as u32,
            candidates: table.len() as u32,
            id,
            hash: hash_input(pool.policy) as u8,
            flags: pool_flags(pool),
            members: weighty.len() as u32,
        };
        pools.push(entry);
        lines.extend([table, weighty].iter().flat_map(|ids| ids.chunks(CANDIDATES_PER_LINE)).map(line));
    }
    fits(
        "lines of candidates",
        lines.len(),
        capacity.candidate_lines,
        "use fewer pools, backends or different weights",
    )?;
    Ok((pools, lines))
}

fn line(ids: &[u16]) -> CandidateLine {
    let mut line = CandidateLine::default();
    line.0[..ids.len()].copy_from_slice(ids);
    line
}

fn members(pool: &Pool, ids: &mut Ids, names: &mut SnapshotNames) -> Result<Vec<Member>, CompileError> {
    pool.backends
        .iter()
        .map(|backend| {
            let id = ids.backend(&backend.address).ok_or(CompileError::IdsTaken("backend"))?;
            names.backends.insert(id, backend.address);
            Ok(Member { id, address: backend.address, weight: backend.share() })
        })
        .collect()
}

/// Flags of a pool, as [`abi::Pool::flags`] has them.
const fn pool_flags(pool: &Pool) -> u8 {
    if pool.proxy_protocol { abi::Pool::SLOW_PATH } else { 0 }
}

const fn hash_input(policy: Policy) -> abi::HashInput {
    match policy {
        Policy::Random => abi::HashInput::Random,
        Policy::Maglev { hash: HashInput::Qname } => abi::HashInput::Qname,
        Policy::Maglev { hash: HashInput::Client } => abi::HashInput::Client,
        Policy::Maglev { hash: HashInput::QnameClient } => abi::HashInput::QnameClient,
    }
}

/// What applies at and below each name, and at and below the root.
type NamedRoutes<'a> = (Vec<NamedRoute<'a>>, (RouteTarget, RouteTarget));

/// Puts together what is configured for each name. Patterns come sorted by name, those of one name in
/// order of precedence: so the first to claim a side of a name has it.
fn name_routes<'a>(
    config: &'a Config,
    ids: &mut Ids,
    names: &mut SnapshotNames,
) -> Result<NamedRoutes<'a>, CompileError> {
    let pool_index: std::collections::BTreeMap<&str, u16> =
        config.pools.keys().zip(0..).map(|(name, index)| (name.as_str(), index)).collect();
    let mut named: Vec<NamedRoute<'a>> = Vec::with_capacity(config.routes.len());
    for (pattern, target) in &config.routes {
        let route = ids.route(pattern).ok_or(CompileError::IdsTaken("route"))?;
        names.routes.insert(route, pattern.clone());
        let target = match target {
            // `check` has made sure that the pool exists.
            Target::Pool(name) => {
                pool_index.get(&**name).map_or(abi::Target::NONE, |&index| abi::Target::pool(index))
            }
            Target::Answer(answer) => abi::Target::answer(kernel_answer(*answer)),
        };
        add(&mut named, pattern, RouteTarget { route, target, reserved: 0 });
    }
    let mut root = (RouteTarget::NONE, RouteTarget::NONE);
    named.retain(|route| {
        if route.name.is_root() {
            root = (route.at, route.below);
        }
        !route.name.is_root()
    });
    Ok((named, root))
}

fn add<'a>(named: &mut Vec<NamedRoute<'a>>, pattern: &'a Pattern, target: RouteTarget) {
    if named.last().is_none_or(|last| *last.name != pattern.name) {
        named.push(NamedRoute { name: &pattern.name, at: RouteTarget::NONE, below: RouteTarget::NONE });
    }
    let Some(route) = named.last_mut() else { return };
    let (at, below) = match pattern.kind {
        PatternKind::Exact => (true, false),
        PatternKind::Wildcard => (false, true),
        PatternKind::Subtree => (true, true),
    };
    if at && !route.at.target.is_some() {
        route.at = target;
    }
    if below && !route.below.target.is_some() {
        route.below = target;
    }
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
