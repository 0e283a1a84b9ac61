//! Sending what has been noted, many datagrams at once.

use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::rc::Rc;

use super::backend::BackendSocket;
use super::{Octets, Outbound, State, Udp};
use crate::datagrams::{BATCH, Datagram};
use crate::slow_path::{Reason, proxy_protocol};

impl Udp {
    /// Sends all that has been noted.
    pub(super) fn flush(&self, state: &mut State) {
        self.flush_queries(state);
        self.flush_responses(state);
        state.made.clear();
    }

    pub(super) fn flush_queries(&self, state: &mut State) {
        // Nearly always all are for one socket.
        while let Some(first) = state.outgoing.first().copied() {
            let Some(socket) = state.flights.get(first).map(|flight| Rc::clone(&flight.attempt.socket))
            else {
                state.outgoing.swap_remove(0);
                continue;
            };
            self.flush_socket(state, &socket);
        }
    }

    /// Sends the queries that go by this socket.
    pub(super) fn flush_socket(&self, state: &mut State, socket: &Rc<BackendSocket>) {
        let State { sender, flights, outgoing, made, .. } = state;
        let mut batch = Vec::with_capacity(BATCH);
        let mut prefixes = Vec::with_capacity(BATCH);
        outgoing.retain(|ticket| {
            let Some(flight) = flights.get(*ticket) else { return false };
            if !Rc::ptr_eq(&flight.attempt.socket, socket) || batch.len() == BATCH {
                return true;
            }
            let begin = made.len();
            if flight.forward.proxy_protocol {
                let listener = self.listeners[flight.listener].address;
                proxy_protocol::write(flight.client, listener, false, made);
            }
            prefixes.push(begin..made.len());
            batch.push(*ticket);
            false
        });
        let datagrams = batch.iter().zip(prefixes).filter_map(|(ticket, prefix)| {
            let message = flights.get(*ticket)?.query.as_slice();
            Some(Datagram { prefix: &made[prefix], message, to: None })
        });
        let mut undeliverable = Vec::new();
        sender.send(socket.as_fd(), datagrams, |index, error| {
            self.worker.count(Reason::SendFailed);
            // The socket's buffer is full: time will show. Else there is no way to the backend.
            if error.kind() != ErrorKind::WouldBlock {
                undeliverable.extend(batch.get(index).copied());
            }
        });
        for ticket in undeliverable {
            self.send_elsewhere(state, ticket);
        }
    }

    pub(super) fn flush_responses(&self, state: &mut State) {
        let State { sender, received, responses, made, .. } = state;
        while let Some(listener) = responses.first().map(|first| first.listener) {
            let fd = self.listeners[listener].socket.as_fd();
            let mut batch: Vec<Outbound> = Vec::with_capacity(BATCH);
            let mut index = 0;
            while index < responses.len() && batch.len() < BATCH {
                if responses[index].listener == listener {
                    batch.push(responses.swap_remove(index));
                } else {
                    index += 1;
                }
            }
            let datagrams = batch.iter().map(|outbound| {
                let message = match &outbound.octets {
                    Octets::Received(index) => received.peek(*index),
                    Octets::Made(range) => &made[range.clone()],
                };
                Datagram { prefix: &[], message, to: Some(outbound.client) }
            });
            sender.send(fd, datagrams, |_, _| self.worker.count(Reason::SendFailed));
        }
    }
}
