//! Connections to one backend that queries share.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use super::connection::Connection;

/// Queries in flight on each connection at which another one is opened.
const BUSY: usize = 64;
/// Connections of one worker to one backend: servers have room for a hundred or so in all.
const MOST: usize = 4;
/// The same, with those that are silent or do not take what is sent: as many times more.
const MOST_STUCK: usize = 4;

/// What a query is to be sent by.
pub(super) enum Choice {
    This(Rc<Connection>),
    /// Another connection is to be opened.
    Open,
    /// There are too many, and none takes more.
    Full,
}

/// Connections to one backend: of a worker, or of one client if the backend is told who that is.
pub(super) struct Pool {
    pub(super) address: SocketAddr,
    /// What comes first on each connection (PROXY protocol).
    pub(super) header: Vec<u8>,
    /// For UPDATE, which must not be sent twice: no connection is kept that the backend may just be closing.
    pub(super) is_for_updates: bool,
    most: usize,
    connections: RefCell<Vec<Rc<Connection>>>,
}

impl Pool {
    pub(super) fn shared(address: SocketAddr, is_for_updates: bool) -> Self {
        Self { address, header: Vec::new(), is_for_updates, most: MOST, connections: RefCell::default() }
    }

    pub(super) fn of_client(address: SocketAddr, is_for_updates: bool, header: Vec<u8>) -> Self {
        Self { address, header, is_for_updates, most: 1, connections: RefCell::default() }
    }

    /// The connection with the fewest queries in flight; a `fresh` one has not replied to any yet.
    pub(super) fn choose(&self, fresh: bool) -> Choice {
        let connections = self.connections.borrow();
        let usable = || connections.iter().filter(|connection| connection.is_usable());
        let best = usable()
            .filter(|connection| !fresh || !connection.has_replied())
            .min_by_key(|connection| connection.in_flight());
        let are_enough = usable().count() >= self.most;
        match best {
            Some(best) if are_enough || best.in_flight() < BUSY => Choice::This(Rc::clone(best)),
            Some(_) | None if connections.len() < MOST_STUCK * self.most => Choice::Open,
            Some(best) => Choice::This(Rc::clone(best)),
            None => Choice::Full,
        }
    }

    pub(super) fn add(&self, connection: &Rc<Connection>) {
        self.connections.borrow_mut().push(Rc::clone(connection));
    }

    pub(super) fn remove(&self, connection: &Rc<Connection>) {
        self.connections.borrow_mut().retain(|other| !Rc::ptr_eq(other, connection));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.connections.borrow().is_empty()
    }

    /// Closes connections that nobody has used for long.
    pub(super) fn close_idle(&self, now: Instant) {
        for connection in self.connections.borrow().iter() {
            connection.close_if_idle(now);
        }
    }

    /// Closes all connections.
    pub(super) fn close(&self) {
        self.connections.borrow().iter().for_each(|connection| connection.close());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use crate::slow_path::flights::Ticket;

    #[test]
    fn a_backend_that_does_not_read_gets_only_so_much() {
        let pool = Pool::shared(SocketAddr::from(([192, 0, 2, 1], 53)), false);
        let (now, mut random) = (Instant::now(), Random::new());
        let mut queries = 0;
        loop {
            let connection = match pool.choose(false) {
                Choice::This(connection) => connection,
                Choice::Open => {
                    let connection = Rc::new(Connection::new(&[], false, now));
                    pool.add(&connection);
                    connection
                }
                Choice::Full => break,
            };
            connection.send(Ticket::default(), &[0; 60_000], &mut random, now);
            queries += 1;
            assert!(queries < 1000, "it never ends");
        }
        // 18 of them are more than one MiB.
        assert_eq!(queries, MOST * MOST_STUCK * 18);
    }
}
