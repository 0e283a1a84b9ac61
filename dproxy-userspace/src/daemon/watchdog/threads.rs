//! Do the threads of the slow path run? Pure.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::slow_path::Pulse;

/// A thread that has not come round for so long is stuck: several times as long as it takes at most.
const STUCK: Duration = Duration::from_secs(3);

/// When each thread was last seen to do something.
#[derive(Debug, Default)]
pub(super) struct Threads(BTreeMap<String, (u64, Instant)>);

impl Threads {
    /// Takes note of what threads have done so far; says which do nothing any more.
    pub(super) fn note(&mut self, pulses: &[Pulse], now: Instant) -> Vec<String> {
        self.0.retain(|name, _| pulses.iter().any(|pulse| pulse.thread == *name));
        pulses.iter().filter_map(|pulse| self.fault(pulse, now)).collect()
    }

    fn fault(&mut self, Pulse { thread, turns }: &Pulse, now: Instant) -> Option<String> {
        let Some(turns) = *turns else {
            return Some(format!("thread {thread} of the slow path has ended: restart dproxy"));
        };
        let seen = self.0.entry(thread.clone()).or_insert((turns, now));
        if seen.0 != turns {
            *seen = (turns, now);
        }
        let is_stuck = now.duration_since(seen.1) > STUCK;
        is_stuck.then(|| format!("thread {thread} of the slow path is stuck: restart dproxy"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_stands_still_is_stuck_until_it_moves() {
        let (mut threads, begin) = (Threads::default(), Instant::now());
        let mut at = |seconds, udp, tcp| {
            let pulse = |(thread, turns): (&str, _)| Pulse { thread: thread.to_owned(), turns };
            let pulses = [("slow-udp-0", udp), ("slow-tcp-0", tcp)].map(pulse);
            threads.note(&pulses, begin + Duration::from_secs(seconds))
        };
        assert_eq!(at(0, Some(7), Some(1)), [""; 0]);
        assert_eq!(at(3, Some(7), Some(2)), [""; 0]);
        assert_eq!(at(4, Some(7), Some(3)), ["thread slow-udp-0 of the slow path is stuck: restart dproxy"]);
        assert_eq!(at(5, Some(0), Some(4)), [""; 0], "another slow path has taken its place");
        let ended = "thread slow-tcp-0 of the slow path has ended: restart dproxy";
        assert_eq!(at(6, Some(1), None), [ended]);
    }
}
