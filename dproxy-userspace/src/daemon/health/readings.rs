//! What both paths counted of backends, for the checker.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use dproxy_common::abi::BackendCounters;
use tracing::error;

use super::super::Engine;
use crate::control::Delivery;
use crate::health::Counts;

/// Who has got no query for so long is not told of any more: longer than the checker looks back.
const IDLE: Duration = Duration::from_secs(10);

/// What was counted of backends, by id.
#[derive(Debug, Default)]
pub(super) struct Counted(Vec<Option<Count>>);

#[derive(Clone, Copy, Debug)]
struct Count {
    backend: SocketAddr,
    counts: Counts,
    /// When that was last anything new; not yet, if it has not been since it was first looked at.
    since: Option<Instant>,
}

impl Counted {
    /// Takes note of what was counted by now of a backend. Has it got queries of late?
    fn note(&mut self, id: u16, backend: SocketAddr, counts: Counts, now: Instant) -> bool {
        let id = usize::from(id);
        if self.0.len() <= id {
            self.0.resize(id + 1, None);
        }
        let since = match self.0[id].filter(|before| before.backend == backend) {
            Some(before) if before.counts == counts => before.since,
            Some(_) => Some(now),
            None => None,
        };
        self.0[id] = Some(Count { backend, counts, since });
        since.is_some_and(|since| now.duration_since(since) < IDLE)
    }
}

impl Engine {
    /// Tells the checker what was counted by now. Of who gets no queries, there is nothing to tell: most of thousands get
    /// none.
    pub(in crate::daemon) fn read_backends(&mut self) {
        let fast = match self.datapath.backend_counters() {
            Ok(counters) => counters,
            Err(problem) => return error!("cannot read the counters of backends: {problem}"),
        };
        let ids = self.names().backends.keys().next_back().map_or(0, |last| usize::from(*last) + 1);
        let slow = self.proxy.backend_counters(ids);
        let mut counted = std::mem::take(&mut self.health.counted);
        let mut counts = BTreeMap::<SocketAddr, Counts>::new();
        let now = Instant::now();
        let of_both = |id: u16| {
            let counters = [&fast, &slow].map(|all| all.get(usize::from(id)));
            counters.into_iter().flatten().fold(Counts::default(), add)
        };
        for (&id, member) in &self.names().backends {
            if counted.note(id, member.address, of_both(id), now) {
                counts.insert(member.address, Counts::default());
            }
        }
        // A backend in several pools: all of them together, also those for which it has got none of late.
        let members = if counts.is_empty() { None } else { Some(&self.names().backends) };
        for (&id, member) in members.into_iter().flatten() {
            if let Some(sum) = counts.get_mut(&member.address) {
                let Counts { queries, replies, failing } = of_both(id);
                *sum = Counts {
                    queries: sum.queries + queries,
                    replies: sum.replies + replies,
                    failing: sum.failing + failing,
                };
            }
        }
        self.health.counted = counted;
        if let Some(checker) = &self.health.checker {
            checker.tell_counts(counts);
        }
    }

    /// Tells the checker where queries come from.
    pub(in crate::daemon) fn tell_sources(&mut self) {
        let Some(checker) = &self.health.checker else { return };
        let source = |(backend, delivery): (&SocketAddr, &Delivery)| match delivery {
            Delivery::NextHop(hop) => Some((*backend, IpAddr::from(hop.source))),
            Delivery::Local(_) | Delivery::SlowPath(_) | Delivery::Unreachable(_) => None,
        };
        let sources: BTreeMap<SocketAddr, IpAddr> = self.deliveries.iter().filter_map(source).collect();
        if sources != self.health.sources {
            checker.set_sources(sources.clone());
            self.health.sources = sources;
        }
    }
}

fn add(sum: Counts, counters: &BackendCounters) -> Counts {
    Counts {
        queries: sum.queries + counters.queries,
        replies: sum.replies + counters.replies,
        failing: sum.failing + counters.servfail + counters.refused,
    }
}
