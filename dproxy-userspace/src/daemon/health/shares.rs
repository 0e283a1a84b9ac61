//! What is withheld from members that get queries: measured four times a second, and told to both paths.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dproxy_common::abi::BackendCounters;
use tracing::error;

use super::super::Engine;
use crate::config::{Policy, Pool};
use crate::datapath::DatapathError;
use crate::health::{
    self, Decision, Histogram, Mode, Share, Standing, State, Transition, Wanted, bound, withheld,
};

/// How often.
const EVERY: Duration = Duration::from_millis(250);
/// Replies that were timed without which nothing is known.
const TIMED: u64 = 4;
/// Queries without which nothing is known of losses.
const SENT: u64 = 20;
/// How much of what was measured before still counts the next time.
const BEFORE: f64 = 0.5;
/// After so many times without enough replies only checks count.
const FORGOTTEN: i32 = 12;

/// What was measured of members.
#[derive(Debug, Default)]
pub(in crate::daemon) struct Measures {
    last: Option<Instant>,
    /// By backend id.
    members: BTreeMap<u16, Measure>,
    /// When those came up that had been down.
    came_up: BTreeMap<(String, SocketAddr), Instant>,
}

/// What was measured of one.
#[derive(Clone, Copy, Debug)]
struct Measure {
    /// Queries so far.
    counted: u64,
    /// What had been timed when there last were enough replies, and how many times ago that was.
    times: Histogram,
    turns: i32,
    /// In seconds.
    latency: Option<f64>,
    loss: f64,
    /// Queries and replies of all pools to and from its address: of a backend on this host, replies are counted for
    /// one of its pools.
    of_address: [u64; 2],
    /// Since the time before.
    queries: u64,
    bounded: f64,
}

impl Measure {
    fn new(counted: u64, of_address: [u64; 2], times: Histogram) -> Self {
        Self { counted, of_address, times, turns: 0, latency: None, loss: 0.0, queries: 0, bounded: 1.0 }
    }

    fn note(&mut self, counted: u64, of_address: [u64; 2], times: Histogram) {
        let since = |now: u64, before: u64| now.checked_sub(before).unwrap_or(now);
        let [queries, replies] = [0, 1].map(|which| since(of_address[which], self.of_address[which]));
        self.turns += 1;
        if let Some(mean) = times.since(&self.times).mean(TIMED) {
            let mean = mean.as_secs_f64();
            let before = self.latency.unwrap_or(mean);
            self.latency = Some(mean + (before - mean) * BEFORE.powi(self.turns));
            (self.times, self.turns) = (times, 0);
        } else if self.turns > FORGOTTEN {
            (self.times, self.latency) = (times, None);
        }
        if queries >= SENT {
            let loss = queries.saturating_sub(replies) as f64 / queries as f64;
            self.loss = loss + (self.loss - loss) * BEFORE;
        } else {
            self.loss *= BEFORE;
        }
        self.queries = since(counted, self.counted);
        (self.counted, self.of_address) = (counted, of_address);
    }
}

impl Measures {
    /// Somebody has changed.
    pub(super) fn note(&mut self, id: &health::Id, transition: &Transition) {
        let key = (id.0.to_string(), id.1);
        match (transition.from, transition.to) {
            (State::Down, State::Up) => drop(self.came_up.insert(key, Instant::now())),
            (_, State::Down) => drop(self.came_up.remove(&key)),
            (_, State::Up | State::Checking) => {}
        }
    }
}

/// What a pool wants, if it wants anything to be withheld.
fn wanted(pool: &Pool) -> Option<Wanted> {
    let by_latency = pool.policy == Policy::LeastLatency;
    let wanted = Wanted { slow_start: pool.slow_start, by_latency, bounded_load: pool.bounded_load };
    (wanted != Wanted::default()).then_some(wanted)
}

impl Engine {
    /// Measures, and tells both paths what that changes.
    pub(in crate::daemon) fn share_out(&mut self) {
        let now = Instant::now();
        if self.health.measures.last.is_some_and(|last| now.duration_since(last) < EVERY)
            || !self.config.pools.values().any(|pool| wanted(pool).is_some())
        {
            return;
        }
        self.share_out_at(now);
    }

    /// The same, now.
    #[cfg(test)]
    pub(in crate::daemon) fn share_out_now(&mut self) {
        self.share_out_at(Instant::now());
    }

    fn share_out_at(&mut self, now: Instant) {
        self.health.measures.last = Some(now);
        let pools = &self.config.pools;
        let ramp = |pool: &String| pools.get(pool)?.slow_start;
        self.health
            .measures
            .came_up
            .retain(|(pool, _), at| ramp(pool).is_some_and(|ramp| at.elapsed() < ramp));
        if let Err(problem) = self.measure() {
            return error!("cannot read the counters of backends: {problem}");
        }
        self.bound_loads();
        let before = self.health.shares.clone();
        self.judge();
        if self.health.shares != before {
            self.publish_live();
        }
    }

    fn measure(&mut self) -> Result<(), DatapathError> {
        let names = Arc::clone(self.names());
        let fast = self.datapath.backend_counters()?;
        let ids = names.backends.keys().next_back().map_or(0, |last| usize::from(*last) + 1);
        let slow = self.proxy.backend_counters(ids);
        let counted = |id: u16| {
            let of = |all: &[BackendCounters]| all.get(usize::from(id)).copied().unwrap_or_default();
            let (fast, slow) = (of(&fast), of(&slow));
            [fast.queries.wrapping_add(slow.queries), fast.replies.wrapping_add(slow.replies)]
        };
        let mut of_addresses: BTreeMap<SocketAddr, [u64; 2]> = BTreeMap::new();
        for (&id, member) in &names.backends {
            let sum = of_addresses.entry(member.address).or_default();
            sum.iter_mut().zip(counted(id)).for_each(|(sum, count)| *sum = sum.wrapping_add(count));
        }
        let measures = &mut self.health.measures;
        measures.members.retain(|id, _| names.backends.contains_key(id));
        for (&id, member) in &names.backends {
            let pool = names.pool_of(member).and_then(|pool| self.config.pools.get(pool));
            let Some(wanted) = pool.and_then(wanted) else { continue };
            let of_address = of_addresses.get(&member.address).copied().unwrap_or_default();
            let [queries, _] = counted(id);
            let times = match wanted.by_latency {
                true => Histogram(self.datapath.latencies(id).0),
                false => Histogram::default(),
            };
            match measures.members.get_mut(&id) {
                Some(measure) => measure.note(queries, of_address, times),
                None => drop(measures.members.insert(id, Measure::new(queries, of_address, times))),
            }
        }
        Ok(())
    }

    fn bound_loads(&mut self) {
        let bounds: Vec<(u16, f64)> = self
            .config
            .pools
            .iter()
            .filter_map(|(name, pool)| {
                let percent = pool.bounded_load?;
                let open = self.open_members(name, pool, self.health.decision(name)?);
                let standings: Vec<Standing> = open.iter().map(|(_, _, standing)| *standing).collect();
                let bounds = open.iter().zip(bound(&standings, percent, pool.slow_start));
                Some(
                    bounds
                        .filter_map(|((id, ..), bounded)| Some((*id.as_ref()?, bounded)))
                        .collect::<Vec<_>>(),
                )
            })
            .flatten()
            .collect();
        for (id, bounded) in bounds {
            if let Some(measure) = self.health.measures.members.get_mut(&id) {
                measure.bounded = bounded;
            }
        }
    }

    /// Those that get queries by this decision: their ids, their places among the pool's, and how they fare.
    fn open_members(
        &self,
        name: &str,
        pool: &Pool,
        decision: &Decision,
    ) -> Vec<(Option<u16>, usize, Standing)> {
        let (names, measures) = (self.names(), &self.health.measures);
        let id = names.pools.iter().find(|(_, other)| *other == name).map(|(id, _)| *id);
        let ids: BTreeMap<SocketAddr, u16> = names
            .backends
            .iter()
            .filter(|(_, member)| Some(member.pool) == id)
            .map(|(id, member)| (member.address, *id))
            .collect();
        let members = pool.backends.iter().zip(&decision.open).enumerate();
        let open = members.filter(|(_, (backend, is_open))| **is_open && backend.share() > 0);
        open.map(|(place, (backend, _))| {
            let id = ids.get(&backend.address).copied();
            let measure = id.and_then(|id| measures.members.get(&id));
            let measured = measure.and_then(|measure| measure.latency);
            let checked = || self.health.portrait(name, backend.address)?.latency;
            let came_up = measures.came_up.get(&(name.to_owned(), backend.address));
            let standing = Standing {
                weight: backend.share(),
                up_for: came_up.map(Instant::elapsed),
                latency: measured.map(Duration::from_secs_f64).or_else(checked),
                loss: measure.map_or(0.0, |measure| measure.loss),
                queries: measure.map_or(0, |measure| measure.queries),
                bounded: measure.map_or(1.0, |measure| measure.bounded),
            };
            (id, place, standing)
        })
        .collect()
    }

    /// The shares of a pool's members, in their order, by this decision.
    pub(super) fn shares(&self, name: &str, pool: &Pool, decision: &Decision) -> BTreeMap<SocketAddr, Share> {
        let members = pool.backends.iter().zip(&decision.open);
        // To whom there is no way, the word says so.
        let share = |is_open: bool, address| match is_open || !self.is_reachable(address) {
            true => Share::WHOLE,
            false => Share::Shut,
        };
        let mut shares: BTreeMap<SocketAddr, Share> =
            members.map(|(backend, open)| (backend.address, share(*open, backend.address))).collect();
        // Where health is ignored, everybody is needed.
        if let Some(wanted) = wanted(pool).filter(|_| matches!(decision.mode, Mode::Normal { .. })) {
            let open = self.open_members(name, pool, decision);
            let standings: Vec<Standing> = open.iter().map(|(_, _, standing)| *standing).collect();
            for ((_, place, _), withheld) in open.iter().zip(withheld(&standings, wanted)) {
                shares.insert(pool.backends[*place].address, Share::Open { withheld });
            }
        }
        shares
    }
}
