//! Queries under way to backends.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::client::Client;
use super::connection::Connection;
use crate::slow_path::Forward;

/// Queries' memory that is kept for later ones: so many, each of up to so many octets.
const SPARE: usize = 4096;
const SPARE_OCTETS: usize = 1024;

/// Octets of all queries in flight of a worker.
const OCTETS: usize = 64 << 20;

/// What a query in flight goes by. Of one that has ended, the ticket is void.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ticket {
    place: u32,
    serial: u32,
}

/// A query under way.
pub(super) struct Flight {
    /// The message as it came.
    pub(super) query: Vec<u8>,
    pub(super) client: Rc<Client>,
    pub(super) forward: Forward,
    /// Where it was sent last, when, and by which ID.
    pub(super) sent: Option<(Rc<Connection>, u16)>,
    pub(super) sent_at: Instant,
    /// Was it sent again, to the same backend?
    pub(super) is_resent: bool,
    /// Was it sent to another backend?
    pub(super) is_moved: bool,
}

#[derive(Default)]
struct Place {
    serial: u32,
    flight: Option<Flight>,
}

/// All queries under way of a worker, and when patience with them ends.
pub(super) struct Flights {
    most: usize,
    timeout: Duration,
    octets: usize,
    places: Vec<Place>,
    free: Vec<u32>,
    spare: Vec<Vec<u8>>,
    /// When queries began, in that order. Those that waited for a third of the timeout go over to `slow`.
    recent: VecDeque<(Instant, Ticket)>,
    slow: VecDeque<(Instant, Ticket)>,
}

impl Flights {
    /// For so many queries at a time.
    pub(super) fn new(most: usize, timeout: Duration) -> Self {
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

    /// Notes a query. `None`: there are too many.
    pub(super) fn open(
        &mut self,
        query: &[u8],
        client: &Rc<Client>,
        forward: Forward,
        now: Instant,
    ) -> Option<Ticket> {
        if self.octets + query.len() > OCTETS {
            return None;
        }
        let place = match self.free.pop() {
            Some(place) => place,
            None if self.places.len() < self.most => {
                self.places.push(Place::default());
                self.places.len() as u32 - 1
            }
            None => return None,
        };
        self.octets += query.len();
        let mut memory = self.spare.pop().unwrap_or_default();
        memory.extend_from_slice(query);
        let here = &mut self.places[place as usize];
        here.flight = Some(Flight {
            query: memory,
            client: Rc::clone(client),
            forward,
            sent: None,
            sent_at: now,
            is_resent: false,
            is_moved: false,
        });
        let ticket = Ticket { place, serial: here.serial };
        self.recent.push_back((now, ticket));
        Some(ticket)
    }

    pub(super) fn get(&mut self, ticket: Ticket) -> Option<&mut Flight> {
        let place = self.places.get_mut(ticket.place as usize)?;
        place.flight.as_mut().filter(|_| place.serial == ticket.serial)
    }

    /// Forgets a query.
    pub(super) fn close(&mut self, ticket: Ticket) -> Option<Flight> {
        self.get(ticket)?;
        let place = &mut self.places[ticket.place as usize];
        place.serial = place.serial.wrapping_add(1);
        self.free.push(ticket.place);
        let flight = place.flight.take()?;
        self.octets -= flight.query.len();
        Some(flight)
    }

    /// Takes back the memory of a query that was closed.
    pub(super) fn recycle(&mut self, mut memory: Vec<u8>) {
        if memory.capacity() <= SPARE_OCTETS && self.spare.len() < SPARE {
            memory.clear();
            self.spare.push(memory);
        }
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

    /// Forgets about the time of queries that have ended.
    pub(super) fn tidy(&mut self) {
        self.first_alive(|flights| &mut flights.recent);
    }
}
