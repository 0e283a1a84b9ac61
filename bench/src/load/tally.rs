//! What a generator has seen.

use std::ops::Sub;
use std::time::Duration;

use super::query::{Queries, Wrong};
use super::window::Window;
use crate::measure::Histogram;

/// Counts since the start of a run.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Queries sent.
    pub sent: u64,
    /// Right answers in time.
    pub answered: u64,
    /// Answers with a waiting query's ID that are not the backend's answer to it.
    pub wrong: u64,
    /// The first such answer.
    pub first_wrong: Option<Wrong>,
    /// Messages with an ID that no query waits for: late, doubled, or made up.
    pub unexpected: u64,
    /// Queries that got no answer in time.
    pub lost: u64,
    /// Queries that should have been sent at the rate asked for, and were not: no room in any window, or
    /// in the socket's buffer.
    pub withheld: u64,
    /// From sending to receiving.
    pub latency: Histogram,
}

impl Tally {
    /// Looks at a message that came to the socket of this window.
    pub fn receive(&mut self, queries: &Queries, window: &mut Window, message: &[u8], now: Duration) {
        let id = message.first_chunk().map(|id| u16::from_be_bytes(*id));
        let Some(slot) = id.and_then(|id| window.close(id)) else {
            self.unexpected += 1;
            return;
        };
        match queries.check(slot.query, message) {
            Ok(()) => {
                self.answered += 1;
                self.latency.add(now.saturating_sub(slot.sent));
            }
            Err(wrong) => {
                self.wrong += 1;
                self.first_wrong.get_or_insert(wrong);
            }
        }
    }
}

impl Sub<&Tally> for Tally {
    type Output = Tally;

    /// What was counted after `earlier`.
    fn sub(self, earlier: &Tally) -> Tally {
        Tally {
            sent: self.sent - earlier.sent,
            answered: self.answered - earlier.answered,
            wrong: self.wrong - earlier.wrong,
            first_wrong: self.first_wrong,
            unexpected: self.unexpected - earlier.unexpected,
            lost: self.lost - earlier.lost,
            withheld: self.withheld - earlier.withheld,
            latency: self.latency - &earlier.latency,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_right_wrong_or_nobodys() {
        let queries = Queries::below("bench.example", 1);
        let (mut tally, mut window) = (Tally::default(), Window::new(2));
        let answer = |id: u16, flags: [u8; 2]| {
            let mut message = queries.message(0).to_vec();
            message[..2].copy_from_slice(&id.to_be_bytes());
            message[2..4].copy_from_slice(&flags);
            message
        };
        let [first, second] = [(); 2].map(|()| window.open(0, Duration::ZERO).unwrap());
        let messages =
            [answer(first, [0x85, 0]), answer(first, [0x85, 0]), answer(second, [0x81, 5]), vec![7]];
        for message in messages {
            tally.receive(&queries, &mut window, &message, Duration::from_millis(1));
        }
        assert_eq!((tally.answered, tally.unexpected, tally.wrong), (1, 2, 1));
        assert_eq!(tally.first_wrong, Some(Wrong::Flags(0x8105)));
    }
}
