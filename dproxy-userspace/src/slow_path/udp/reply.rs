//! From backends to clients.

use std::net::SocketAddr;

use dproxy_common::abi::Subject;

use super::backend::BackendSocket;
use super::{Octets, Outbound, State, Udp};
use crate::slow_path::Reason;
use crate::slow_path::counters::take_one;
use crate::slow_path::decide::Response;
use crate::slow_path::flights::Ticket;
use crate::slow_path::message;

impl Udp {
    /// Notes that a reply of the batch is to be sent to its client.
    pub(super) fn reply(
        &self,
        state: &mut State,
        socket: &BackendSocket,
        index: usize,
    ) -> Result<(), Reason> {
        // Before it was connected, the socket heard anybody.
        if state.received.sender(index).is_none_or(|sender| !same_host(sender, socket.backend)) {
            return Err(Reason::ReplyUnknown);
        }
        let reply = state.received.octets(index);
        let id = message::id(reply).ok_or(Reason::ReplyNotDns)?;
        let ticket = socket.waiting(id).ok_or(Reason::ReplyUnknown)?;
        let flight = state.flights.get(ticket).ok_or(Reason::Internal)?;
        message::is_reply_to(&flight.query, flight.forward.question_length, reply)?;
        message::set_id(reply, flight.id);
        let (listener, client) = (flight.listener, flight.client);
        let subject = Subject { backend: flight.backend_of(socket), ..flight.forward.subject };
        self.worker.counters.count_reply(Reason::UdpReplied, &subject, message::response_code(reply));
        state.responses.push(Outbound { listener, client, octets: Octets::Received(index) });
        self.close(state, ticket);
        Ok(())
    }

    pub(super) fn close(&self, state: &mut State, ticket: Ticket) {
        if let Some(flight) = state.flights.close(ticket) {
            flight.release_ids();
            state.flights.recycle(flight.query);
            take_one(&self.worker.counters.queries_in_flight);
        }
    }

    /// Answers SERVFAIL.
    pub(super) fn give_up(&self, state: &mut State, ticket: Ticket, why: Reason) {
        let Some(flight) = state.flights.get_mut(ticket) else { return };
        message::set_id(&mut flight.query, flight.id);
        let response = Response::servfail(why, &flight.forward);
        let (listener, client, begin) = (flight.listener, flight.client, state.made.len());
        response.write(&flight.query, &mut state.made);
        self.worker.count(why);
        self.worker.counters.count_response(response.subject.listener);
        state.responses.push(Outbound { listener, client, octets: Octets::Made(begin..state.made.len()) });
        self.close(state, ticket);
    }
}

/// Are both one address and port? Scope ids aside, which the kernel fills in.
fn same_host(one: SocketAddr, other: SocketAddr) -> bool {
    (one.ip(), one.port()) == (other.ip(), other.port())
}
