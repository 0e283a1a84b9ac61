//! The counters, with names instead of ids.

use std::time::Instant;

use dproxy_common::abi::{BackendCounters, ListenerCounters};
use dproxy_common::reason::Reason;
use tracing::error;

use super::Engine;
use super::view::route_view;
use crate::api::{
    ApiError, BackendStats, LatencyStats, ListenerStats, PoolStats, RouteStats, SlowPathStats, Stats,
};
use crate::datapath::{self, DatapathError};
use crate::health::Histogram;
use crate::slow_path;

/// The counters of both paths.
pub(super) struct Counters {
    fast: datapath::Counters,
    slow: slow_path::Counters,
}

impl Engine {
    /// Queries forwarded or answered, by both paths; the slow path's counters are `slow`.
    pub(super) fn queries(&self, slow: &slow_path::Counters) -> Result<u64, DatapathError> {
        let fast = self.datapath.listener_counters()?;
        Ok(fast.iter().chain(&slow.listeners).map(|listener| listener.queries).sum())
    }

    /// Remembers how many there are now, for the rate.
    pub(super) fn note_queries(&mut self) {
        match self.queries(&self.proxy.counters()) {
            Ok(queries) => self.life.queries.note(Instant::now(), queries),
            Err(problem) => error!("cannot read the counters: {problem}"),
        }
    }

    /// Reads the counters of both paths.
    fn counters(&self) -> Result<Counters, DatapathError> {
        Ok(Counters { fast: self.datapath.counters()?, slow: self.proxy.counters() })
    }

    /// All counters, of everybody in the generation in force.
    pub fn stats(&self) -> Result<Stats, ApiError> {
        let counters = self.counters()?;
        let mut stats = Stats {
            generation: self.generation,
            uptime_milliseconds: self.life.started.elapsed().as_millis() as u64,
            received: counters.fast.received,
            slots_overwritten: counters.fast.slots_overwritten,
            slow_path: slow_path_stats(&counters.slow),
            ..Stats::default()
        };
        for (reason, &packets) in Reason::ALL.iter().zip(&counters.fast.reasons) {
            stats.reasons.insert(reason.label().to_owned(), packets);
            *stats.verdicts.entry(reason.verdict().label().to_owned()).or_default() += packets;
        }
        self.name_counters(&counters, &mut stats);
        Ok(stats)
    }

    /// Adds up what both paths counted, by names.
    fn name_counters(&self, Counters { fast, slow }: &Counters, stats: &mut Stats) {
        let names = self.names();
        for (id, &address) in &names.listeners {
            let [fast, slow]: [ListenerCounters; 2] =
                [counter(&fast.listeners, *id), counter(&slow.listeners, *id)];
            stats.listeners.push(ListenerStats {
                address,
                queries: fast.queries + slow.queries,
                responses: fast.responses + slow.responses,
            });
        }
        stats.listeners.sort_by_key(|listener| listener.address);

        let held = self.datapath.held();
        for (pattern, target) in &self.config.routes {
            let id = held.as_ref().and_then(|held| held.route_id(pattern));
            let queries = id.map_or(0, |id| counter(&fast.routes, id) + counter(&slow.routes, id));
            stats.routes.push(RouteStats { route: route_view(pattern, target), queries });
        }
        for (id, name) in &names.pools {
            let queries = counter(&fast.pools, *id) + counter(&slow.pools, *id);
            stats.pools.push(PoolStats { name: name.clone(), queries });
        }
        stats.pools.sort_by(|a, b| a.name.cmp(&b.name));
        for (id, &member) in &names.backends {
            let times = Histogram(counter(&fast.latencies, *id).0);
            let [fast, slow]: [BackendCounters; 2] =
                [counter(&fast.backends, *id), counter(&slow.backends, *id)];
            stats.backends.push(BackendStats {
                address: member.address,
                pool: names.pool_of(&member).unwrap_or_default().to_owned(),
                queries: fast.queries + slow.queries,
                replies: fast.replies + slow.replies,
                noerror: fast.noerror + slow.noerror,
                nxdomain: fast.nxdomain + slow.nxdomain,
                servfail: fast.servfail + slow.servfail,
                refused: fast.refused + slow.refused,
                other: fast.other + slow.other,
                late: fast.late + slow.late,
                latency: latency(&times),
            });
        }
        stats.backends.sort_by(|a, b| (a.address, &a.pool).cmp(&(b.address, &b.pool)));
    }
}

/// The percentiles of a histogram.
fn latency(times: &Histogram) -> Option<LatencyStats> {
    let microseconds = |share| times.quantile(share).map(|time| time.as_micros() as u64);
    Some(LatencyStats {
        timed: times.total(),
        p50_microseconds: microseconds(0.5)?,
        p90_microseconds: microseconds(0.9)?,
        p99_microseconds: microseconds(0.99)?,
    })
}

fn slow_path_stats(counters: &slow_path::Counters) -> SlowPathStats {
    let reasons = slow_path::Reason::ALL.iter().zip(&counters.reasons);
    SlowPathStats {
        reasons: reasons.map(|(reason, &count)| (reason.label().to_owned(), count)).collect(),
        tcp_connections: counters.tcp_connections,
        backend_connections: counters.backend_connections,
        queries_in_flight: counters.queries_in_flight,
    }
}

/// Zero for an id that nothing has been counted for.
fn counter<T: Copy + Default>(counters: &[T], id: impl Into<u32>) -> T {
    counters.get(id.into() as usize).copied().unwrap_or_default()
}
