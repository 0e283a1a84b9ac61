//! What both paths counted of backends, for the checker.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use tracing::error;

use super::super::Engine;
use crate::control::Delivery;
use crate::health::Counts;

/// Who has got no query for so long is not told of any more: longer than the checker looks back.
const IDLE: Duration = Duration::from_secs(10);

impl Engine {
    /// Tells the checker what was counted by now, and where queries come from.
    pub(in crate::daemon) fn read_backends(&mut self) {
        let Some(checker) = &self.health.checker else { return };
        let sources: BTreeMap<SocketAddr, IpAddr> = self
            .deliveries
            .iter()
            .filter_map(|(backend, delivery)| match delivery {
                Delivery::NextHop(hop) => Some((*backend, hop.source.into())),
                Delivery::Local(_) | Delivery::SlowPath(_) | Delivery::Unreachable(_) => None,
            })
            .collect();
        if sources != self.health.sources {
            checker.set_sources(sources.clone());
            self.health.sources = sources;
        }
        let fast = match self.datapath.backend_counters() {
            Ok(counters) => counters,
            Err(problem) => return error!("cannot read the counters of backends: {problem}"),
        };
        let ids = self.names().backends.keys().next_back().map_or(0, |last| usize::from(*last) + 1);
        let slow = self.proxy.backend_counters(ids);
        let mut counts = BTreeMap::<SocketAddr, Counts>::new();
        for (id, address) in &self.names().backends {
            let sum = counts.entry(*address).or_default();
            for counters in [&fast, &slow].into_iter().filter_map(|all| all.get(usize::from(*id))) {
                sum.queries += counters.queries;
                sum.replies += counters.replies;
                sum.failing += counters.servfail + counters.refused;
            }
        }
        let now = Instant::now();
        let before = std::mem::take(&mut self.health.counted);
        let since = |(address, counts): (&SocketAddr, &Counts)| {
            let same = before.get(address).filter(|(before, _)| before == counts);
            (*address, (*counts, same.map_or(now, |(_, since)| *since)))
        };
        self.health.counted = counts.iter().map(since).collect();
        // Of who gets no queries, there is nothing to tell: most of thousands get none.
        counts.retain(|address, _| {
            let new = self.health.counted.get(address);
            new.is_some_and(|(_, since)| now.duration_since(*since) < IDLE)
        });
        checker.tell_counts(counts);
    }
}
