//! What is known about a client's connection to everybody who deals with its queries.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::buffers::{Alarm, Output};
use super::pool::Pool;
use super::transfer;
use crate::slow_path::Reason;
use crate::slow_path::flights::Ticket;

/// Queries in flight at which no more are read. Reading goes on at half of it, as with all of these.
const MOST_IN_FLIGHT: usize = 256;
/// Octets of queries in flight.
const MOST_OCTETS_IN_FLIGHT: usize = 256 << 10;
/// Octets of responses that wait for the client to read.
const MOST_PENDING: usize = 256 << 10;
/// Octets of responses, at which a zone transfer waits: below the above, so that queries are still read.
const TRANSFER_PENDING: usize = 128 << 10;
/// Octets of responses that wait or are to be expected, at which no more queries are read.
const MOST_EXPECTED: usize = 1 << 20;
/// Octets of responses at which replies are dropped: more than those to all queries in flight.
const HARD_PENDING: usize = 20 << 20;
/// Octets of responses to all clients of a worker at which replies to those that let many wait are dropped.
const HARD_PENDING_OF_ALL: usize = 256 << 20;
/// Zone transfers under way at which no more queries are read: as many as a client may have.
const MOST_TRANSFERS: usize = transfer::MOST_OF_CLIENT;

/// How a client's connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The client has closed it, or broken it off.
    ByClient,
    /// We close it.
    Because(Reason),
}

/// A client's connection.
pub(super) struct Client {
    pub(super) address: SocketAddr,
    /// The listener asked.
    pub(super) listener: SocketAddr,
    /// Where in the worker's list it is.
    pub(super) place: Cell<usize>,
    /// Pools of connections to backends that were told of this client (PROXY protocol).
    pub(super) own_pools: RefCell<Vec<Rc<Pool>>>,
    pub(super) output: RefCell<Output>,
    /// Octets of responses that wait for any client of the worker.
    all_pending: Rc<Cell<usize>>,
    /// Octets that a reply to it has, as far as one can tell from the last ones.
    usual_reply: Cell<usize>,
    /// Its queries in flight.
    tickets: RefCell<Vec<Ticket>>,
    octets_in_flight: Cell<usize>,
    transfers: Cell<usize>,
    is_full: Cell<bool>,
    last_active: Cell<Instant>,
    /// To be closed.
    end: Cell<Option<End>>,
    /// To be looked at, as it may have been idle for too long.
    is_suspect: Cell<bool>,
    is_gone: Cell<bool>,
    pub(super) alarm: Alarm,
    /// Told when output was sent, or when it is gone; for zone transfers.
    changed: Notify,
}

impl Client {
    pub(super) fn new(address: SocketAddr, listener: SocketAddr, all_pending: Rc<Cell<usize>>) -> Self {
        Self {
            address,
            listener,
            place: Cell::new(0),
            own_pools: RefCell::default(),
            output: RefCell::default(),
            all_pending,
            usual_reply: Cell::new(0),
            tickets: RefCell::default(),
            octets_in_flight: Cell::new(0),
            transfers: Cell::new(0),
            is_full: Cell::new(false),
            last_active: Cell::new(Instant::now()),
            end: Cell::new(None),
            is_suspect: Cell::new(false),
            is_gone: Cell::new(false),
            alarm: Alarm::default(),
            changed: Notify::new(),
        }
    }

    /// May another query be taken from it?
    pub(super) fn may_ask(&self) -> bool {
        // Once it was full, it has to come down to half: else it would be read one query at a time.
        let part = if self.is_full.get() { 2 } else { 1 };
        let pending = self.output.borrow().pending();
        let is_full = self.in_flight() >= MOST_IN_FLIGHT / part
            || self.octets_in_flight.get() >= MOST_OCTETS_IN_FLIGHT / part
            || pending >= MOST_PENDING / part
            || pending + self.in_flight() * self.usual_reply.get() >= MOST_EXPECTED / part
            || self.transfers.get() >= MOST_TRANSFERS;
        self.is_full.set(is_full);
        !is_full
    }

    pub(super) fn is_busy(&self) -> bool {
        self.in_flight() > 0 || self.transfers.get() > 0
    }

    fn in_flight(&self) -> usize {
        self.tickets.borrow().len()
    }

    /// A query of so many octets is under way.
    pub(super) fn begin_query(&self, ticket: Ticket, octets: usize) {
        self.tickets.borrow_mut().push(ticket);
        self.octets_in_flight.set(self.octets_in_flight.get() + octets);
    }

    /// A query of so many octets is over.
    pub(super) fn end_query(&self, ticket: Ticket, octets: usize) {
        let mut tickets = self.tickets.borrow_mut();
        if let Some(at) = tickets.iter().position(|other| *other == ticket) {
            tickets.swap_remove(at);
            self.octets_in_flight.set(self.octets_in_flight.get() - octets);
        }
    }

    /// Its queries in flight, which are no longer its own.
    pub(super) fn take_queries(&self) -> Vec<Ticket> {
        self.octets_in_flight.set(0);
        self.tickets.take()
    }

    pub(super) fn begin_transfer(&self) {
        self.transfers.set(self.transfers.get() + 1);
    }

    pub(super) fn end_transfer(&self) {
        self.transfers.set(self.transfers.get() - 1);
        self.alarm.ring();
    }

    /// Is there room for a reply of so many octets?
    pub(super) fn has_room(&self, octets: usize) -> bool {
        self.usual_reply.set((3 * self.usual_reply.get() + octets).div_ceil(4));
        let pending = self.output.borrow().pending();
        pending < MOST_PENDING || pending < HARD_PENDING && self.all_pending.get() < HARD_PENDING_OF_ALL
    }

    /// Appends to what is to be sent.
    pub(super) fn respond(&self, now: Instant, append: impl FnOnce(&mut Output)) {
        if self.is_gone.get() {
            return;
        }
        self.touch(now);
        let mut output = self.output.borrow_mut();
        let before = output.pending();
        append(&mut output);
        self.all_pending.set(self.all_pending.get() + output.pending() - before);
        if before == 0 {
            // Otherwise it has been told, or waits until it can send.
            self.alarm.ring();
        }
    }

    /// Something happened.
    pub(super) fn touch(&self, now: Instant) {
        self.last_active.set(now);
    }

    pub(super) fn quiet_for(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.last_active.get())
    }

    /// Has its task look whether it is idle or stalled.
    pub(super) fn suspect(&self) {
        self.output.borrow_mut().shrink();
        self.is_suspect.set(true);
        self.alarm.ring();
    }

    pub(super) fn take_suspicion(&self) -> bool {
        self.is_suspect.take()
    }

    /// Closes it, soon.
    pub(super) fn close(&self, end: End) {
        self.end.set(Some(end));
        self.alarm.ring();
    }

    /// Is it to be closed?
    pub(super) fn end(&self) -> Option<End> {
        self.end.get()
    }

    /// So many octets of output were sent.
    pub(super) fn sent(&self, octets: usize, now: Instant) {
        self.all_pending.set(self.all_pending.get() - octets);
        self.touch(now);
        if self.transfers.get() > 0 {
            self.changed.notify_waiters();
        }
    }

    /// It has been closed.
    pub(super) fn gone(&self) {
        self.is_gone.set(true);
        let unsent = self.output.take().pending();
        self.all_pending.set(self.all_pending.get() - unsent);
        self.changed.notify_waiters();
        self.own_pools.take().iter().for_each(|pool| pool.close());
    }

    pub(super) fn is_gone(&self) -> bool {
        self.is_gone.get()
    }

    /// Ends when it has been closed.
    pub(super) async fn until_gone(&self) {
        while !self.is_gone() {
            self.changed.notified().await;
        }
    }

    /// Ends when the next message of a zone transfer may be appended.
    pub(super) async fn room(&self) {
        while self.output.borrow().pending() >= TRANSFER_PENDING {
            self.changed.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_replies_are_the_fewer_queries_are_in_flight() {
        for (octets, expected) in [(100, 256), (4_000, 256), (40_000, 27), (65_535, 17)] {
            let address = SocketAddr::from(([192, 0, 2, 1], 53));
            let client = Client::new(address, address, Rc::default());
            (0..50).for_each(|_| assert!(client.has_room(octets)));
            let asked =
                (0..1000).take_while(|_| client.may_ask()).map(|_| client.begin_query(Ticket::default(), 50));
            assert_eq!(asked.count(), expected, "{octets}");
        }
    }
}
