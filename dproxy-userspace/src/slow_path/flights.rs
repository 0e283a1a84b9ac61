//! Queries in flight: a place for each, and when patience with it ends. UDP and TCP have one each.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Octets of all queries that are kept at most.
const OCTETS: usize = 64 << 20;
/// Queries' memory that is kept for later ones: so many, each of up to so many octets.
const SPARE: usize = 4096;
const SPARE_OCTETS: usize = 1024;

/// What a query in flight goes by. Of one that has ended, the ticket is void.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ticket {
    place: u32,
    /// How many queries had this place before.
    serial: u32,
}

/// All queries in flight of one thread, with what is known of each.
pub(super) struct Flights<F> {
    most: usize,
    timeout: Duration,
    octets: usize,
    places: Vec<Place<F>>,
    free: Vec<u32>,
    spare: Vec<Vec<u8>>,
    /// When queries began, in that order. Those that waited for a third of the timeout go over to `slow`.
    recent: VecDeque<(Instant, Ticket)>,
    slow: VecDeque<(Instant, Ticket)>,
}

struct Place<F> {
    serial: u32,
    flight: Option<F>,
    octets: usize,
}

impl<F> Flights<F> {
    /// For so many queries at a time.
    pub(super) const fn new(most: usize, timeout: Duration) -> Self {
        Self {
            most,
            timeout,
            octets: 0,
            places: Vec::new(),
            free: Vec::new(),
            spare: Vec::new(),
            recent: VecDeque::new(),
            slow: VecDeque::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.free.len() == self.places.len()
    }

    /// Is there room for one more query, of so many octets?
    pub(super) fn has_room(&self, octets: usize) -> bool {
        self.octets + octets <= OCTETS && (!self.free.is_empty() || self.places.len() < self.most)
    }

    /// Empty memory for a query.
    pub(super) fn memory(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// Takes back the memory of a query that was closed.
    pub(super) fn recycle(&mut self, mut memory: Vec<u8>) {
        if memory.capacity() <= SPARE_OCTETS && self.spare.len() < SPARE {
            memory.clear();
            self.spare.push(memory);
        }
    }

    /// Notes a query of so many octets, for which there is [room](Self::has_room).
    pub(super) fn open(&mut self, octets: usize, now: Instant, begin: impl FnOnce(Ticket) -> F) -> Ticket {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place { serial: 0, flight: None, octets: 0 });
            self.places.len() as u32 - 1
        });
        let here = &mut self.places[place as usize];
        let ticket = Ticket { place, serial: here.serial };
        (here.flight, here.octets) = (Some(begin(ticket)), octets);
        self.octets += octets;
        self.recent.push_back((now, ticket));
        ticket
    }

    /// A query that is still in flight.
    pub(super) fn get(&self, ticket: Ticket) -> Option<&F> {
        let place = self.places.get(ticket.place as usize)?;
        place.flight.as_ref().filter(|_| place.serial == ticket.serial)
    }

    /// The same, to be changed.
    pub(super) fn get_mut(&mut self, ticket: Ticket) -> Option<&mut F> {
        let place = self.places.get_mut(ticket.place as usize)?;
        place.flight.as_mut().filter(|_| place.serial == ticket.serial)
    }

    /// Forgets a query.
    pub(super) fn close(&mut self, ticket: Ticket) -> Option<F> {
        self.get(ticket)?;
        let place = &mut self.places[ticket.place as usize];
        place.serial = place.serial.wrapping_add(1);
        self.free.push(ticket.place);
        self.octets -= place.octets;
        place.flight.take()
    }

    /// When the next query will have waited long enough; it may have ended since.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let slow = self.recent.front().map(|(began, _)| *began + self.timeout / 3);
        let late = self.slow.front().map(|(began, _)| *began + self.timeout);
        slow.into_iter().chain(late).min()
    }

    /// A query that has waited for a third of the timeout. Each is reported once.
    pub(super) fn take_slow(&mut self, now: Instant) -> Option<Ticket> {
        let third = self.timeout / 3;
        let (began, ticket) = self.first_alive(|flights| &mut flights.recent)?;
        if began + third > now {
            return None;
        }
        self.recent.pop_front();
        self.slow.push_back((began, ticket));
        Some(ticket)
    }

    /// A query that has waited for the whole timeout. Each is reported once.
    pub(super) fn take_late(&mut self, now: Instant) -> Option<Ticket> {
        let (began, ticket) = self.first_alive(|flights| &mut flights.slow)?;
        if began + self.timeout > now {
            return None;
        }
        self.slow.pop_front();
        Some(ticket)
    }

    /// The query that has waited longest.
    pub(super) fn oldest(&mut self) -> Option<Ticket> {
        let oldest = self.first_alive(|flights| &mut flights.slow);
        oldest.or_else(|| self.first_alive(|flights| &mut flights.recent)).map(|(_, ticket)| ticket)
    }

    /// Forgets about the time of queries that have ended.
    pub(super) fn tidy(&mut self) {
        self.first_alive(|flights| &mut flights.recent);
    }

    fn first_alive(
        &mut self,
        queue: impl Fn(&mut Self) -> &mut VecDeque<(Instant, Ticket)>,
    ) -> Option<(Instant, Ticket)> {
        loop {
            let first = *queue(self).front()?;
            if self.get(first.1).is_some() {
                return Some(first);
            }
            queue(self).pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_for_one_query() {
        let now = Instant::now();
        let mut flights = Flights::new(1, Duration::from_secs(3));
        let first = flights.open(10, now, |_| "first");
        assert!(!flights.has_room(10));
        assert_eq!(flights.close(first), Some("first"));
        let second = flights.open(10, now, |_| "second");
        assert_eq!(flights.get(first), None);
        assert_eq!(flights.close(first), None);
        assert_eq!(flights.get(second), Some(&"second"));
    }

    #[test]
    fn octets_are_limited_too() {
        let mut flights = Flights::new(1000, Duration::from_secs(3));
        let large = flights.open(OCTETS - 5, Instant::now(), |_| ());
        assert!(flights.has_room(5) && !flights.has_room(6));
        flights.close(large);
        assert!(flights.has_room(6));
    }

    #[test]
    fn queries_are_due_in_the_order_in_which_they_began() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut flights = Flights::new(10, 3 * second);
        let [a, b, c] = [0, 1, 2].map(|n| flights.open(1, start + n * second / 10, |_| n));
        flights.close(b);
        assert_eq!(flights.next_due(), Some(start + second));
        assert_eq!(flights.take_slow(start + second / 2), None);
        assert_eq!([2, 2].map(|n| flights.take_slow(start + n * second)), [Some(a), Some(c)]);
        assert_eq!(flights.oldest(), Some(a));
        assert_eq!(flights.next_due(), Some(start + 3 * second));
        assert_eq!([3, 3].map(|n| flights.take_late(start + n * second)), [Some(a), None]);
    }
}
