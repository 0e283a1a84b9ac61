//! One measurement: one contestant under one load.

use std::time::Instant;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::contestant::Contestant;
use crate::cores;
use crate::load::{Load, Tally};
use crate::measure::{Histogram, ProcessTime, ProcessorTime};

/// What was measured in one run. Times are those of the measured interval, after the warm-up.
#[derive(Debug, Clone, Serialize)]
pub struct Sample {
    /// Who.
    pub contestant: Contestant,
    /// In which round, from 0.
    pub round: u32,
    /// How long.
    pub seconds: f64,
    /// Queries sent.
    pub sent: u64,
    /// Right answers.
    pub answered: u64,
    /// Queries without an answer, also of those that were under way at the end.
    pub lost: u64,
    /// Queries that the generator could not send at the rate asked for.
    pub withheld: u64,
    /// Right answers per second.
    pub queries_per_second: f64,
    /// What the balancer's process used.
    pub process: Option<ProcessTime>,
    /// That, per answer.
    pub cpu_ns_per_query: Option<f64>,
    /// What each processor did.
    pub processors: Vec<ProcessorTime>,
    /// What the balancer's processor was busy with, whoever it was, per answer.
    pub processor_ns_per_query: f64,
    /// From the generator and back, nanoseconds.
    pub latency_ns: Latency,
}

/// How long answers took.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Latency {
    /// The median.
    pub p50: u64,
    /// 99 of 100 were not slower.
    pub p99: u64,
    /// 999 of 1,000 were not slower.
    pub p999: u64,
}

impl Latency {
    /// Of those that were counted; zero if none was.
    pub fn of(latency: &Histogram) -> Self {
        let quantile = |share| latency.quantile(share).unwrap_or_default().as_nanos() as u64;
        Self { p50: quantile(0.5), p99: quantile(0.99), p999: quantile(0.999) }
    }
}

/// All counts at one moment.
#[derive(Debug)]
pub struct Reading {
    at: Instant,
    tally: Tally,
    process: Option<ProcessTime>,
    processors: Vec<ProcessorTime>,
}

impl Reading {
    /// Reads them; `pid` is the balancer.
    pub fn take(load: &dyn Load, pid: Option<u32>) -> Result<Self> {
        let process = pid.map(ProcessTime::of).transpose().context("the balancer has ended")?;
        let processors = ProcessorTime::of_all()?;
        Ok(Self { at: Instant::now(), tally: load.tally().clone(), process, processors })
    }
}

impl Sample {
    /// What happened between two readings. `end` is the tally when no query waited any more, or was waited
    /// for: what is lost shows only then.
    pub fn between(
        (contestant, round): (Contestant, u32),
        before: Reading,
        after: Reading,
        end: Tally,
    ) -> Self {
        let seconds = (after.at - before.at).as_secs_f64();
        let tally = after.tally - &before.tally;
        let process = after.process.zip(before.process).map(|(after, before)| after.since(before));
        let processors = after.processors.iter().zip(&before.processors);
        let processors: Vec<_> = processors.map(|(after, before)| after.since(*before)).collect();
        let answered = tally.answered as f64;
        let balancers_busy = processors.get(cores::BALANCER).map_or(0, |processor| processor.busy_ns);
        Self {
            contestant,
            round,
            seconds,
            sent: tally.sent,
            answered: tally.answered,
            lost: (end - &before.tally).lost,
            withheld: tally.withheld,
            queries_per_second: answered / seconds,
            process,
            cpu_ns_per_query: process.map(|process| process.total_ns() as f64 / answered),
            processor_ns_per_query: balancers_busy as f64 / answered,
            processors,
            latency_ns: Latency::of(&tally.latency),
        }
    }
}
