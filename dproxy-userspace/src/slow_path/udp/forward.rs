//! From queries to backends.

use std::time::Instant;

use super::backend::BackendSocket;
use super::flight::{Attempt, Flight};
use super::{Arrived, Octets, Outbound, State, Udp};
use crate::slow_path::decide::Response;
use crate::slow_path::flights::Ticket;
use crate::slow_path::{Forward, Reason, counters, message, proxy_protocol};

impl Udp {
    /// Responds to a query of the batch.
    pub(super) fn answer(&self, state: &mut State, arrived: Arrived, response: &Response) {
        let Arrived { index, listener, client } = arrived;
        let begin = state.made.len();
        response.write(state.received.octets(index), &mut state.made);
        let octets = Octets::Made(begin..state.made.len());
        state.responses.push(Outbound { listener, client, octets });
        self.worker.counters.count_query(response.reason, &response.subject);
        self.worker.counters.count_response(response.subject.listener);
    }

    /// Notes that a query of the batch is to be sent to a backend.
    pub(super) fn forward(&self, state: &mut State, arrived: Arrived, forward: Forward, now: Instant) {
        let length = state.received.octets(arrived.index).len();
        while !state.flights.has_room(length) {
            // One that is answered at all has its answer within milliseconds.
            let Some(oldest) = state.flights.oldest() else {
                return self.answer(state, arrived, &Response::servfail(Reason::ServfailOverload, &forward));
            };
            self.give_up(state, oldest, Reason::ServfailOverload);
        }
        let Ok(socket) = state.backends.socket(&self.epoll, forward.address, now) else {
            // No route there, or no descriptor left.
            return self.answer(state, arrived, &Response::servfail(Reason::ServfailUnreachable, &forward));
        };
        let mut query = state.flights.memory();
        query.extend_from_slice(state.received.octets(arrived.index));
        let id = message::id(&query).unwrap_or_default();
        let Arrived { listener, client, .. } = arrived;
        let State { flights, random, .. } = state;
        let ticket = flights.open(length, now, |ticket| {
            let attempt = Attempt::new(socket, ticket, &forward, random);
            message::set_id(&mut query, attempt.id);
            Flight { query, id, client, listener, forward, attempt, earlier: None }
        });
        state.outgoing.push(ticket);
        self.worker.counters.count_query(Reason::UdpForwarded, &forward.subject);
        counters::add(&self.worker.counters.queries_in_flight, 1);
    }

    /// A query did not arrive, says a datagram that begins like it.
    pub(super) fn undeliverable(&self, state: &mut State, socket: &BackendSocket, quoted: &[u8]) {
        let Some(id) = message::id(proxy_protocol::skip(quoted)) else { return };
        let Some(ticket) = socket.waiting(id) else { return };
        // Of a query that has been sent again, the second time counts.
        let is_last = |flight: &Flight| {
            std::ptr::eq(&raw const *flight.attempt.socket, socket) && flight.attempt.id == id
        };
        if state.flights.get(ticket).is_some_and(is_last) {
            self.send_elsewhere(state, ticket);
        }
    }

    /// Sends a query to another backend, or answers SERVFAIL.
    pub(super) fn send_elsewhere(&self, state: &mut State, ticket: Ticket) {
        let Some(view) = self.worker.view() else { return };
        let Some(flight) = state.flights.get(ticket) else { return };
        let other = self.worker.decider.borrow().another(&view, &flight.forward);
        if !other.is_some_and(|other| self.retry(state, ticket, other, Reason::RetriedUnreachable)) {
            self.give_up(state, ticket, Reason::ServfailBroken);
        }
    }

    /// Sends a query that has waited long enough again: to another backend, or to the same if there is none.
    pub(super) fn send_again(&self, state: &mut State, ticket: Ticket) {
        let Some(view) = self.worker.view() else { return };
        let Some(flight) = state.flights.get(ticket).filter(|flight| flight.forward.is_for_any) else {
            return;
        };
        let forward = self.worker.decider.borrow().another(&view, &flight.forward).unwrap_or(flight.forward);
        self.retry(state, ticket, forward, Reason::RetriedTimeout);
    }

    /// Notes that a query is to be sent a second time. False: it has been, or cannot be.
    fn retry(&self, state: &mut State, ticket: Ticket, forward: Forward, why: Reason) -> bool {
        let Some(flight) = state.flights.get_mut(ticket).filter(|flight| !flight.is_retried()) else {
            return false;
        };
        let Ok(socket) = state.backends.socket(&self.epoll, forward.address, Instant::now()) else {
            return false;
        };
        let attempt = Attempt::new(socket, ticket, &forward, &mut state.random);
        message::set_id(&mut flight.query, attempt.id);
        flight.earlier = Some(std::mem::replace(&mut flight.attempt, attempt));
        flight.forward = forward;
        state.outgoing.push(ticket);
        self.worker.count(why);
        self.worker.counters.count_backend_query(forward.subject.backend);
        true
    }
}
