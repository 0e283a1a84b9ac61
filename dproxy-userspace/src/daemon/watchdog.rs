//! Does the data plane do its job? Asked once a second, end to end as far as one can without a second host.

mod packets;
mod threads;

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use self::packets::Packets;
use self::threads::Threads;
use super::events::EventKind;
use super::{Engine, Question, Readiness};
use crate::config::{Name, RecordType, XdpMode};

/// How often it looks.
pub(super) const EVERY: Duration = Duration::from_secs(1);
/// What the watchdog remembers.
#[derive(Debug, Default)]
pub(super) struct Watchdog {
    packets: Packets,
    threads: Threads,
    /// What is wrong, as it was said last.
    pub(super) faults: BTreeSet<String>,
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
        if self.datapath.absence().is_none() {
            faults.extend(self.fast_path_faults());
        }
        faults.extend(self.watchdog.threads.note(&self.proxy.pulses(), Instant::now()));
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
        let attachments = self.datapath.attachments();
        // The stack may have made one of several packets before generic XDP sees it.
        let is_exact = attachments.iter().all(|attachment| attachment.mode == XdpMode::Native);
        let interfaces = attachments.into_iter().map(|attachment| attachment.interface);
        let taken = interfaces.filter_map(|name| taken_in(&name).map(|packets| (name, packets))).collect();
        match self.datapath.received() {
            Ok(seen) => faults.extend(self.watchdog.packets.note(taken, seen, is_exact)),
            Err(problem) => faults.push(problem.to_string()),
        }
        faults
    }
}
