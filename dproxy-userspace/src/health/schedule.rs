//! When whom: each member has its own place within the interval, so that thousands come evenly. Pure.
//!
//! Places come from a hash and not from when a member was first seen: else all would come at once for good after they
//! once have, be it at the start or behind a pause of the daemon.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

/// What is due, and when.
#[derive(Debug)]
pub struct Schedule<K> {
    begin: Instant,
    due: BTreeSet<(Instant, K)>,
}

impl<K: Ord + Clone> Schedule<K> {
    /// Empty; places are counted from `begin`.
    pub fn new(begin: Instant) -> Self {
        Self { begin, due: BTreeSet::new() }
    }

    /// Sets when somebody is due; `before` is when it was.
    pub fn set(&mut self, key: &K, before: Option<Instant>, due: Instant) {
        self.remove(key, before);
        self.due.insert((due, key.clone()));
    }

    /// Takes somebody out.
    pub fn remove(&mut self, key: &K, due: Option<Instant>) {
        if let Some(due) = due {
            self.due.remove(&(due, key.clone()));
        }
    }

    /// Whoever is due first, and when.
    pub fn first(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Takes somebody who is due by now.
    pub fn take(&mut self, now: Instant) -> Option<(Instant, K)> {
        if self.first()? > now { None } else { self.due.pop_first() }
    }

    /// The next time that somebody has by its place in the interval, after `now`, and not less than half of
    /// the interval after it: so nobody is asked twice in a row whose last check came late. Each turn is later than the
    /// place by another share of `jitter` percent of the interval, so that nobody who does something at the same interval
    /// is met each time.
    pub fn next(&self, place: u64, interval: Duration, jitter: u32, now: Instant) -> Instant {
        let interval = interval.max(Duration::from_millis(1));
        let nanoseconds = interval.as_nanos() as u64;
        let first = self.begin + share(place, nanoseconds);
        let earliest = now + interval / 2;
        let passed = earliest.saturating_duration_since(first).as_nanos() as u64;
        let turn = passed.div_ceil(nanoseconds);
        let later = share(self::place(&(place, turn)), nanoseconds / 100 * u64::from(jitter));
        first + Duration::from_nanos(turn.saturating_mul(nanoseconds)) + later
    }

    /// The first time: within one interval, by its place.
    pub fn first_time(&self, place: u64, interval: Duration, now: Instant) -> Instant {
        now + share(place, interval.as_nanos() as u64)
    }
}

/// From nothing to so many nanoseconds, by a place.
fn share(place: u64, nanoseconds: u64) -> Duration {
    Duration::from_nanos(((u128::from(place) * u128::from(nanoseconds)) >> 64) as u64)
}

/// The place of something in all intervals: 0 is their beginning.
pub fn place(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// How many of 2,000 are due in each hundredth of a second, from then on.
    fn spread(schedule: &Schedule<u32>, now: Instant) -> Vec<u32> {
        let mut hundredths = vec![0; 200];
        for member in 0..2000_u32 {
            let due = schedule.next(place(&member), SECOND, 0, now) - now;
            hundredths[(due.as_millis() / 10) as usize] += 1;
        }
        hundredths
    }

    #[test]
    fn thousands_come_evenly_whenever_they_began() {
        let begin = Instant::now();
        let schedule = Schedule::new(begin);
        for milliseconds in [0, 1, 499, 500, 12_345, 86_400_000] {
            let hundredths = spread(&schedule, begin + Duration::from_millis(milliseconds));
            // 20 on average; twice as many would be more than four standard deviations.
            assert!(hundredths.iter().all(|count| *count <= 42), "{hundredths:?}");
            assert_eq!(
                hundredths[50..=150].iter().sum::<u32>(),
                2000,
                "from half an interval to one and a half"
            );
        }
    }

    #[test]
    fn each_has_its_turn_once_an_interval() {
        let begin = Instant::now();
        let schedule = Schedule::<u32>::new(begin);
        for member in 0..100_u32 {
            let mut due = schedule.next(place(&member), SECOND, 0, begin);
            for late in [0, 3, 400, 0, 499] {
                let next = schedule.next(place(&member), SECOND, 0, due + Duration::from_millis(late));
                assert_eq!(next - due, SECOND);
                due = next;
            }
            let next = schedule.next(place(&member), SECOND, 0, due + Duration::from_millis(600));
            assert_eq!(next - due, 2 * SECOND, "one is left out if there is not half an interval");
        }
    }

    #[test]
    fn turns_differ_by_the_jitter_and_do_not_drift() {
        let begin = Instant::now();
        let schedule = Schedule::<u32>::new(begin);
        let mut shifts = BTreeSet::new();
        for member in 0..100_u32 {
            let at_place = schedule.next(place(&member), SECOND, 0, begin);
            let mut now = begin;
            for turn in 0..50 {
                let due = schedule.next(place(&member), SECOND, 20, now);
                let later = due.saturating_duration_since(at_place + turn * SECOND);
                assert!(due >= at_place + turn * SECOND && later < SECOND / 5, "turn {turn}: {later:?} late");
                shifts.insert(later.as_millis());
                now = due;
            }
        }
        assert_eq!(shifts.len(), 200, "every millisecond of the jitter occurs");
    }

    #[test]
    fn the_first_time_is_within_the_first_interval() {
        let now = Instant::now();
        let schedule = Schedule::<u32>::new(now - 70 * SECOND);
        let first: Vec<_> =
            (0..2000_u32).map(|it| schedule.first_time(place(&it), SECOND, now) - now).collect();
        assert!(first.iter().all(|due| *due < SECOND));
        assert!((900..1100).contains(&first.iter().filter(|due| **due < SECOND / 2).count()));
    }

    #[test]
    fn who_is_due_comes_in_order() {
        let now = Instant::now();
        let mut schedule = Schedule::new(now);
        let at = |seconds| now + seconds * SECOND;
        schedule.set(&"b", None, at(2));
        schedule.set(&"a", None, at(3));
        schedule.set(&"a", Some(at(3)), at(1));
        schedule.set(&"c", None, at(1));
        schedule.remove(&"c", Some(at(1)));
        assert_eq!((schedule.first(), schedule.take(now)), (Some(at(1)), None));
        assert_eq!(schedule.take(at(9)), Some((at(1), "a")));
        assert_eq!(schedule.take(at(9)), Some((at(2), "b")));
        assert_eq!(schedule.take(at(9)), None);
    }
}
