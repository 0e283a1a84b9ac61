//! Queries in flight.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::Arrived;
use super::backend::BackendSocket;
use crate::slow_path::Forward;
use crate::slow_path::random::Random;

/// Octets of all queries that a worker keeps at most.
const OCTETS: usize = 64 << 20;
/// Octets kept for the next query in a place: most queries are shorter.
const SPARE: usize = 1024;

/// A query that waits for its reply.
pub(super) struct Flight {
    /// The message as it is sent to the backend: with an ID of ours.
    pub(super) query: Vec<u8>,
    /// The client's ID, raw.
    pub(super) id: u16,
    /// Who asked.
    pub(super) client: SocketAddr,
    /// Place of the listener asked.
    pub(super) listener: usize,
    /// Where it was sent last.
    pub(super) forward: Forward,
    /// How it was sent last.
    pub(super) attempt: Attempt,
    /// How it was sent first, if it was sent twice. Whichever reply comes first counts.
    pub(super) earlier: Option<Attempt>,
    begin: Instant,
}

/// One time that a query was sent.
pub(super) struct Attempt {
    /// The socket that it was sent by.
    pub(super) socket: Rc<BackendSocket>,
    /// The ID that it had, raw.
    pub(super) id: u16,
    /// The backend's id.
    pub(super) backend: u16,
}

impl Attempt {
    /// A query that is about to be sent by a socket, with an ID of its own.
    pub(super) fn new(
        socket: Rc<BackendSocket>,
        ticket: Ticket,
        forward: &Forward,
        random: &mut Random,
    ) -> Self {
        let id = socket.take_id(ticket, random);
        Self { socket, id, backend: forward.subject.backend }
    }
}

impl Flight {
    /// Has it been sent twice?
    pub(super) const fn is_retried(&self) -> bool {
        self.earlier.is_some()
    }

    /// The id of the backend that was asked by this socket.
    pub(super) fn backend_of(&self, socket: &BackendSocket) -> u16 {
        let is_by = |attempt: &&Attempt| std::ptr::eq(&raw const *attempt.socket, socket);
        self.earlier.iter().find(is_by).map_or(self.attempt.backend, |earlier| earlier.backend)
    }
}

/// A place in [`Flights`], and the query that it was given out for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    index: u32,
    /// How many queries had this place before.
    turn: u32,
}

/// All queries in flight of a worker, and when they have waited long enough.
pub(super) struct Flights {
    places: Vec<Place>,
    free: Vec<u32>,
    limit: usize,
    /// Octets of all queries in flight.
    octets: usize,
    /// Both are in the order of time, since all wait equally long.
    first: VecDeque<(Instant, Ticket)>,
    last: VecDeque<(Instant, Ticket)>,
    /// How long the first backend has.
    patience: Duration,
    /// How long the client waits.
    timeout: Duration,
}

struct Place {
    turn: u32,
    flight: Option<Flight>,
    /// The last one's memory, for the next.
    spare: Vec<u8>,
}

/// A query that sets out.
pub(super) struct Departure {
    /// The message as it is sent.
    pub(super) query: Vec<u8>,
    /// The client's ID, raw.
    pub(super) id: u16,
    /// Who asked whom.
    pub(super) arrived: Arrived,
    /// Where it goes.
    pub(super) forward: Forward,
    /// How it is sent.
    pub(super) attempt: Attempt,
}

/// Whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// To try another backend.
    Retry(Ticket),
    /// To give up.
    GiveUp(Ticket),
}

impl Flights {
    pub(super) fn new(limit: usize, timeout: Duration) -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
            limit,
            octets: 0,
            first: VecDeque::new(),
            last: VecDeque::new(),
            patience: timeout / 3,
            timeout,
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// The ticket of the next query, which has `length` octets, and memory for them. `None`: there are too
    /// many.
    pub(super) fn reserve(&mut self, length: usize) -> Option<(Ticket, Vec<u8>)> {
        if self.octets + length > OCTETS {
            return None;
        }
        if self.free.is_empty() {
            if self.places.len() >= self.limit {
                return None;
            }
            self.free.push(self.places.len() as u32);
            self.places.push(Place { turn: 0, flight: None, spare: Vec::new() });
        }
        let index = *self.free.last()?;
        let place = self.places.get_mut(index as usize)?;
        Some((Ticket { index, turn: place.turn }, std::mem::take(&mut place.spare)))
    }

    /// The query that has waited longest.
    pub(super) fn oldest(&self) -> Option<Ticket> {
        let waiting = self.last.iter().chain(&self.first).map(|(_, ticket)| *ticket);
        waiting.into_iter().find(|ticket| self.peek(*ticket).is_some())
    }

    /// Puts a query into the place that was [reserved](Self::reserve) last.
    pub(super) fn open(&mut self, ticket: Ticket, now: Instant, departure: Departure) {
        let Departure { query, id, arrived: Arrived { client, listener, .. }, forward, attempt } = departure;
        self.free.pop();
        self.octets += query.len();
        if let Some(place) = self.places.get_mut(ticket.index as usize) {
            let begin = now;
            place.flight =
                Some(Flight { query, id, client, listener, forward, attempt, earlier: None, begin });
        }
        self.first.push_back((now + self.patience, ticket));
    }

    /// A query that is still in flight.
    pub(super) fn get(&mut self, ticket: Ticket) -> Option<&mut Flight> {
        let place = self.places.get_mut(ticket.index as usize)?;
        if place.turn == ticket.turn { place.flight.as_mut() } else { None }
    }

    /// The same, to look at.
    pub(super) fn peek(&self, ticket: Ticket) -> Option<&Flight> {
        let place = self.places.get(ticket.index as usize)?;
        if place.turn == ticket.turn { place.flight.as_ref() } else { None }
    }

    /// Ends a flight and frees its IDs. To be given back with [`recycle`](Self::recycle).
    pub(super) fn close(&mut self, ticket: Ticket) -> Option<Flight> {
        self.get(ticket)?;
        let place = self.places.get_mut(ticket.index as usize)?;
        place.turn = place.turn.wrapping_add(1);
        self.free.push(ticket.index);
        let flight = place.flight.take()?;
        self.octets -= flight.query.len();
        flight.earlier.iter().chain([&flight.attempt]).for_each(|attempt| attempt.socket.release(attempt.id));
        Some(flight)
    }

    /// Keeps the memory of a flight that has ended for the next one in its place.
    pub(super) fn recycle(&mut self, ticket: Ticket, flight: Flight) {
        if let Some(place) = self.places.get_mut(ticket.index as usize)
            && flight.query.capacity() <= SPARE
        {
            place.spare = flight.query;
        }
    }

    /// When the next one is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let first = self.first.front().map(|(due, _)| *due);
        let last = self.last.front().map(|(due, _)| *due);
        match (first, last) {
            (Some(first), Some(last)) => Some(first.min(last)),
            (first, last) => first.or(last),
        }
    }

    /// Takes one that is due.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Due> {
        while let Some(&(due, ticket)) = self.first.front()
            && due <= now
        {
            self.first.pop_front();
            let timeout = self.timeout;
            if let Some(flight) = self.get(ticket) {
                let end = flight.begin + timeout;
                let is_retried = flight.is_retried();
                self.last.push_back((end, ticket));
                if !is_retried {
                    return Some(Due::Retry(ticket));
                }
            }
        }
        while let Some(&(due, ticket)) = self.last.front()
            && due <= now
        {
            self.last.pop_front();
            if self.get(ticket).is_some() {
                return Some(Due::GiveUp(ticket));
            }
        }
        None
    }
}
