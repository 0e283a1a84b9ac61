//! What dproxy counted.

use std::collections::BTreeMap;

use dproxy_common::reason::Reason;
use dproxy_lab::Balancer;

/// Packets by reason, from `dproxy stats`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters(BTreeMap<&'static str, u64>);

impl Counters {
    /// All counters so far. What was received must be the sum of the reasons.
    pub fn read(balancer: &Balancer) -> Self {
        let stats = balancer.cli(&["stats"]).unwrap();
        let packets = |reason: Reason| {
            let packets = stats["reasons"][reason.label()].as_u64();
            (reason.label(), packets.unwrap_or_else(|| panic!("stats do not show {}", reason.label())))
        };
        let counters = Self(Reason::ALL.into_iter().map(packets).collect());
        let listed = stats["reasons"].as_object().unwrap().len();
        assert_eq!(listed, Reason::COUNT, "stats show a reason that does not exist");
        assert_eq!(stats["received"].as_u64(), Some(counters.total()), "received = sum of all reasons");
        counters
    }

    /// Packets that ended so.
    pub fn of(&self, reason: Reason) -> u64 {
        self.0[reason.label()]
    }

    /// All packets.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// What was counted after `before`.
    pub fn since(&self, before: &Self) -> Self {
        Self(self.0.iter().map(|(label, packets)| (*label, packets - before.0[label])).collect())
    }
}
