//! What real queries say about a member: windows over its counters. Pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::cause::Cause;

/// What was counted of a member so far, over both paths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Queries sent to it.
    pub queries: u64,
    /// Replies from it.
    pub replies: u64,
    /// Replies that were SERVFAIL or REFUSED.
    pub failing: u64,
}

impl Counts {
    /// What has come since; all of it, if the counters were set to zero meanwhile.
    fn since(self, before: Self) -> Self {
        let less = |now: u64, before: u64| now.checked_sub(before).unwrap_or(now);
        Self {
            queries: less(self.queries, before.queries),
            replies: less(self.replies, before.replies),
            failing: less(self.failing, before.failing),
        }
    }
}

/// How long readings are kept.
const KEPT: Duration = Duration::from_millis(1200);
/// What a query has at least until its reply is missed.
const GRACE: Duration = Duration::from_millis(100);
/// No reply for so long is silence.
pub const PATIENCE: Duration = Duration::from_millis(200);
/// Readings come at even intervals, but for this: the one that is due when patience ends may be a little early.
const NOISE: Duration = Duration::from_millis(10);
/// Patience with who is slow at any time.
const LONGEST_PATIENCE: Duration = Duration::from_secs(1);
/// Queries without a reply that are silence.
const SILENT_QUERIES: u64 = 10;
/// How long one that had no reply counts.
const SILENT_AT_MOST: Duration = Duration::from_secs(5);
/// Queries without which nobody is called lossy.
const LOSSY_QUERIES: u64 = 100;
/// The time that failing replies are counted in.
const FAILING_TIME: Duration = Duration::from_millis(300);
/// Replies without which nobody is called failing.
const FAILING_REPLIES: u64 = 30;

/// One reading of the counters.
#[derive(Clone, Copy, Debug)]
struct Reading {
    at: Instant,
    new: Counts,
}

/// The last readings of a member.
#[derive(Clone, Debug, Default)]
pub struct Window {
    last: Option<(Instant, Counts)>,
    readings: VecDeque<Reading>,
    /// Queries since the last reply.
    unanswered: VecDeque<(Instant, u64)>,
    /// When the first of them may have been sent at the earliest.
    silent_since: Option<Instant>,
}

/// What real queries say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// It does not do its work, whatever others do.
    Proof(Cause),
    /// It does worse than the others. That may be because of what it is asked.
    Suspicion(Cause),
}

impl Window {
    /// Takes note of what was counted by now.
    pub fn note(&mut self, counts: Counts, now: Instant) {
        let Some((before_at, before)) = self.last.replace((now, counts)) else { return };
        let new = counts.since(before);
        self.readings.push_back(Reading { at: now, new });
        while self.readings.front().is_some_and(|reading| now.duration_since(reading.at) > KEPT) {
            self.readings.pop_front();
        }
        if new.replies > 0 {
            self.unanswered.clear();
            self.silent_since = None;
            return;
        }
        while self.unanswered.front().is_some_and(|(at, _)| now.duration_since(*at) > SILENT_AT_MOST) {
            self.unanswered.pop_front();
            self.silent_since = self.unanswered.front().map(|(at, _)| *at);
        }
        if new.queries > 0 {
            // Of who is idle nothing is told: what comes then has only just been sent.
            let earliest = if now.duration_since(before_at) > KEPT { now } else { before_at };
            self.silent_since.get_or_insert(earliest);
            self.unanswered.push_back((now, new.queries));
        }
    }

    /// Forgets all but the counters: it begins anew.
    pub fn forget(&mut self) {
        let last = self.last;
        *self = Self { last, ..Self::default() };
    }

    /// Queries and replies a second, of late.
    pub fn rates(&self, now: Instant) -> (f64, f64) {
        let sum = self.sum(|_| true);
        let time = self.readings.front().map_or(KEPT, |first| now.duration_since(first.at)).max(PATIENCE);
        (sum.queries as f64 / time.as_secs_f64(), sum.replies as f64 / time.as_secs_f64())
    }

    fn sum(&self, which: impl Fn(&Reading) -> bool) -> Counts {
        self.readings.iter().filter(|reading| which(reading)).fold(Counts::default(), |sum, reading| Counts {
            queries: sum.queries + reading.new.queries,
            replies: sum.replies + reading.new.replies,
            failing: sum.failing + reading.new.failing,
        })
    }

    /// Replies of late, and how many of them were failures.
    fn failing(&self, now: Instant) -> (u64, u64) {
        let sum = self.sum(|reading| now.duration_since(reading.at) <= FAILING_TIME);
        (sum.replies, sum.failing)
    }

    /// Queries that had time enough, and replies.
    fn answered(&self, now: Instant) -> (u64, u64) {
        let sent = self.sum(|reading| now.duration_since(reading.at) >= PATIENCE);
        let replied = self.sum(|_| true);
        (sent.queries, replied.replies.min(sent.queries))
    }

    /// Have there been replies of late, and no query without one since?
    pub fn has_replies(&self, now: Instant) -> bool {
        self.silent_since.is_none() && self.failing(now).0 > 0
    }

    /// Is it silent, though it had time enough? `usual` is how long it takes to reply.
    pub fn silence(&self, usual: Duration, now: Instant) -> Option<Cause> {
        let time = now.duration_since(self.silent_since?);
        if time + NOISE < (usual * 4).clamp(PATIENCE, LONGEST_PATIENCE) {
            return None;
        }
        let missed = self.unanswered.iter().filter(|(at, _)| now.duration_since(*at) >= GRACE);
        let missed: u64 = missed.map(|(_, queries)| queries).sum();
        let queries = self.unanswered.iter().map(|(_, queries)| queries).sum();
        (missed >= SILENT_QUERIES).then_some(Cause::Silent { queries, time })
    }
}

fn percent(part: u64, whole: u64) -> u64 {
    part * 100 / whole.max(1)
}

/// What real queries say about a member. `others` are those that it can be compared with; `by_name`: each gets
/// other names than the others, so that one bad zone is one member's alone.
pub fn evidence<'w>(
    window: &Window,
    usual: Duration,
    others: impl Iterator<Item = &'w Window> + Clone,
    by_name: bool,
    now: Instant,
) -> Option<Evidence> {
    if let Some(cause) = window.silence(usual, now) {
        return Some(Evidence::Proof(cause));
    }
    let total = |of: &dyn Fn(&Window) -> (u64, u64)| {
        others.clone().map(of).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    };
    let (sent, replied) = window.answered(now);
    if sent >= LOSSY_QUERIES && replied * 2 < sent {
        let (others_sent, others_replied) = total(&|other| other.answered(now));
        if others_sent >= LOSSY_QUERIES && percent(others_replied, others_sent) >= 80 {
            let cause = Cause::Lossy {
                answered: percent(replied, sent),
                others: percent(others_replied, others_sent),
            };
            return Some(Evidence::Proof(cause));
        }
    }
    let (replies, failing) = window.failing(now);
    if replies >= FAILING_REPLIES && failing * 2 >= replies {
        let (others_replies, others_failing) = total(&|other| other.failing(now));
        if others_replies >= FAILING_REPLIES && others_failing * 8 <= others_replies {
            let cause = Cause::Failing {
                failing: percent(failing, replies),
                others: percent(others_failing, others_replies),
            };
            return Some(if by_name { Evidence::Suspicion(cause) } else { Evidence::Proof(cause) });
        }
    }
    None
}

#[cfg(test)]
mod tests;
