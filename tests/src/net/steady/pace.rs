//! How many queries are due, and how many there is room for.

use std::time::{Duration, Instant};

use super::sender::RATE;

/// RD, as a stub resolver sends it.
pub(super) const FLAGS: u16 = 0x0100;
/// As many may be under way at a time. A veth queues 256 frames: what is lost is not lost there.
const ROOM: usize = 128;
/// After a longer delay, the rest is not made up for: somebody else had the processor.
const DEBT: usize = RATE as usize / 10;
/// When nothing has come back for so long, it is lost, and makes room.
const GIVEN_UP: Duration = Duration::from_millis(100);

/// Keeps a rate, and what is under way small.
pub(super) struct Pace {
    begun: Instant,
    /// Sent, or not to be sent any more.
    done: usize,
    under_way: usize,
    last_answer: Instant,
    /// Not sent, since we were too late.
    pub(super) withheld: usize,
}

impl Pace {
    pub(super) fn new(begun: Instant) -> Self {
        Self { begun, done: 0, under_way: 0, last_answer: begun, withheld: 0 }
    }

    /// How many to send now.
    pub(super) fn due(&mut self) -> usize {
        let wanted = (self.begun.elapsed().as_secs_f64() * RATE) as usize - self.done;
        let late = wanted.saturating_sub(DEBT);
        self.withheld += late;
        self.done += late;
        if self.under_way == ROOM && self.last_answer.elapsed() > GIVEN_UP {
            self.under_way = 0;
        }
        (wanted - late).min(ROOM - self.under_way)
    }

    /// One was sent; whether it counts as under way.
    pub(super) fn sent(&mut self, takes_room: bool) {
        self.done += 1;
        self.under_way += usize::from(takes_room);
    }

    /// One that takes room was answered.
    pub(super) fn answered(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
        self.last_answer = Instant::now();
    }
}
