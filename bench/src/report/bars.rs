//! What dproxy has promised, and whether it holds.

use std::fmt;

use serde::Serialize;

use crate::contestant::Contestant;
use crate::load::Pace;
use crate::measure::Spread;
use crate::runner::Measured;
use crate::sample::Sample;

/// A promise, and what was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bar {
    /// What it is about.
    pub name: String,
    /// What was measured: the median.
    pub value: f64,
    /// What was promised.
    pub bar: f64,
    /// What both are counted in, and which way is good.
    pub unit: &'static str,
    /// Whether it is so.
    pub held: bool,
    /// Of the samples or, where two contestants are compared, of their pairs.
    pub spread: Spread,
}

/// The slow path is a DNS proxy in its own right: at least as many queries, and not more time for each.
const AS_GOOD: f64 = 1.0;
const AT_LEAST: &str = "× dnsdist's, at least";
const AT_MOST: &str = "× dnsdist's, at most";

/// The bars for which there are samples. Each compares the two samples of one round, which were taken
/// right after each other.
pub fn all(measured: &[Measured]) -> Vec<Bar> {
    let mut bars = Vec::new();
    for Measured { scenario, samples } in measured {
        let slow_path = |what| format!("slow path, {}: {what}", scenario.name);
        let rate = Spread::of(ratios(samples, |sample| Some(sample.queries_per_second)));
        let cpu = Spread::of(ratios(samples, |sample| sample.cpu_ns_per_query));
        // At a given rate both have the same: only the price differs.
        if scenario.pace == Pace::Window {
            bars.extend(rate.map(|spread| bar(slow_path("queries/s"), spread, AT_LEAST)));
        }
        bars.extend(cpu.map(|spread| bar(slow_path("CPU per query"), spread, AT_MOST)));
    }
    bars
}

fn bar(name: String, spread: Spread, unit: &'static str) -> Bar {
    let held = if unit == AT_LEAST { spread.median >= AS_GOOD } else { spread.median <= AS_GOOD };
    Bar { name, value: spread.median, bar: AS_GOOD, unit, held, spread }
}

/// dproxy's value to dnsdist's, for each round that has both.
fn ratios(samples: &[Sample], value: fn(&Sample) -> Option<f64>) -> Vec<f64> {
    let of = |contestant, round| {
        let found = samples.iter().find(|sample| sample.contestant == contestant && sample.round == round);
        found.and_then(value)
    };
    let rounds = samples.iter().map(|sample| sample.round).max().map_or(0, |last| last + 1);
    let ratio = |round| Some(of(Contestant::DproxySlowPath, round)? / of(Contestant::Dnsdist, round)?);
    (0..rounds).filter_map(ratio).collect()
}

impl Bar {
    /// A median that must not be smaller than `bar`.
    pub fn at_least(name: impl Into<String>, spread: Spread, bar: f64, unit: &'static str) -> Self {
        Self { name: name.into(), value: spread.median, bar, unit, held: spread.median >= bar, spread }
    }

    /// A median that must not be larger than `bar`.
    pub fn at_most(name: impl Into<String>, spread: Spread, bar: f64, unit: &'static str) -> Self {
        Self { name: name.into(), value: spread.median, bar, unit, held: spread.median <= bar, spread }
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { name, value, bar, unit, held, spread } = self;
        let mark = if *held { "held    " } else { "NOT HELD" };
        let Spread { min, max, noisy, .. } = spread;
        write!(f, "{mark} {name}: {value:.2} (bar {bar:.2} {unit}; {min:.2} … {max:.2}")?;
        f.write_str(if *noisy { ", which is noisy)" } else { ")" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{SCENARIOS, Scenario};

    fn sample(contestant: Contestant, round: u32, rate: f64, cpu: Option<f64>) -> Sample {
        Sample {
            contestant,
            round,
            seconds: 1.0,
            sent: 0,
            answered: 0,
            lost: 0,
            withheld: 0,
            queries_per_second: rate,
            process: None,
            cpu_ns_per_query: cpu,
            processors: Vec::new(),
            processor_ns_per_query: 0.0,
            latency_ns: crate::sample::Latency::default(),
        }
    }

    fn measured(scenario: Scenario, dproxy: [(f64, f64); 3]) -> Measured {
        let mut samples = vec![sample(Contestant::Direct, 0, 1e9, None)];
        for (round, (rate, cpu)) in (0..).zip(dproxy) {
            let slowdown = f64::from(round + 1);
            samples.push(sample(Contestant::Dnsdist, round, 100.0 / slowdown, Some(10.0)));
            samples.push(sample(Contestant::DproxySlowPath, round, rate / slowdown, Some(cpu)));
        }
        Measured { scenario, samples }
    }

    #[test]
    fn samples_of_one_round_are_compared() {
        let held = all(&[measured(SCENARIOS[0], [(90.0, 5.0), (110.0, 9.0), (130.0, 20.0)])]);
        let values: Vec<_> = held.iter().map(|bar| (bar.value, bar.held)).collect();
        assert_eq!(values, [(1.1, true), (0.9, true)], "whatever slowed both down in a round");

        let broken = all(&[measured(SCENARIOS[0], [(99.0, 10.1); 3])]);
        assert!(broken.iter().all(|bar| !bar.held), "{broken:?}");
    }

    #[test]
    fn a_rate_that_is_given_is_nobodys_merit() {
        let bars = all(&[measured(SCENARIOS[1], [(100.0, 10.0); 3])]);
        assert_eq!(bars.len(), 1);
        assert!(bars[0].name.contains("CPU") && bars[0].held);
    }

    #[test]
    fn nobody_to_compare_with_is_no_bar() {
        let Measured { scenario, mut samples } = measured(SCENARIOS[0], [(99.0, 10.0); 3]);
        samples.retain(|sample| sample.contestant != Contestant::Dnsdist);
        assert_eq!(all(&[Measured { scenario, samples }]), []);
    }
}
