//! Where a contestant shows what it can: first that it does its work, then how fast.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail, ensure};
use dproxy_lab::Interrupt;

use crate::backend::Backend;
use crate::chain::Chain;
use crate::contestant::{Contestant, Running, ZONE};
use crate::load::{Load, PATIENCE, Peer, Tally, Wrong};
use crate::sample::{Reading, Sample};
use crate::scenario::{Scenario, Transport};

/// A contestant has that long to answer its first query.
const START: Duration = Duration::from_secs(20);
/// One try of it.
const TRY: Duration = Duration::from_millis(200);
/// A name that no contestant is to send to the backend.
const ELSEWHERE: &str = "www.elsewhere.example";
/// REFUSED (RFC 1035 §4.1.1).
const REFUSED: u16 = 5;

/// Where and how long to measure.
#[derive(Debug)]
pub struct Stage<'a> {
    /// The namespaces.
    pub chain: &'a Chain,
    /// What carries the queries.
    pub transport: Transport,
    /// Who answers.
    pub backend: &'a mut Backend,
    /// Whether the user has had enough.
    pub interrupt: &'a Interrupt,
    /// Load without measuring.
    pub warm_up: Duration,
    /// Load and measuring.
    pub duration: Duration,
}

impl Stage<'_> {
    /// Waits until the contestant sends queries below the zone to the backend, and refuses others.
    pub fn prove(&mut self, contestant: Contestant, running: &Running) -> Result<()> {
        let start = Instant::now();
        let name = format!("www.{ZONE}");
        let mut last = None;
        while start.elapsed() < START {
            match self.ask(running, &name) {
                Ok(tally) if tally.answered > 0 => return self.prove_refusal(contestant, running),
                Ok(tally) => last = Some(anyhow!("{:?}", tally.first_wrong)),
                Err(error) => last = Some(error),
            }
            ensure!(!self.interrupt.came()?, "interrupted");
        }
        let last = last.map_or_else(|| "no answer".to_owned(), |error| format!("{error:#}"));
        bail!("does not send {name} to the backend: {last}; the end of its log:\n{}", running.log_tail())
    }

    fn prove_refusal(&mut self, contestant: Contestant, running: &Running) -> Result<()> {
        if !contestant.routes_by_name() {
            return Ok(());
        }
        let tally = self.ask(running, ELSEWHERE)?;
        match tally.first_wrong {
            Some(Wrong::Flags(flags)) if flags & 0x000f == REFUSED => Ok(()),
            other => {
                bail!("does not refuse {ELSEWHERE}: {} from the backend, otherwise {other:?}", tally.answered)
            }
        }
    }

    /// Asks for one name until something comes back.
    fn ask(&mut self, running: &Running, name: &str) -> Result<Tally> {
        let mut load = self.transport.probe(&self.chain.client, running.server, name)?;
        self.drive(&mut *load, Instant::now(), |load, now| {
            now > TRY || load.tally().answered + load.tally().wrong > 0
        })?;
        Ok(load.tally().clone())
    }

    /// Measures.
    pub fn measure(
        &mut self,
        scenario: &Scenario,
        (contestant, round): (Contestant, u32),
        running: &Running,
    ) -> Result<Sample> {
        let mut load = scenario.load(&self.chain.client, running.server)?;
        let start = Instant::now();
        let pid = running.pid();

        let warm_up = self.warm_up;
        self.drive(&mut *load, start, |_, now| now >= warm_up)?;
        let before = Reading::take(&*load, pid)?;
        let end = warm_up + self.duration;
        self.drive(&mut *load, start, |_, now| now >= end)?;
        let after = Reading::take(&*load, pid)?;
        load.stop();
        let end = start.elapsed() + PATIENCE;
        self.drive(&mut *load, start, |load, now| load.waiting() == 0 || now >= end)?;

        let mut end = load.tally().clone();
        end.lost += load.waiting() as u64;
        if let Some(wrong) = end.first_wrong {
            bail!("{} wrong answers; the first: {wrong:?}", end.wrong);
        }
        ensure!(end.unexpected == 0, "{} answers came late, twice, or from nowhere", end.unexpected);
        Ok(Sample::between((contestant, round), before, after, end))
    }

    /// Lets generator and backend take turns until `done`.
    fn drive(
        &mut self,
        load: &mut dyn Load,
        start: Instant,
        done: impl Fn(&dyn Load, Duration) -> bool,
    ) -> Result<()> {
        for turn in 0_u64.. {
            let now = start.elapsed();
            if done(load, now) {
                break;
            }
            load.turn(now)?;
            self.backend.turn(now)?;
            if turn % 4096 == 0 {
                ensure!(!self.interrupt.came()?, "interrupted");
            }
        }
        Ok(())
    }
}
