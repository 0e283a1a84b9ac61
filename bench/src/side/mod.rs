//! Balancers side by side, on the same two processors as who asks and who answers.
//!
//! docs/benchmark.md says what is measured, and who is charged for what.

mod awake;
mod flood;
#[path = "../../ebpf/src/frame.rs"]
#[expect(dead_code, reason = "what programs alone need")]
mod frame;
mod kxdpgun;
mod paced;
mod programs;
mod query;
mod rig;
mod search;
mod turn;
mod wiring;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use dproxy_lab::{Interrupt, XdpReflector};
use serde::Serialize;

use crate::contestant::Contestant;
use turn::{Floor, Turn};

pub use frame::MOST_CLIENTS;
pub use kxdpgun::Witnessed;

pub use turn::{LOSS, Sample};

/// Clients that ask.
pub const CLIENTS: u32 = 60_000;
/// Shares of dnsdist's highest rate at which answers are timed.
pub const SHARES: [f64; 3] = [0.2, 0.5, 0.8];
/// What dnsdist's highest rate is taken for where it is not measured.
const WITHOUT_DNSDIST: f64 = 100_000.0;
/// Who is measured, in that order: the others' rates are shares of dnsdist's.
pub const CONTESTANTS: [Contestant; 7] = [
    Contestant::Dnsdist,
    Contestant::DproxyNative,
    Contestant::DproxyGeneric,
    Contestant::DproxySlowPath,
    Contestant::Nftables,
    Contestant::Nginx,
    Contestant::Redirect,
];

/// How this part is measured.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// So many samples of each.
    pub rounds: u32,
    /// What the measurement of one rate takes.
    pub duration: Duration,
    /// What a try takes, when the highest rate is looked for.
    pub trial: Duration,
    /// Who is measured.
    pub contestants: Vec<Contestant>,
    /// The dproxy.
    pub dproxy: PathBuf,
    /// What the backend sets in the flags of a query: its mark.
    pub mark: u16,
    /// What it adds to the ID: nothing, but to see that it is noticed.
    pub id: u16,
    /// At whom kxdpgun is to have a look, too.
    pub witness: Vec<Contestant>,
}

impl Plan {
    /// Whether the backend answers wrongly.
    fn is_spoiled(&self) -> bool {
        (self.mark, self.id) != (XdpReflector::MARK, 0)
    }
}

/// All that came out.
#[derive(Debug, Default, Serialize)]
pub struct Results {
    /// Without a balancer, round by round.
    pub floors: Vec<Floor>,
    /// In the order in which they were taken.
    pub samples: Vec<Sample>,
    /// Who could not be measured, and why.
    pub failures: Vec<Failure>,
    /// By kxdpgun.
    pub witnessed: Vec<Witnessed>,
    /// Shares of it are the rates at which answers were timed, queries a second.
    pub reference: f64,
}

/// Why a contestant has no sample in a round.
#[derive(Debug, Serialize)]
pub struct Failure {
    /// Who.
    pub contestant: Contestant,
    /// When.
    pub round: u32,
    /// Why.
    pub why: String,
}

/// Measures everything, in namespaces whose names begin with `prefix`. Progress goes to stderr.
pub fn measure(plan: &Plan, prefix: &str, interrupt: &Interrupt) -> Result<Results> {
    let mut results = Results { reference: WITHOUT_DNSDIST, ..Results::default() };
    for round in 0..plan.rounds {
        let mut order = plan.contestants.clone();
        if round % 2 == 1 {
            order.reverse();
        }
        for contestant in order {
            // A contestant that fails is not asked again.
            if results.failures.iter().any(|failure| failure.contestant == contestant) {
                continue;
            }
            let hint = results.samples.iter().rfind(|sample| sample.contestant == contestant);
            let hint = hint.map(|sample| sample.highest.offered);
            let turn = Turn { plan, prefix, interrupt, round, reference: results.reference };
            match turn.take(contestant, hint) {
                Ok((sample, witnessed)) => {
                    if contestant == Contestant::Dnsdist && round == 0 {
                        results.reference = sample.highest.answered;
                    }
                    let (name, rate) = (contestant.title(), sample.highest.answered);
                    eprintln!("  {} of {}  {name:<20} {rate:>9.0} queries/s", round + 1, plan.rounds);
                    results.samples.push(sample);
                    results.witnessed.extend(witnessed);
                }
                Err(error) if interrupt.came()? => return Err(error),
                Err(error) => {
                    eprintln!("  {} of {}  {:<20} {error:#}", round + 1, plan.rounds, contestant.title());
                    let why = format!("{error:#}").replace('\n', " ");
                    results.failures.push(Failure { contestant, round, why });
                }
            }
        }
        let turn = Turn { plan, prefix, interrupt, round, reference: results.reference };
        let of_round = results.samples.iter_mut().filter(|sample| sample.round == round);
        results.floors.push(turn.floor(of_round)?);
    }
    Ok(results)
}

#[cfg(test)]
pub mod test {
    //! Results that nobody has measured.

    use super::programs::Seen;
    use super::rig::{Load, Trial};
    use super::turn::Memories;
    use super::*;
    use crate::control::Memory;
    use crate::sample::Latency;

    /// Those of these samples.
    pub fn results(samples: Vec<Sample>) -> Results {
        Results { samples, reference: 100_000.0, ..Results::default() }
    }

    /// A sample with this rate, time per query, and p99; a crowd halves the rate, and takes 2 MiB.
    pub fn sample(contestant: Contestant, round: u32, rate: f64, cpu: f64, p99: u64) -> Sample {
        let trial = |load, answered| Trial {
            load,
            clients: CLIENTS,
            seconds: 1.0,
            seen: Seen::default(),
            offered: answered,
            answered,
            chain_ns: cpu,
            process_ns: 0.0,
            latency_ns: Some(Latency { p50: p99 / 2, p99, p999: p99 * 2 }),
        };
        let memory = |anonymous| Memory { anonymous, maps: 0 };
        Sample {
            contestant,
            round,
            highest: trial(Load::Flood, rate),
            cpu_ns: Some(cpu),
            twice: None,
            timed: SHARES.map(|share| trial(Load::Rate(share), share)).into(),
            timed_cpu_ns: vec![Some(cpu); SHARES.len()],
            crowd: Some(trial(Load::Flood, rate / 2.0)),
            memory: Some(Memories { before: memory(0), after: memory(2 << 20) }),
        }
    }
}
