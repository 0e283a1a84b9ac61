//! The counters, with names instead of ids.

use std::collections::BTreeMap;

use dproxy_common::abi::{BackendCounters, ListenerCounters};
use dproxy_common::reason::Reason;

use super::Engine;
use super::explain::verdict;
use crate::api::{ApiError, BackendStats, ListenerStats, PoolStats, RouteStats, Stats};
use crate::datapath::Counters;

/// Queries forwarded or answered.
pub(super) fn queries(counters: &Counters) -> u64 {
    counters.listeners.iter().map(|listener| listener.queries).sum()
}

impl Engine {
    /// All counters, of everybody in the generation in force.
    pub fn stats(&self) -> Result<Stats, ApiError> {
        let counters = self.datapath.counters()?;
        let mut stats = Stats {
            generation: self.generation,
            uptime_milliseconds: self.life.started.elapsed().as_millis() as u64,
            received: counters.received,
            slots_overwritten: counters.slots_overwritten,
            ..Stats::default()
        };
        for (reason, &packets) in Reason::ALL.iter().zip(&counters.reasons) {
            stats.reasons.insert(reason.label().to_owned(), packets);
            *stats.verdicts.entry(verdict(reason.verdict()).to_owned()).or_default() += packets;
        }
        self.name_counters(&counters, &mut stats);
        Ok(stats)
    }

    fn name_counters(&self, counters: &Counters, stats: &mut Stats) {
        for (id, &address) in &self.names.listeners {
            let ListenerCounters { queries, responses } = counter(&counters.listeners, *id);
            stats.listeners.push(ListenerStats { address, queries, responses });
        }
        stats.listeners.sort_by_key(|listener| listener.address);

        let ids: BTreeMap<_, _> = self.names.routes.iter().map(|(id, pattern)| (pattern, id)).collect();
        for (pattern, id) in ids {
            if let Ok(route) = self.route(pattern) {
                let queries = counters.routes.get(*id as usize).copied().unwrap_or_default();
                stats.routes.push(RouteStats { route, queries });
            }
        }
        for (id, name) in &self.names.pools {
            let queries = counter(&counters.pools, *id);
            stats.pools.push(PoolStats { name: name.clone(), queries });
        }
        stats.pools.sort_by(|a, b| a.name.cmp(&b.name));
        for (id, &address) in &self.names.backends {
            let BackendCounters {
                queries,
                replies,
                noerror,
                nxdomain,
                servfail,
                refused,
                other,
                reserved: _,
            } = counter(&counters.backends, *id);
            stats.backends.push(BackendStats {
                address,
                queries,
                replies,
                noerror,
                nxdomain,
                servfail,
                refused,
                other,
            });
        }
        stats.backends.sort_by_key(|backend| backend.address);
    }
}

fn counter<T: Copy + Default>(counters: &[T], id: u16) -> T {
    counters.get(usize::from(id)).copied().unwrap_or_default()
}
