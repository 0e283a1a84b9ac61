//! What dproxy counted.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use dproxy_common::reason::Reason;
use dproxy_lab::Balancer;
use dproxy_userspace::slow_path;

use super::wait_for;

const PATIENCE: Duration = Duration::from_secs(2);
/// What goes on whether or not somebody asks, and how many connections to backends there happen to be.
const NOISE: [&str; 5] =
    ["not-ip", "not-for-listener", "backend-connected", "connection-idle", "connection-accepted"];

/// Packets by reason, of the fast path and of the slow path, from `/v1/stats`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters {
    fast: BTreeMap<&'static str, u64>,
    slow: BTreeMap<&'static str, u64>,
    overwritten: u64,
}

impl Counters {
    /// All counters so far. What was received must be the sum of the reasons, but for a packet that comes
    /// while they are read.
    pub fn read(balancer: &Balancer) -> Self {
        wait_for("received = sum of all reasons", PATIENCE, || Self::read_once(balancer))
    }

    fn read_once(balancer: &Balancer) -> Option<Self> {
        let stats = ask_for_stats(balancer);
        let count = |reasons: &serde_json::Value, label: &'static str| {
            let count = reasons[label].as_u64();
            (label, count.unwrap_or_else(|| panic!("stats do not show {label}")))
        };
        let fast_reasons = &stats["reasons"];
        let fast = Reason::ALL.into_iter().map(|reason| count(fast_reasons, reason.label())).collect();
        let slow_reasons = &stats["slow_path"]["reasons"];
        let slow_labels = slow_path::Reason::ALL.into_iter().map(|reason| reason.label());
        let slow = slow_labels.map(|label| count(slow_reasons, label)).collect();
        let counters = Self { fast, slow, overwritten: stats["slots_overwritten"].as_u64().unwrap() };
        let listed = stats["reasons"].as_object().unwrap().len();
        assert_eq!(listed, Reason::COUNT, "stats show a reason that does not exist");
        assert_eq!(counters.slow(slow_path::Reason::Internal), 0, "a broken invariant");
        (stats["received"].as_u64() == Some(counters.total())).then_some(counters)
    }

    /// Packets that ended so on the fast path.
    pub fn of(&self, reason: Reason) -> u64 {
        self.fast[reason.label()]
    }

    /// What ended so on the slow path.
    pub fn slow(&self, reason: slow_path::Reason) -> u64 {
        self.slow[reason.label()]
    }

    /// Queries that were forwarded while their slots still waited for other replies.
    pub fn overwritten(&self) -> u64 {
        self.overwritten
    }

    /// All packets on the fast path.
    pub fn total(&self) -> u64 {
        self.fast.values().sum()
    }

    /// What was counted after `before`.
    pub fn since(&self, before: &Self) -> Self {
        let subtract = |now: &BTreeMap<&'static str, u64>, before: &BTreeMap<&'static str, u64>| {
            now.iter().map(|(label, packets)| (*label, packets - before[label])).collect()
        };
        Self {
            fast: subtract(&self.fast, &before.fast),
            slow: subtract(&self.slow, &before.slow),
            overwritten: self.overwritten - before.overwritten,
        }
    }

    /// The way of a query: the reasons of the fast path, then, behind `|`, those of the slow path, in
    /// alphabetical order.
    pub fn path(&self) -> String {
        let labels = |counters: &BTreeMap<&'static str, u64>| {
            let counted = counters.iter().filter(|(label, count)| **count > 0 && !NOISE.contains(label));
            counted.map(|(label, _)| *label).collect::<Vec<_>>().join(" ")
        };
        format!("{} | {}", labels(&self.fast), labels(&self.slow)).trim().to_owned()
    }
}

/// As any program may ask: that takes less time than to start one.
fn ask_for_stats(balancer: &Balancer) -> serde_json::Value {
    let mut stream = UnixStream::connect(balancer.socket()).unwrap();
    stream.write_all(b"GET /v1/stats HTTP/1.0\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let body = response.split_once("\r\n\r\n").filter(|(head, _)| head.contains(" 200 OK"));
    let (_, body) = body.unwrap_or_else(|| panic!("stats: {response}"));
    serde_json::from_str(body).unwrap_or_else(|error| panic!("stats: {error}: {body}"))
}
