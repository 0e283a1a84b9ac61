//! A query in flight over TCP.

use std::rc::Rc;
use std::time::Instant;

use super::client::Client;
use super::connection::Connection;
use crate::slow_path::Forward;

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

impl Flight {
    /// A query that has not been sent yet, in memory of its own.
    pub(super) fn new(
        mut memory: Vec<u8>,
        query: &[u8],
        client: &Rc<Client>,
        forward: Forward,
        now: Instant,
    ) -> Self {
        memory.extend_from_slice(query);
        let client = Rc::clone(client);
        Self { query: memory, client, forward, sent: None, sent_at: now, is_resent: false, is_moved: false }
    }
}
