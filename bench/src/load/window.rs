//! The queries that one socket has asked and that are not answered yet.

use std::time::Duration;

/// How long we wait for an answer. Resolvers are less patient.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// Room for so many queries. The lower bits of an ID are the place in the window, the upper bits change
/// with each use of that place: an answer that is late, or sent twice, is nobody's answer.
#[derive(Debug)]
pub struct Window {
    slots: Vec<Slot>,
    free: Vec<u16>,
    places: u16,
}

/// A query in flight.
#[derive(Debug, Clone, Copy)]
pub struct Slot {
    /// Which of the prebuilt queries it is.
    pub query: u16,
    /// When it was sent, on the clock of the run.
    pub sent: Duration,
    id: u16,
    waiting: bool,
}

impl Window {
    /// A window for `size` queries, 1 to 4096.
    pub fn new(size: u16) -> Self {
        let size = size.clamp(1, 4096);
        let slot = |id| Slot { query: 0, sent: Duration::ZERO, id, waiting: false };
        Self {
            slots: (0..size).map(slot).collect(),
            free: (0..size).rev().collect(),
            places: size.next_power_of_two(),
        }
    }

    /// How many more queries there is room for.
    pub fn free(&self) -> usize {
        self.free.len()
    }

    /// How many wait for their answers.
    pub fn waiting(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Room for one query, and the ID to send it with; `None` if the window is full.
    pub fn open(&mut self, query: u16, now: Duration) -> Option<u16> {
        let slot = &mut self.slots[usize::from(self.free.pop()?)];
        let id = slot.id.wrapping_add(self.places);
        *slot = Slot { query, sent: now, id, waiting: true };
        Some(id)
    }

    /// The query that waits for an answer with this ID; it waits no longer.
    pub fn close(&mut self, id: u16) -> Option<Slot> {
        let place = id & (self.places - 1);
        let slot = self.slots.get_mut(usize::from(place)).filter(|slot| slot.waiting && slot.id == id)?;
        slot.waiting = false;
        self.free.push(place);
        Some(*slot)
    }

    /// Gives up those that have waited too long, and says how many.
    pub fn expire(&mut self, now: Duration) -> u64 {
        let mut expired = 0;
        for (place, slot) in self.slots.iter_mut().enumerate() {
            if slot.waiting && slot.sent + PATIENCE < now {
                slot.waiting = false;
                self.free.push(place as u16);
                expired += 1;
            }
        }
        expired
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_window_is_full_until_an_answer_comes() {
        let mut window = Window::new(3);
        let ids: Vec<u16> = (0..3).map(|query| window.open(query, Duration::ZERO).unwrap()).collect();
        assert_eq!(window.open(3, Duration::ZERO), None);
        assert_eq!(window.close(ids[1]).unwrap().query, 1);
        assert_eq!((window.free(), window.waiting()), (1, 2));
        assert!(window.open(3, Duration::ZERO).is_some());
    }

    #[test]
    fn an_answer_counts_once_and_in_its_time() {
        let mut window = Window::new(3);
        let first = window.open(0, Duration::ZERO).unwrap();
        assert!(window.close(first).is_some());
        assert!(window.close(first).is_none(), "a second copy");
        let second = window.open(0, Duration::ZERO).unwrap();
        assert_ne!(first, second, "the place is the same, the ID is not");
        assert!(window.close(first).is_none());
        assert!(window.close(3).is_none(), "a place that the window does not have");
        assert_eq!(window.expire(PATIENCE), 0);
        assert_eq!(window.expire(PATIENCE + Duration::from_nanos(1)), 1);
        assert!(window.close(second).is_none(), "late");
        assert_eq!(window.waiting(), 0);
    }
}
