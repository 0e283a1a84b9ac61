//! When to send.

use std::time::Duration;

use serde::Serialize;

/// How a generator decides to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pace {
    /// As soon as there is room in the window: the other side sets the rate.
    Window,
    /// So many queries a second, evenly, whatever comes back.
    Rate(u32),
}

/// How many queries are due.
#[derive(Debug)]
pub struct Pacer {
    pace: Pace,
    started: Option<Duration>,
    sent: u64,
    stopped: bool,
}

impl Pacer {
    /// Starts with the first call of [`due`](Self::due).
    pub fn new(pace: Pace) -> Self {
        Self { pace, started: None, sent: 0, stopped: false }
    }

    /// Nothing is due any more.
    pub fn stop(&mut self) {
        self.stopped = true;
    }

    /// How many queries may be sent now. They are then taken as sent, or as withheld, at a given rate.
    pub fn due(&mut self, now: Duration) -> usize {
        let started = *self.started.get_or_insert(now);
        match self.pace {
            _ if self.stopped => 0,
            Pace::Window => usize::MAX,
            Pace::Rate(rate) => {
                let should_be =
                    (now.saturating_sub(started).as_nanos() * u128::from(rate) / 1_000_000_000) as u64;
                let due = should_be - self.sent;
                self.sent = should_be;
                due as usize
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_kept_over_uneven_turns() {
        let mut pacer = Pacer::new(Pace::Rate(20_000));
        let turns = [7, 10, 130, 131, 5_000, 5_001, 1_000_007].map(Duration::from_micros);
        let due: Vec<usize> = turns.into_iter().map(|now| pacer.due(now)).collect();
        assert_eq!(due[..4], [0, 0, 2, 0]);
        assert_eq!(due.iter().sum::<usize>(), 20_000);
        pacer.stop();
        assert_eq!(pacer.due(Duration::from_secs(9)), 0);
    }

    #[test]
    fn a_window_is_limited_by_itself_only() {
        assert_eq!(Pacer::new(Pace::Window).due(Duration::ZERO), usize::MAX);
    }
}
