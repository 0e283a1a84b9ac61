//! One contestant's samples in one scenario.

use serde::Serialize;

use crate::contestant::Contestant;
use crate::measure::Spread;
use crate::runner::Measured;
use crate::sample::Sample;

/// Medians and ends of what was measured.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// Who.
    pub contestant: Contestant,
    /// Right answers per second.
    pub queries_per_second: Spread,
    /// The balancer's process, per answer.
    pub cpu_ns_per_query: Option<Spread>,
    /// The balancer's processor, per answer.
    pub processor_ns_per_query: Spread,
    /// Median latency.
    pub p50_ns: Spread,
    /// 99 of 100 were not slower.
    pub p99_ns: Spread,
    /// Of all samples together.
    pub sent: u64,
    /// Of all samples together.
    pub lost: u64,
    /// Of all samples together.
    pub withheld: u64,
}

impl Summary {
    /// Of each contestant, in the order of their first samples.
    pub fn of_all(measured: &Measured) -> Vec<Self> {
        let mut contestants: Vec<Contestant> = Vec::new();
        for sample in &measured.samples {
            if !contestants.contains(&sample.contestant) {
                contestants.push(sample.contestant);
            }
        }
        contestants.into_iter().filter_map(|contestant| Self::of(contestant, &measured.samples)).collect()
    }

    fn of(contestant: Contestant, samples: &[Sample]) -> Option<Self> {
        let own = || samples.iter().filter(move |sample| sample.contestant == contestant);
        let spread = |value: fn(&Sample) -> f64| Spread::of(own().map(value));
        Some(Self {
            contestant,
            queries_per_second: spread(|sample| sample.queries_per_second)?,
            cpu_ns_per_query: Spread::of(own().filter_map(|sample| sample.cpu_ns_per_query)),
            processor_ns_per_query: spread(|sample| sample.processor_ns_per_query)?,
            p50_ns: spread(|sample| sample.latency_ns.p50 as f64)?,
            p99_ns: spread(|sample| sample.latency_ns.p99 as f64)?,
            sent: own().map(|sample| sample.sent).sum(),
            lost: own().map(|sample| sample.lost).sum(),
            withheld: own().map(|sample| sample.withheld).sum(),
        })
    }
}
