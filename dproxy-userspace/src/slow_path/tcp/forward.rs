//! From clients to backends and back.

use std::rc::Rc;
use std::time::Instant;

use tokio::task::spawn_local;

use super::client::{Client, End};
use super::connection::Connection;
use super::flight::Flight;
use super::pool::{Choice, Pool};
use super::transfer::Transfer;
use super::{Failure, Tcp};
use crate::slow_path::counters::{add, take_one};
use crate::slow_path::decide::Response;
use crate::slow_path::flights::Ticket;
use crate::slow_path::message;
use crate::slow_path::{Asked, Decision, Forward, Reason, View, proxy_protocol};

impl Tcp {
    /// Deals with a message of a client, or says why its connection is to be closed.
    pub(super) fn ask(
        self: &Rc<Self>,
        view: &View,
        client: &Rc<Client>,
        listener: u16,
        message: &[u8],
        now: Instant,
    ) -> Result<(), End> {
        let asked = Asked { message, client: client.address, listener, over_tcp: true };
        let decision = self.worker.decider.borrow_mut().decide(view, &asked);
        match decision {
            Decision::Forward(forward) if forward.is_transfer => {
                match Transfer::new(self, client, message, forward) {
                    Some(transfer) => drop(spawn_local(transfer.run())),
                    None => self.overload(client, message, &forward, now),
                }
                Ok(())
            }
            Decision::Forward(forward) => {
                self.forward(client, message, forward, now);
                Ok(())
            }
            Decision::Answer(response) => {
                self.answer(client, message, &response, now);
                Ok(())
            }
            Decision::Drop(reason @ Reason::RouteDrop, subject) => {
                self.worker.counters.count_query(reason, &subject);
                Ok(())
            }
            // Not DNS: where the next message begins is anybody's guess.
            Decision::Drop(reason, _) => {
                self.worker.count(reason);
                Err(End::Because(Reason::ConnectionNotDns))
            }
        }
    }

    fn overload(&self, client: &Client, query: &[u8], forward: &Forward, now: Instant) {
        self.answer(client, query, &Response::servfail(Reason::ServfailOverload, forward), now);
    }

    /// Responds to a query that was not forwarded.
    fn answer(&self, client: &Client, query: &[u8], response: &Response, now: Instant) {
        self.worker.counters.count_query(response.reason, &response.subject);
        self.respond(client, query, response, now);
    }

    /// Responds to a query.
    pub(super) fn respond(&self, client: &Client, query: &[u8], response: &Response, now: Instant) {
        self.worker.counters.count_response(response.subject.listener);
        client.respond(now, |output| output.frame(|out| response.write(query, out)));
    }

    fn forward(self: &Rc<Self>, client: &Rc<Client>, query: &[u8], forward: Forward, now: Instant) {
        loop {
            let mut flights = self.flights.borrow_mut();
            if flights.has_room(query.len()) {
                break;
            }
            // Who has waited longest is the least likely to get a reply.
            let Some(oldest) = flights.oldest() else {
                drop(flights);
                return self.overload(client, query, &forward, now);
            };
            drop(flights);
            self.give_up(oldest, Reason::ServfailOverload, now);
        }
        let ticket = {
            let flights = &mut *self.flights.borrow_mut();
            let flight = Flight::new(flights.memory(), query, client, forward, now);
            flights.open(query.len(), now, |_| flight)
        };
        client.begin_query(ticket, query.len());
        self.worker.counters.count_query(Reason::TcpForwarded, &forward.subject);
        add(&self.worker.counters.queries_in_flight, 1);
        self.send(ticket, false, now);
    }

    /// Sends a query to the backend chosen for it; over a `fresh` connection, if others may be broken.
    fn send(self: &Rc<Self>, ticket: Ticket, fresh: bool, now: Instant) {
        let mut flights = self.flights.borrow_mut();
        let Some(flight) = flights.get_mut(ticket) else { return };
        let is_update = is_update(&flight.query);
        let pool = self.pool(&flight.client, &flight.forward, is_update);
        let connection = match pool.choose(fresh || is_update) {
            Choice::This(connection) => connection,
            Choice::Open => self.open(&pool, now),
            Choice::Full => {
                drop(flights);
                return self.fail(ticket, Failure::Full, now);
            }
        };
        let id = connection.send(ticket, &flight.query, &mut self.random.borrow_mut(), now);
        flight.sent = Some((connection, id));
        flight.sent_at = now;
    }

    /// The connections that a query may take.
    fn pool(&self, client: &Client, forward: &Forward, is_update: bool) -> Rc<Pool> {
        let address = forward.address;
        if !forward.proxy_protocol {
            let mut pools = self.pools.borrow_mut();
            let pool = pools.entry((address, is_update));
            return Rc::clone(pool.or_insert_with(|| Rc::new(Pool::shared(address, is_update))));
        }
        let mut pools = client.own_pools.borrow_mut();
        let is_it = |pool: &&Rc<Pool>| pool.address == address && pool.is_for_updates == is_update;
        if let Some(pool) = pools.iter().find(is_it) {
            return Rc::clone(pool);
        }
        let pool = Rc::new(Pool::of_client(address, is_update, header(client, forward)));
        pools.push(Rc::clone(&pool));
        pool
    }

    /// Forgets a pool without connections.
    pub(super) fn forget_if_empty(&self, pool: &Rc<Pool>) {
        let mut pools = self.pools.borrow_mut();
        let key = (pool.address, pool.is_for_updates);
        if pool.is_empty() && pools.get(&key).is_some_and(|known| Rc::ptr_eq(known, pool)) {
            pools.remove(&key);
        }
    }

    /// Delivers a reply.
    pub(super) fn reply(&self, connection: &Connection, reply: &[u8], now: Instant) {
        if let Err(reason) = self.try_reply(connection, reply, now) {
            self.worker.count(reason);
        }
    }

    fn try_reply(&self, connection: &Connection, reply: &[u8], now: Instant) -> Result<(), Reason> {
        let id = message::id(reply).ok_or(Reason::ReplyNotDns)?;
        let Some(ticket) = connection.waiting(id) else {
            return Err(if connection.take_forgotten(id) {
                Reason::ClientGone
            } else {
                Reason::ReplyUnknown
            });
        };
        let mut flights = self.flights.borrow_mut();
        let flight = flights.get_mut(ticket).ok_or(Reason::Internal)?;
        message::is_reply_to(&flight.query, flight.forward.question_length, reply)?;
        connection.replied(id, now);
        if !flight.client.has_room(reply.len()) {
            drop(flights);
            self.close(ticket);
            return Err(Reason::ReplyNoRoom);
        }
        let original = message::id(&flight.query).unwrap_or_default();
        flight.client.respond(now, |output| output.push(reply, original));
        let subject = flight.forward.subject;
        drop(flights);
        self.worker.counters.count_reply(Reason::TcpReplied, &subject, message::response_code(reply));
        self.close(ticket);
        Ok(())
    }

    /// Finds another way for a query; else it is answered SERVFAIL.
    pub(super) fn fail(self: &Rc<Self>, ticket: Ticket, failure: Failure, now: Instant) {
        let mut flights = self.flights.borrow_mut();
        let Some(flight) = flights.get_mut(ticket) else { return };
        // A server closes connections that it finds idle, or that have asked enough: as long as it replies,
        // that does not count.
        if failure == Failure::Broken
            && let Some((connection, _)) = &flight.sent
            && connection.has_replied()
            && !is_update(&flight.query)
            && (!flight.is_resent || connection.has_replied_since(flight.sent_at))
        {
            flight.is_resent |= !connection.has_replied_since(flight.sent_at);
            drop(flights);
            self.worker.count(Reason::RetriedBroken);
            return self.send(ticket, true, now);
        }
        let another = || self.worker.decider.borrow().another(&*self.worker.view()?, &flight.forward);
        let Some(forward) = (if flight.is_moved { None } else { another() }) else {
            drop(flights);
            return match failure {
                Failure::Unreachable => self.give_up(ticket, Reason::ServfailUnreachable, now),
                Failure::Broken => self.give_up(ticket, Reason::ServfailBroken, now),
                Failure::Full => self.give_up(ticket, Reason::ServfailOverload, now),
                // It may still reply.
                Failure::Silent => {}
            };
        };
        (flight.is_moved, flight.forward) = (true, forward);
        if let Some((connection, id)) = flight.sent.take() {
            connection.release(id);
        }
        drop(flights);
        self.worker.count(match failure {
            Failure::Unreachable | Failure::Broken | Failure::Full => Reason::RetriedUnreachable,
            Failure::Silent => Reason::RetriedTimeout,
        });
        self.worker.counters.count_backend_query(forward.subject.backend);
        self.send(ticket, false, now);
    }

    /// Answers SERVFAIL.
    pub(super) fn give_up(&self, ticket: Ticket, reason: Reason, now: Instant) {
        let mut flights = self.flights.borrow_mut();
        let Some(flight) = flights.get_mut(ticket) else { return };
        if let Some((connection, id)) = flight.sent.take() {
            connection.release(id);
        }
        self.worker.count(reason);
        let response = Response::servfail(reason, &flight.forward);
        self.respond(&flight.client, &flight.query, &response, now);
        drop(flights);
        self.close(ticket);
    }

    /// Forgets a query.
    fn close(&self, ticket: Ticket) {
        let mut flights = self.flights.borrow_mut();
        if let Some(flight) = flights.close(ticket) {
            flight.client.end_query(ticket, flight.query.len());
            flights.recycle(flight.query);
            take_one(&self.worker.counters.queries_in_flight);
        }
    }

    /// Forgets the queries of a client that has gone.
    pub(super) fn forget(&self, client: &Client) {
        for ticket in client.take_queries() {
            let sent = self.flights.borrow_mut().get_mut(ticket).and_then(|flight| flight.sent.take());
            if let Some((connection, id)) = sent {
                connection.forget(id);
            }
            self.close(ticket);
        }
    }

    /// Looks after queries that have waited for long.
    pub(super) fn on_time(self: &Rc<Self>, now: Instant) {
        loop {
            let slow = self.flights.borrow_mut().take_slow(now);
            let Some(ticket) = slow else { break };
            self.doubt(ticket);
            self.fail(ticket, Failure::Silent, now);
        }
        loop {
            let late = self.flights.borrow_mut().take_late(now);
            let Some(ticket) = late else { break };
            self.doubt(ticket);
            self.give_up(ticket, Reason::ServfailTimeout, now);
        }
    }

    /// The connection that a query waits on may be dead.
    fn doubt(&self, ticket: Ticket) {
        if let Some(flight) = self.flights.borrow_mut().get_mut(ticket)
            && let Some((connection, _)) = &flight.sent
        {
            connection.doubt(flight.sent_at);
        }
    }
}

/// Is it an UPDATE? What a backend that broke off has made of it, nobody knows.
fn is_update(query: &[u8]) -> bool {
    message::header(query).is_some_and(|dns| dns.opcode() == message::UPDATE)
}

/// What comes first on a connection to a backend that expects the PROXY protocol.
pub(super) fn header(client: &Client, forward: &Forward) -> Vec<u8> {
    let mut header = Vec::new();
    if forward.proxy_protocol {
        proxy_protocol::write(client.address, client.listener, true, &mut header);
    }
    header
}
