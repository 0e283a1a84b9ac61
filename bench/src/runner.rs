//! Who is measured when: contestants take turns, so that what the machine does meanwhile hits all of them.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use dproxy_lab::Interrupt;
use serde::Serialize;

use crate::backend::Backend;
use crate::chain::Chain;
use crate::checks::{self, Checked};
use crate::contestant::Contestant;
use crate::control::{self, Life};
use crate::failures;
use crate::program::{self, Costs};
use crate::sample::Sample;
use crate::scenario::{Scenario, Transport};
use crate::side;
use crate::stage::Stage;
use crate::witness::{self, Witnessed};

/// How much is measured.
#[derive(Debug, Serialize)]
pub struct Plan {
    /// So many samples of each.
    pub rounds: u32,
    /// Load without measuring, before each sample.
    pub warm_up: Duration,
    /// What one sample takes.
    pub duration: Duration,
    /// Who.
    pub contestants: Vec<Contestant>,
    /// How balancers are measured side by side, if they are.
    pub side: Option<side::Plan>,
    /// What.
    pub scenarios: Vec<Scenario>,
    /// Whether the program is measured by itself.
    pub program: bool,
    /// Of that, only cases whose name has this in it.
    pub case: String,
    /// Whether dnsperf is to have a look, too.
    pub witness: bool,
    /// Whether the control plane is measured.
    pub control: bool,
    /// So often each way to fail is tried.
    pub failures: u32,
    /// So often the checks of thousands are measured.
    pub checks: u32,
    /// So many daemons' lives, if it is.
    pub lives: u32,
    /// So many routes are edited at a time.
    pub edits: usize,
    /// Where it keeps its files.
    pub folder: PathBuf,
    /// Whether we come before everything else on this machine.
    pub precedence: bool,
    /// The dproxy to measure.
    pub dproxy: PathBuf,
}

/// All that came out.
#[derive(Debug)]
pub struct Results {
    /// The program by itself.
    pub costs: Costs,
    /// Side by side.
    pub side: side::Results,
    /// By our own generator.
    pub measured: Vec<Measured>,
    /// By dnsperf.
    pub witnessed: Vec<Witnessed>,
    /// Daemons' lives, one a round.
    pub lives: Vec<Life>,
    /// Backends that fail.
    pub failures: failures::Results,
    /// The checks of thousands.
    pub checked: Vec<Checked>,
}

/// All samples of one scenario, in the order in which they were taken.
#[derive(Debug, Serialize)]
pub struct Measured {
    /// What was measured.
    pub scenario: Scenario,
    /// What came out.
    pub samples: Vec<Sample>,
}

impl Plan {
    /// Measures everything, in namespaces whose names begin with `prefix`. Progress goes to stderr.
    pub fn run(&self, prefix: &str, interrupt: &Interrupt) -> Result<Results> {
        let mut side = side::Results::default();
        if let Some(plan) = &self.side {
            eprintln!("side by side");
            // Each contestant has a chain of its own, which is gone when the next one comes.
            side = side::measure(plan, prefix, interrupt).context("side by side")?;
        }
        let mut failed = failures::Results::default();
        if self.failures > 0 {
            eprintln!("backends that fail");
            failed = failures::measure(prefix, &self.dproxy, self.failures, interrupt)
                .context("backends that fail")?;
        }
        let mut checked = Vec::new();
        for round in 0..self.checks {
            eprintln!("checks of {} backends, {} of {}", checks::BACKENDS, round + 1, self.checks);
            let one = checks::measure(prefix, &self.dproxy, self.duration * 2, interrupt);
            checked.push(one.context("checks of thousands")?);
        }
        let chain = Chain::build(prefix)?;
        let mut costs = Costs::default();
        if self.program {
            eprintln!("the program by itself");
            costs = program::measure(&chain.balancer, &self.case, self.rounds, interrupt)
                .context("the program by itself")?;
        }
        let measure = |scenario: &Scenario| {
            eprintln!("{}", scenario.title);
            self.measure(&chain, *scenario, interrupt)
        };
        let measured = self.scenarios.iter().map(measure).collect::<Result<_>>()?;
        let mut witnessed = Vec::new();
        if self.witness {
            for transport in [Transport::Udp, Transport::Tcp] {
                for contestant in &self.contestants {
                    let seen = witness::look(&chain, transport, *contestant, self, interrupt);
                    witnessed.push(seen.with_context(|| format!("dnsperf: {}", contestant.title()))?);
                }
            }
        }
        let mut lives = Vec::new();
        if self.control {
            let [few, .., most] = control::SIZES;
            eprintln!("the control plane, with {few} to {most} routes");
            for round in 0..self.lives {
                let life = control::look(&chain, &self.dproxy, &self.folder, self.edits, interrupt);
                lives.push(life.context("the control plane")?);
                eprintln!("  {} of {}", round + 1, self.lives);
            }
        }
        Ok(Results { costs, side, measured, witnessed, lives, failures: failed, checked })
    }

    fn measure(&self, chain: &Chain, scenario: Scenario, interrupt: &Interrupt) -> Result<Measured> {
        let mut backend = Backend::start(chain, scenario.transport)?;
        let mut stage = self.stage(chain, scenario.transport, &mut backend, interrupt);
        let mut samples = Vec::new();
        for (round, contestant) in turns(&self.contestants, self.rounds) {
            let sample = self.sample(&mut stage, &scenario, (contestant, round));
            let sample = sample.with_context(|| format!("{}: {}", scenario.name, contestant.title()))?;
            let rate = sample.queries_per_second;
            eprintln!("  {} of {}  {:<20} {rate:>9.0} queries/s", round + 1, self.rounds, contestant.title());
            samples.push(sample);
        }
        Ok(Measured { scenario, samples })
    }

    /// Where contestants prove themselves over this transport.
    pub fn stage<'a>(
        &self,
        chain: &'a Chain,
        transport: Transport,
        backend: &'a mut Backend,
        interrupt: &'a Interrupt,
    ) -> Stage<'a> {
        Stage { chain, transport, backend, interrupt, warm_up: self.warm_up, duration: self.duration }
    }

    fn sample(
        &self,
        stage: &mut Stage<'_>,
        scenario: &Scenario,
        (contestant, round): (Contestant, u32),
    ) -> Result<Sample> {
        let running = contestant.start(stage.chain, &self.dproxy)?;
        stage.prove(contestant, &running)?;
        stage.measure(scenario, (contestant, round), &running)
    }
}

/// A B, B A, A B and so on. No balancer is measured once: it is compared with nobody.
fn turns(contestants: &[Contestant], rounds: u32) -> Vec<(u32, Contestant)> {
    let mut turns = Vec::new();
    for round in 0..rounds {
        let mut order: Vec<Contestant> =
            contestants.iter().copied().filter(|it| *it != Contestant::Direct || round == 0).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        turns.extend(order.into_iter().map(|contestant| (round, contestant)));
    }
    turns
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contestant::Contestant::{Direct, Dnsdist, DproxySlowPath};

    #[test]
    fn contestants_take_turns_at_going_first() {
        let expected = [
            (0, Direct),
            (0, Dnsdist),
            (0, DproxySlowPath),
            (1, DproxySlowPath),
            (1, Dnsdist),
            (2, Dnsdist),
            (2, DproxySlowPath),
        ];
        assert_eq!(turns(&[Direct, Dnsdist, DproxySlowPath], 3), expected);
    }
}
