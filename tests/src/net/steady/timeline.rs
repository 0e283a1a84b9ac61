//! Who may have answered when.

use std::time::{Duration, Instant};

use super::ledger::Query;
use super::who::Who;

/// Who may answer for a name: each from the moment in which a change was asked for, to the moment in which the
/// next one was acknowledged.
#[derive(Clone, Debug)]
pub struct Periods(Vec<Period>);

#[derive(Clone, Debug)]
struct Period {
    allowed: Who,
    /// `None`: before all.
    begins: Option<Instant>,
    /// `None`: it goes on.
    ends: Option<Instant>,
}

impl Periods {
    /// These, until something changes.
    pub fn new(allowed: Who) -> Self {
        Self(vec![Period { allowed, begins: None, ends: None }])
    }

    /// A change was asked for and acknowledged, after which others may answer.
    pub fn change(&mut self, allowed: Who, (asked, acknowledged): (Instant, Instant)) {
        if let Some(last) = self.0.last_mut() {
            last.ends = Some(acknowledged);
        }
        self.0.push(Period { allowed, begins: Some(asked), ends: None });
    }

    /// All who may have answered between two moments.
    fn allowed(&self, sent: Instant, answered: Instant) -> Who {
        let first = self.0.partition_point(|period| period.ends.is_some_and(|ends| ends < sent));
        let end = self.0.partition_point(|period| period.begins.is_none_or(|begins| begins <= answered));
        let mut allowed = Who::NOBODY;
        self.0.iter().take(end).skip(first).for_each(|period| allowed |= period.allowed);
        allowed
    }
}

/// All periods of each name of a stream.
#[derive(Clone, Debug)]
pub struct Timeline(pub Vec<Periods>);

impl Timeline {
    /// Who may answer for each name, until something changes.
    pub fn new(allowed: &[Who]) -> Self {
        Self(allowed.iter().map(|allowed| Periods::new(*allowed)).collect())
    }

    /// Makes a change, after which these may answer.
    pub fn change<T>(&mut self, allowed: &[Who], change: impl FnOnce() -> T) -> T {
        let asked = Instant::now();
        let made = change();
        let acknowledged = Instant::now();
        for (periods, allowed) in self.0.iter_mut().zip(allowed) {
            periods.change(*allowed, (asked, acknowledged));
        }
        made
    }

    /// All who may have answered a query, whose moments are counted from `begun` on.
    pub(super) fn allowed(&self, begun: Instant, query: &Query) -> Who {
        let moment = |nanoseconds| begun + Duration::from_nanos(nanoseconds);
        self.0[usize::from(query.name)].allowed(moment(query.sent), moment(query.answered.max(query.sent)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_was_allowed_at_any_time_under_way_may_have_answered() {
        let begun = Instant::now();
        let at = |milliseconds| begun + Duration::from_millis(milliseconds);
        let mut periods = Periods::new(Who::A);
        periods.change(Who::B, (at(10), at(12)));
        periods.change(Who::C, (at(20), at(22)));
        for (sent, answered, allowed) in [
            (0, 9, Who::A),
            (0, 10, Who::A | Who::B),
            (11, 11, Who::A | Who::B),
            (12, 13, Who::A | Who::B),
            (13, 19, Who::B),
            (11, 21, Who::A | Who::B | Who::C),
            (23, 90, Who::C),
        ] {
            assert_eq!(periods.allowed(at(sent), at(answered)), allowed, "{sent} to {answered}");
        }
        let timeline = Timeline(vec![periods]);
        let query = |who| Query { name: 0, sent: 13_000_000, answered: 19_000_000, who };
        assert!(Who::B.is_subset(timeline.allowed(begun, &query(Who::B))));
        assert!(!Who::STRANGER.is_subset(timeline.allowed(begun, &query(Who::STRANGER))));
    }
}
