//! One contestant's turn: from its start to its end.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use dproxy_lab::Interrupt;
use serde::Serialize;

use super::rig::{Load, Rig, Trial};
use super::{CLIENTS, MOST_CLIENTS, Plan, SHARES, Witnessed, kxdpgun, search};
use crate::contestant::{Contestant, Running, ZONE};
use crate::control::{Asker, Lead, Memory};

/// A contestant has that long to answer its first query.
const START: Duration = Duration::from_secs(20);
/// A name that no contestant that routes is to send to the backend.
const ELSEWHERE: &str = "www.elsewhere.example";
/// A rate holds if no larger share of the queries is lost.
pub const LOSS: f64 = 0.001;
/// And if about as many are answered as are sent, and as many sent as should be.
const KEPT_UP: f64 = 0.97;
/// Where the search for the highest rate begins, queries a second.
const FIRST: f64 = 10_000.0;
/// When the longer measurement loses what the shorter did not, the next one is slower by that.
const SLOWER: f64 = 0.96;
/// And so often, at most.
const TRIES: u32 = 16;
/// A flood that loses queries is looked at again so often, at most.
const FLOODS: u32 = 5;
/// Who has warmed up varies by less than that.
const STEADY: f64 = 0.05;
const WARM_UP: Duration = Duration::from_millis(100);
const MOST_WARM_UPS: u32 = 20;

/// What a turn needs to know.
#[derive(Clone, Copy)]
pub struct Turn<'a> {
    /// How to measure.
    pub plan: &'a Plan,
    /// How namespaces' names begin.
    pub prefix: &'a str,
    /// Whether the user has had enough.
    pub interrupt: &'a Interrupt,
    /// Which round it is, from 0.
    pub round: u32,
    /// Answers are timed at shares of this rate.
    pub reference: f64,
}

/// What was measured of a contestant in one round.
#[derive(Debug, Serialize)]
pub struct Sample {
    /// Who.
    pub contestant: Contestant,
    /// In which round, from 0.
    pub round: u32,
    /// At the highest rate without loss.
    pub highest: Trial,
    /// What the balancer took of that per query, nanoseconds: the chain's time without that of a chain without a balancer.
    pub cpu_ns: Option<f64>,
    /// With twice as many queries. `None`: who sends does the work, so that no more can be sent.
    pub twice: Option<Trial>,
    /// At shares of dnsdist's highest rate.
    pub timed: Vec<Trial>,
    /// As `cpu_ns`, of these.
    pub timed_cpu_ns: Vec<Option<f64>>,
    /// As fast as it goes, from 1,048,576 clients; where queries are not handed to a process.
    pub crowd: Option<Trial>,
    /// Of a process, before and after these.
    pub memory: Option<Memories>,
}

/// What a process and its maps took, octets.
#[derive(Debug, Serialize)]
pub struct Memories {
    /// Before a crowd of clients came.
    pub before: Memory,
    /// And after.
    pub after: Memory,
}

/// What generator, receiver and backend take by themselves.
#[derive(Debug, Serialize)]
pub struct Floor {
    /// In which round.
    pub round: u32,
    /// As fast as it goes.
    pub flood: Trial,
    /// At given rates.
    pub paced: Vec<Trial>,
}

/// A balancer at work.
struct Work<'a> {
    rig: Rig<'a>,
    running: Option<Running>,
}

impl<'a> Turn<'a> {
    /// Measures a contestant; `hint` is about the rate that is looked for.
    pub fn take(&self, contestant: Contestant, hint: Option<f64>) -> Result<(Sample, Option<Witnessed>)> {
        let mut work = self.start(contestant)?;
        let highest = match work.load(contestant) {
            Load::Flood => self.flood(&work)?,
            Load::Rate(_) => self.search(contestant, &mut work, hint.unwrap_or(FIRST))?,
        };
        // Shares of dnsdist's are known when its own is.
        let reference = if contestant == Contestant::Dnsdist && self.round == 0 {
            highest.answered
        } else {
            self.reference
        };
        let timed = SHARES.iter().map(|share| self.trial(&work, Load::Rate(reference * share), CLIENTS));
        let timed: Vec<Trial> = timed.collect::<Result<_>>()?;
        let (mut crowd, mut memory, mut twice) = (None, None, None);
        match highest.load {
            Load::Flood => {
                let look = || work.running.as_ref().and_then(Running::pid).map(Memory::of).transpose();
                let before = look()?;
                crowd = Some(self.trial(&work, Load::Flood, MOST_CLIENTS)?);
                memory = before.zip(look()?).map(|(before, after)| Memories { before, after });
            }
            Load::Rate(rate) => {
                twice = Some(self.trial(&work, Load::Rate(2.0 * rate), CLIENTS)?);
            }
        }
        let witnessed = if self.plan.witness.contains(&contestant) && self.round == 0 {
            // A balancer that has had too much begins anew.
            work = self.start_again(contestant, work)?;
            Some(kxdpgun::look(&mut work.rig, contestant, &highest, self.interrupt)?)
        } else {
            None
        };
        let sample = Sample {
            contestant,
            round: self.round,
            highest,
            cpu_ns: None,
            twice,
            timed_cpu_ns: vec![None; timed.len()],
            timed,
            crowd,
            memory,
        };
        Ok((sample, witnessed))
    }

    /// Measures without a balancer, and subtracts that from samples of the same round.
    pub fn floor<'s>(&self, samples: impl Iterator<Item = &'s mut Sample>) -> Result<Floor> {
        let mut rig = Rig::build(self.prefix, (self.plan.mark, self.plan.id), self.interrupt)?;
        rig.reflect_at_once()?;
        let work = Work { rig, running: None };
        let flood = self.flood(&work).context("without a balancer")?;
        let mut floor = Floor { round: self.round, flood, paced: Vec::new() };
        for sample in samples {
            let mut own =
                |trial: &Trial| anyhow::Ok(Some(trial.chain_ns - floor.at(self, &work, trial.load)?));
            sample.cpu_ns = own(&sample.highest)?;
            for (cpu, trial) in sample.timed_cpu_ns.iter_mut().zip(&sample.timed) {
                *cpu = own(trial)?;
            }
        }
        Ok(floor)
    }

    fn start(&self, contestant: Contestant) -> Result<Work<'a>> {
        let mut rig = Rig::build(self.prefix, (self.plan.mark, self.plan.id), self.interrupt)?;
        rig.reflect()?;
        let running = if contestant == Contestant::Redirect {
            rig.cross()?;
            None
        } else {
            Some(contestant.start_on_both(&rig.chain, &self.plan.dproxy)?)
        };
        let work = Work { rig, running };
        // A backend that is to answer wrongly is the receiver's to notice.
        if !self.plan.is_spoiled() {
            work.prove(contestant, self.interrupt)?;
        }
        self.warm_up(&work, work.load(contestant))?;
        Ok(work)
    }

    fn start_again(&self, contestant: Contestant, work: Work<'a>) -> Result<Work<'a>> {
        // One chain of a name at a time.
        drop(work);
        self.start(contestant)
    }

    /// Until one run is like the one before.
    fn warm_up(&self, work: &Work<'_>, load: Load) -> Result<()> {
        let mut last = f64::NAN;
        for _ in 0..MOST_WARM_UPS {
            let trial = work.run(load, CLIENTS, WARM_UP)?;
            if (trial.answered / last - 1.0).abs() < STEADY && trial.lost() <= LOSS {
                break;
            }
            last = trial.answered;
        }
        Ok(())
    }

    fn trial(&self, work: &Work<'_>, load: Load, clients: u32) -> Result<Trial> {
        work.run(load, clients, self.plan.duration)
    }

    /// The rate of a flood is that at which all of the work is done by who sends: it holds by itself, or it is looked at
    /// again.
    fn flood(&self, work: &Work<'_>) -> Result<Trial> {
        for _ in 1..FLOODS {
            let trial = self.trial(work, Load::Flood, CLIENTS)?;
            if trial.lost() <= LOSS {
                return Ok(trial);
            }
        }
        self.trial(work, Load::Flood, CLIENTS)
    }

    fn search(&self, contestant: Contestant, work: &mut Work<'a>, start: f64) -> Result<Trial> {
        let mut holds = |rate, duration| -> Result<(bool, Trial)> {
            let trial = work.run(Load::Rate(rate), CLIENTS, duration)?;
            // What only waits for an answer longer and longer is not lost yet.
            let keeps_up = trial.answered >= KEPT_UP * trial.offered && trial.offered >= KEPT_UP * rate;
            let holds = trial.lost() <= LOSS && keeps_up;
            if !holds && contestant == Contestant::Nginx {
                // It keeps what it could not do as sessions, and would look at those first.
                work.running = None;
                work.running = Some(contestant.start_on_both(&work.rig.chain, &self.plan.dproxy)?);
                work.prove(contestant, self.interrupt)?;
            }
            Ok((holds, trial))
        };
        // What else the machine does may fail one try.
        let mut try_twice = |rate| Ok(holds(rate, self.plan.trial)?.0 || holds(rate, self.plan.trial)?.0);
        let mut rate = search::highest(start, &mut try_twice)?;
        for _ in 0..TRIES {
            let (held, trial) = holds(rate, self.plan.duration)?;
            if held {
                return Ok(trial);
            }
            rate *= SLOWER;
        }
        bail!("loses queries at {rate:.0} a second, but not always")
    }
}

impl Floor {
    /// What a query takes at this load, nanoseconds.
    fn at(&mut self, turn: &Turn<'_>, work: &Work<'_>, load: Load) -> Result<f64> {
        let known = self.paced.iter().chain([&self.flood]).find(|trial| trial.load == load);
        if let Some(trial) = known {
            return Ok(trial.chain_ns);
        }
        let trial = turn.trial(work, load, CLIENTS)?;
        let chain_ns = trial.chain_ns;
        self.paced.push(trial);
        Ok(chain_ns)
    }
}

impl Work<'_> {
    /// How the highest rate is found: what is done by who sends cannot get too much.
    fn load(&self, contestant: Contestant) -> Load {
        if contestant.is_process() { Load::Rate(FIRST) } else { Load::Flood }
    }

    /// Waits until queries below the zone get to the backend; others must not, if the balancer routes.
    fn prove(&self, contestant: Contestant, interrupt: &Interrupt) -> Result<()> {
        let start = Instant::now();
        let log = || self.running.as_ref().map(Running::log_tail).unwrap_or_default();
        let mut asker = Asker::new(&self.rig.chain)?;
        let name = format!("www000.{ZONE}");
        loop {
            match asker.ask(&name) {
                Ok(Lead::Backend) => break,
                Ok(lead) if start.elapsed() > START => {
                    bail!("sends {name} {lead:?}; the end of its log: {}", log())
                }
                Err(error) if start.elapsed() > START => bail!("{error:#}; the end of its log: {}", log()),
                Ok(_) | Err(_) => ensure!(!interrupt.came()?, "interrupted"),
            }
        }
        if contestant.routes_by_name() {
            let lead = asker.ask(ELSEWHERE)?;
            ensure!(lead == Lead::Nowhere, "does not refuse {ELSEWHERE}: it leads to {lead:?}");
        }
        Ok(())
    }

    /// Runs the generator; whatever is answered wrongly ends it.
    fn run(&self, load: Load, clients: u32, duration: Duration) -> Result<Trial> {
        let trial = self.rig.run(load, clients, duration, self.running.as_ref().and_then(Running::pid))?;
        let seen = &trial.seen;
        ensure!(seen.wrong() == 0, "{} of {} answers are wrong: {seen:?}", seen.wrong(), seen.sent);
        ensure!(seen.right > 0, "{} queries, and no answer", seen.sent);
        Ok(trial)
    }
}
