//! A query in flight over UDP.

use std::net::SocketAddr;
use std::rc::Rc;

use super::backend::BackendSocket;
use crate::random::Random;
use crate::slow_path::Forward;
use crate::slow_path::flights::Ticket;

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

    /// Gives back the IDs that it was sent with.
    pub(super) fn release_ids(&self) {
        self.earlier.iter().chain([&self.attempt]).for_each(|attempt| attempt.socket.release(attempt.id));
    }

    /// The id of the backend that was asked by this socket.
    pub(super) fn backend_of(&self, socket: &BackendSocket) -> u16 {
        let is_by = |attempt: &&Attempt| std::ptr::eq(&raw const *attempt.socket, socket);
        self.earlier.iter().find(is_by).map_or(self.attempt.backend, |earlier| earlier.backend)
    }
}
