//! Does the data plane do its job? Asked once a second, end to end as far as one can without a second host.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::events::EventKind;
use super::{Engine, Question, Readiness};
use crate::config::{Name, RecordType};

/// How often it looks.
pub(super) const EVERY: Duration = Duration::from_secs(1);
/// Packets that an interface may take in without one being seen: some are taken off before XDP, or are no IP.
const UNSEEN: u64 = 500;

/// What the watchdog remembers.
#[derive(Debug, Default)]
pub(super) struct Watchdog {
    /// Packets that each interface took in, and that the program has seen.
    before: Option<(BTreeMap<String, u64>, u64)>,
    /// Packets that came in since the program saw one.
    unseen: u64,
    /// What is wrong, as it was said last.
    pub(super) faults: BTreeSet<String>,
}

impl Watchdog {
    /// Takes note of what interfaces took in and of what the program has seen; says what is wrong with that.
    fn note(&mut self, taken: BTreeMap<String, u64>, seen: u64) -> Option<String> {
        let names = taken.keys().cloned().collect::<Vec<_>>().join(", ");
        if let Some((before, seen_before)) = &self.before {
            let new = |(name, packets): (&String, &u64)| {
                before.get(name).map_or(0, |before| packets.saturating_sub(*before))
            };
            let arrived: u64 = taken.iter().map(new).sum();
            self.unseen = if seen == *seen_before { self.unseen + arrived } else { 0 };
        }
        self.before = Some((taken, seen));
        let unseen = self.unseen;
        (unseen > UNSEEN)
            .then(|| format!("{names} took in {unseen} packets, of which the fast path has seen none"))
    }
}

/// Packets that an interface has taken in.
fn taken_in(interface: &str) -> Option<u64> {
    fs::read_to_string(format!("/sys/class/net/{interface}/statistics/rx_packets")).ok()?.trim().parse().ok()
}

impl Engine {
    /// Looks after the data plane, and tells who relies on it.
    pub(super) fn watch(&mut self) {
        let faults = self.faults();
        let before = std::mem::replace(&mut self.watchdog.faults, faults.clone());
        for fault in faults.difference(&before) {
            self.event(EventKind::DataPlaneFailed, None, None, fault.clone());
        }
        for fault in before.difference(&faults) {
            self.event(EventKind::DataPlaneRecovered, None, None, format!("it is over that {fault}"));
        }
        self.readiness.send_replace(Readiness { at: Instant::now(), faults: faults.into_iter().collect() });
    }

    fn faults(&mut self) -> BTreeSet<String> {
        let mut faults: BTreeSet<String> = self.datapath.faults().into_iter().collect();
        faults
            .extend(self.datapath.absence().is_none().then(|| self.fast_path_faults()).into_iter().flatten());
        faults
    }

    fn fast_path_faults(&mut self) -> Vec<String> {
        let mut faults = Vec::new();
        let served = |listener: &&SocketAddr| !listener.ip().is_loopback();
        for listener in self.config.listen.addresses.iter().filter(served) {
            let question = Question {
                name: Name::root(),
                record_type: RecordType::NS,
                from: None,
                listener: Some(*listener),
            };
            match self.explain(&question) {
                Ok(explanation) if explanation.reason != "internal" => {}
                Ok(_) => faults.push(format!("the fast path does not answer on {listener}: internal error")),
                Err(error) => {
                    faults.push(format!(
                        "the fast path does not answer on {listener}: {}",
                        error.detail.message
                    ));
                }
            }
        }
        let interfaces = self.datapath.attachments().into_iter().map(|attachment| attachment.interface);
        let taken = interfaces.filter_map(|name| taken_in(&name).map(|packets| (name, packets))).collect();
        match self.datapath.received() {
            Ok(seen) => faults.extend(self.watchdog.note(taken, seen)),
            Err(problem) => faults.push(problem.to_string()),
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_that_nobody_sees_are_a_fault_until_one_is_seen() {
        let mut watchdog = Watchdog::default();
        let taken = |packets| BTreeMap::from([("eth0".to_owned(), packets)]);
        assert_eq!(watchdog.note(taken(10_000), 7), None, "nothing is known before");
        assert_eq!(watchdog.note(taken(10_400), 7), None, "few may be something else");
        assert_eq!(watchdog.note(taken(10_400), 7), None);
        let says = "eth0 took in 501 packets, of which the fast path has seen none";
        assert_eq!(watchdog.note(taken(10_501), 7).as_deref(), Some(says));
        assert!(watchdog.note(taken(10_501), 7).is_some(), "it is not over because nothing comes");
        assert_eq!(watchdog.note(taken(10_502), 8), None);
        assert_eq!(watchdog.note(taken(20_502), 9), None);
    }
}
