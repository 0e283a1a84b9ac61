//! Queries a second, from a counter that is read now and then.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Readings older than this are not needed, if there is a younger one to compare with.
const WINDOW: Duration = Duration::from_secs(10);
/// Readings closer together say nothing.
const SHORTEST: Duration = Duration::from_millis(500);

/// The latest readings of a counter.
#[derive(Debug, Default)]
pub(super) struct Rate(VecDeque<(Instant, u64)>);

impl Rate {
    /// Notes a reading.
    pub(super) fn note(&mut self, now: Instant, count: u64) {
        self.0.push_back((now, count));
        while self.0.get(1).is_some_and(|(read, _)| now.duration_since(*read) >= WINDOW) {
            self.0.pop_front();
        }
    }

    /// How fast it has grown until now, when it stands at `count`.
    pub(super) fn per_second(&self, now: Instant, count: u64) -> Option<f64> {
        let &(read, before) = self.0.front()?;
        let elapsed = now.duration_since(read);
        (elapsed >= SHORTEST).then(|| count.saturating_sub(before) as f64 / elapsed.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_of_the_last_seconds() {
        let (start, mut rate) = (Instant::now(), Rate::default());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(rate.per_second(start, 0), None);
        rate.note(start, 0);
        assert_eq!(rate.per_second(start, 5), None);
        assert_eq!(rate.per_second(at(2), 10), Some(5.0));
        for second in 1..=20 {
            rate.note(at(second), 100 * second);
        }
        assert_eq!(rate.per_second(at(20), 2000), Some(100.0));
        assert!(rate.0.len() <= 12);
    }
}
