//! The counters that prove who carried the queries.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::{Context, Result};
use dproxy_common::reason::Reason;
use dproxy_lab::Balancer;
use serde_json::Value;

use crate::tour::Tour;

/// What the tour moves, and what it means.
const SHOWN: [(Reason, &str); 4] = [
    (Reason::QueryForwarded, "one for each question to a pool"),
    (Reason::ReplyForwarded, "and as many the other way"),
    (Reason::AnsweredNxdomain, "blocked.test, answered in the kernel"),
    (Reason::NoRoute, "example.org, refused in the kernel"),
];

/// Packets that are no concern of dproxy's: neighbour discovery, and the HTTP update.
const NOT_OURS: [Reason; 2] = [Reason::NotIp, Reason::NotForListener];

/// Packets by reason, as the XDP program counts them.
pub(crate) struct Counters(BTreeMap<Reason, u64>);

impl Counters {
    /// What dproxy has counted so far.
    pub(crate) fn read(balancer: &Balancer) -> Result<Self> {
        let stats = balancer.cli(&["stats"])?;
        let read = |reason: Reason| {
            let packets = packets(&stats, reason);
            let missing = || format!("`dproxy stats --json` does not show {} packets", reason.label());
            Ok((reason, packets.with_context(missing)?))
        };
        Reason::ALL.into_iter().map(read).collect::<Result<_>>().map(Self)
    }

    /// What was counted after `before`.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let counted =
            self.0.iter().map(|(reason, packets)| (*reason, packets.saturating_sub(before.of(*reason))));
        Self(counted.collect())
    }

    fn of(&self, reason: Reason) -> u64 {
        self.0.get(&reason).copied().unwrap_or(0)
    }
}

/// The adapter to `dproxy stats --json`.
fn packets(stats: &Value, reason: Reason) -> Option<u64> {
    stats.get("reasons")?.get(reason.label())?.as_u64()
}

/// Prints the proof, or what is missing; whether it is one.
pub(crate) fn show(tour: &Tour, counted: &Counters, out: &mut impl Write) -> Result<bool> {
    writeln!(out, "\nWhat the XDP program counted meanwhile:\n")?;
    let mut proven = tour.failures.is_empty();
    let mut line = |good: bool, label: &str, packets: u64, meaning: &str| {
        proven &= good;
        writeln!(out, "{} {label:<18} {packets:>4}   {meaning}", if good { '✓' } else { '✗' })
    };
    for (reason, meaning) in SHOWN {
        let (packets, expected) = (counted.of(reason), tour.expected.get(&reason).copied().unwrap_or(0));
        let expectation = format!("expected {expected}: {meaning}");
        let good = packets == expected;
        line(good, reason.label(), packets, if good { meaning } else { &expectation })?;
    }
    let known =
        |reason: Reason| NOT_OURS.contains(&reason) || SHOWN.iter().any(|(shown, _)| *shown == reason);
    let others = Reason::ALL.into_iter().filter(|reason| !known(*reason) && counted.of(*reason) > 0);
    let others: Vec<Reason> = others.collect();
    if others.is_empty() {
        line(true, "anything else", 0, "nothing was left to the slow path, or dropped")?;
    }
    for reason in others {
        line(false, reason.label(), counted.of(reason), reason.description().trim())?;
    }
    for failure in &tour.failures {
        writeln!(out, "✗ {failure}")?;
    }
    let verdict = if proven {
        "Proven: every query went through the fast path, both ways, over IPv4 and IPv6."
    } else {
        "Not proven: see the lines with ✗."
    };
    writeln!(out, "\n{verdict}")?;
    Ok(proven)
}
