//! The counters that prove who carried the queries.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::{Context, Result};
use dproxy_common::reason::Reason;
use dproxy_lab::Balancer;

use crate::path::SHOWN;
use crate::tour::Tour;

/// Packets that are no concern of dproxy's fast path: neighbour discovery, the HTTP update, and what the
/// slow path's own connections to backends bring back.
const NOT_OURS: [&str; 2] = [Reason::NotIp.label(), Reason::NotForListener.label()];

/// Packets by the label of their reason, as dproxy counts them.
pub(crate) struct Counters(BTreeMap<String, u64>);

impl Counters {
    /// What dproxy has counted so far.
    pub(crate) fn read(balancer: &Balancer) -> Result<Self> {
        let stats = balancer.cli(&["stats"])?;
        let reasons = stats.get("reasons").context("`dproxy stats --json` shows no reasons")?;
        let counters = serde_json::from_value(reasons.clone());
        Ok(Self(counters.context("read the reasons that `dproxy stats --json` shows")?))
    }

    /// What was counted after `before`.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let counted = self.0.iter();
        let counted =
            counted.map(|(label, packets)| (label.clone(), packets.saturating_sub(before.of(label))));
        Self(counted.collect())
    }

    fn of(&self, label: &str) -> u64 {
        self.0.get(label).copied().unwrap_or(0)
    }

    /// What was counted, and is neither shown anyway nor to be ignored.
    fn others(&self) -> impl Iterator<Item = (&str, u64)> {
        let known = |label: &str| NOT_OURS.contains(&label) || SHOWN.iter().any(|(shown, _)| *shown == label);
        let counted = self.0.iter().filter(|(_, packets)| **packets > 0);
        counted.map(|(label, packets)| (label.as_str(), *packets)).filter(move |(label, _)| !known(label))
    }
}

/// Prints the proof, or what is missing; whether it is one.
pub(crate) fn show(tour: &Tour, counted: &Counters, out: &mut impl Write) -> Result<bool> {
    writeln!(out, "\nWhat dproxy counted in the kernel meanwhile:\n")?;
    let mut proven = tour.failures.is_empty();
    let mut line = |good: bool, label: &str, packets: u64, meaning: &str| {
        proven &= good;
        writeln!(out, "{} {label:<18} {packets:>4}   {meaning}", if good { '✓' } else { '✗' })
    };
    for (label, meaning) in SHOWN {
        let (packets, expected) = (counted.of(label), tour.expected.get(label).copied().unwrap_or_default());
        let bound = if expected.at_least { "at least " } else { "" };
        let expectation = format!("expected {bound}{}: {meaning}", expected.packets);
        let good = expected.is_met_by(packets);
        line(good, label, packets, if good { meaning } else { &expectation })?;
    }
    let others: Vec<_> = counted.others().collect();
    if others.is_empty() {
        line(true, "anything else", 0, "nothing went another way, and nothing was dropped")?;
    }
    for (label, packets) in others {
        line(false, label, packets, description(label))?;
    }
    for failure in &tour.failures {
        writeln!(out, "✗ {failure}")?;
    }
    let verdict = if proven {
        "Proven: UDP took the fast path both ways, to remote and to local servers, and the slow path served \
         the rest."
    } else {
        "Not proven: see the lines with ✗."
    };
    writeln!(out, "\n{verdict}")?;
    Ok(proven)
}

fn description(label: &str) -> &'static str {
    let reason = Reason::ALL.into_iter().find(|reason| reason.label() == label);
    reason.map_or("", |reason| reason.description().trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::Path;

    /// What is shown for two questions that were forwarded and one over TCP, and these counters.
    fn shown(counted: &[(&str, u64)], failures: &[&str]) -> (bool, String) {
        let mut tour = Tour::default();
        for path in [Path::Forwarded, Path::Forwarded, Path::Slow(Reason::Tcp.label())] {
            path.add_to(&mut tour.expected);
        }
        tour.failures = failures.iter().map(ToString::to_string).collect();
        let counted = counted.iter().map(|(label, packets)| ((*label).to_owned(), *packets));
        let mut out = Vec::new();
        let proven = show(&tour, &Counters(counted.collect()), &mut out).unwrap();
        (proven, String::from_utf8(out).unwrap())
    }

    const GOOD: [(&str, u64); 4] =
        [("query-forwarded", 2), ("reply-forwarded", 2), ("tcp", 5), ("not-for-listener", 9)];

    #[test]
    fn what_was_expected_is_a_proof() {
        let (proven, text) = shown(&GOOD, &[]);
        assert!(proven && text.contains("✓ anything else         0") && !text.contains('✗'), "{text}");
    }

    #[test]
    fn anything_else_is_none() {
        for (label, packets, expected) in [
            ("query-forwarded", 1, "✗ query-forwarded       1   expected 2: one for each"),
            ("reply-forwarded", 3, "✗ reply-forwarded       3   expected 2: "),
            ("tcp", 2, "✗ tcp                   2   expected at least 3: "),
            ("query-delivered", 1, "✗ query-delivered       1   expected 0: "),
            ("bad-name", 1, "✗ bad-name              1   The question's name"),
            ("new-reason", 1, "✗ new-reason            1"),
        ] {
            let mut counted: BTreeMap<&str, u64> = GOOD.into();
            counted.insert(label, packets);
            let (proven, text) = shown(&Vec::from_iter(counted), &[]);
            assert!(!proven && text.contains(expected), "{text}");
        }
        let (proven, text) = shown(&GOOD, &["nobody answered"]);
        assert!(!proven && text.contains("✗ nobody answered"), "{text}");
    }

    #[test]
    fn what_was_counted_before_does_not_count() {
        let counters = |packets| Counters([("tcp".to_owned(), packets)].into());
        assert_eq!(counters(7).since(&counters(3)).of("tcp"), 4);
    }
}
