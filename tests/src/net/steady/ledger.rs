//! What became of each query.

use std::fmt;
use std::time::{Duration, Instant};

use super::evidence::Evidence;
use super::timeline::Timeline;
use super::who::Who;

/// What is promised, in queries a second.
const PROMISED: f64 = 20_000.0;
/// A machine that does not even manage this shows nothing.
const FLOOR: f64 = 5_000.0;

/// One query.
#[derive(Clone, Copy, Debug)]
pub struct Query {
    /// Which of the names.
    pub name: u16,
    /// When it was sent, in nanoseconds of the stream.
    pub sent: u64,
    /// When its answer was seen.
    pub answered: u64,
    /// Who has answered.
    pub who: Who,
}

/// All queries of a stream, in the order in which they were sent.
pub struct Ledger {
    /// The queries.
    pub queries: Vec<Query>,
    /// When it began.
    pub begun: Instant,
    /// How long queries were sent.
    pub time: Duration,
    /// Answers to queries that had one.
    pub twice: usize,
    /// Queries that were not sent, since this machine was too busy to send them in time.
    pub withheld: usize,
    /// Answers that the sender's sockets had no room for.
    pub overflows: u64,
}

/// How many of each kind.
struct Account {
    sent: usize,
    answered: usize,
    lost: usize,
    wrong: usize,
    twice: usize,
    withheld: usize,
    overflows: u64,
    time: Duration,
    slowest: Duration,
    longest_pause: Duration,
    examples: Vec<String>,
}

impl Ledger {
    /// When a moment was, in nanoseconds of the stream.
    pub fn at(&self, moment: Instant) -> u64 {
        moment.saturating_duration_since(self.begun).as_nanos() as u64
    }

    /// How many queries for the name of the server that takes its time wait for an answer that will come, at each
    /// moment from one to another: the least.
    pub fn least_under_way(&self, slow: u16, (from, to): (Instant, Instant)) -> usize {
        let slow: Vec<&Query> = self.queries.iter().filter(|query| query.name == slow).collect();
        let under_way = |at: u64| {
            let sent = &slow[..slow.partition_point(|query| query.sent <= at)];
            sent.iter().rev().take(1000).filter(|query| query.answered > at).count()
        };
        (self.at(from)..=self.at(to)).step_by(5_000_000).map(under_way).min().unwrap_or(0)
    }

    /// Prints what was done and what came of it: nothing may be lost, and nothing answered by others than allowed.
    /// What dproxy counted shows which way the queries took.
    pub fn check(&self, work: &str, evidence: &Evidence, timeline: &Timeline) {
        let account = self.account(timeline);
        println!("{work}\n  {account}\n  {evidence}");
        account.assert_clean(evidence);
        let slow = evidence.slow_queries();
        assert!(slow * 100 <= account.sent as u64, "{slow} queries took the slow path");
    }

    /// Compares each answer with who may have given it.
    fn account(&self, timeline: &Timeline) -> Account {
        let is_answered = |query: &&Query| query.who != Who::NOBODY;
        let answered = self.queries.iter().filter(is_answered).count();
        let is_wrong =
            |query: &&Query| is_answered(query) && !query.who.is_subset(timeline.allowed(self.begun, query));
        let wrong = self.queries.iter().filter(is_wrong).count();
        let bad = self.queries.iter().filter(|query| !is_answered(query) || is_wrong(query));
        let example = |query: &Query| {
            let Query { name, sent, answered, who } = *query;
            let allowed = timeline.allowed(self.begun, query);
            let (sent, took) = (sent as f64 / 1e9, answered.saturating_sub(sent) as f64 / 1e6);
            format!(
                "name {name}, sent at {sent:.4} s, answered by {who} after {took:.1} ms; allowed: {allowed}"
            )
        };
        let mut answers: Vec<u64> =
            self.queries.iter().map(|query| query.answered).filter(|answered| *answered > 0).collect();
        answers.sort_unstable();
        let longest_pause = answers.windows(2).map(|two| two[1] - two[0]).max().unwrap_or(0);
        let took = self.queries.iter().filter(is_answered).map(|query| query.answered - query.sent);
        Account {
            sent: self.queries.len(),
            answered,
            lost: self.queries.len() - answered,
            wrong,
            twice: self.twice,
            withheld: self.withheld,
            overflows: self.overflows,
            time: self.time,
            slowest: Duration::from_nanos(took.max().unwrap_or(0)),
            longest_pause: Duration::from_nanos(longest_pause),
            examples: bad.take(20).map(example).collect(),
        }
    }
}

impl Account {
    /// Queries a second.
    fn rate(&self) -> f64 {
        self.sent as f64 / self.time.as_secs_f64()
    }

    /// Nothing was lost, and nothing wrong.
    fn assert_clean(&self, evidence: &Evidence) {
        let bad = self.lost + self.wrong + self.twice;
        let examples = self.examples.join("\n");
        assert_eq!(bad, 0, "queries are lost, or wrongly answered: {self}\n{evidence}\n{examples}");
        assert!(self.rate() >= FLOOR, "this machine is too busy to show anything: {self}");
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sent, answered, lost, wrong, twice, withheld, overflows, .. } = self;
        let (rate, time) = (self.rate(), self.time.as_secs_f64());
        write!(f, "{sent} queries in {time:.1} s ({rate:.0}/s), {answered} answered, {lost} lost, {wrong} ")?;
        write!(f, "answered by others than allowed, {twice} answered twice; slowest {:?}, ", self.slowest)?;
        write!(f, "longest time without any answer {:?}", self.longest_pause)?;
        if *overflows > 0 {
            write!(f, "; the sender's sockets had no room for {overflows} answers")?;
        }
        if rate < PROMISED {
            write!(
                f,
                "; the machine was too busy for {PROMISED}/s: {withheld} queries were not sent in time"
            )?;
        }
        Ok(())
    }
}
