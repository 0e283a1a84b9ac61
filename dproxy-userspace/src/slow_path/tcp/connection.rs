//! A connection to a backend.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::buffers::{Alarm, Input, Output, split};
use super::pool::Pool;
use super::{Failure, TURNS, Tcp};
use crate::random::Random;
use crate::slow_path::Reason;
use crate::slow_path::counters::{add, take_one};
use crate::slow_path::flights::Ticket;
use crate::slow_path::ids::{ById, Waiting};

/// How long a connection may be idle: less than servers allow, or they close it just when it is needed.
const IDLE: Duration = Duration::from_secs(5);
/// Queries in flight that one connection can have: well below the number of IDs.
pub(super) const MOST_IN_FLIGHT: usize = 1 << 14;

/// Octets of queries not sent yet at which a connection gets no more.
const MOST_UNSENT: usize = 1 << 20;

/// What is known about a connection to whoever has queries for it.
pub(super) struct Connection {
    output: RefCell<Output>,
    /// Queries in flight by ID.
    waiting: RefCell<Waiting>,
    /// IDs of queries whose clients have gone, and to which there was no reply so far.
    forgotten: RefCell<HashSet<u16, ById>>,
    alarm: Alarm,
    /// Is it closed as soon as nothing is in flight?
    is_brief: bool,
    has_replied: Cell<bool>,
    /// A query waited in vain, and nothing has come since.
    is_silent: Cell<bool>,
    is_closed: Cell<bool>,
    last_received: Cell<Instant>,
    last_used: Cell<Instant>,
}

impl Connection {
    /// One that is not open yet.
    pub(super) fn new(header: &[u8], is_brief: bool, now: Instant) -> Self {
        let mut output = Output::default();
        output.push_raw(header);
        Self {
            output: RefCell::new(output),
            waiting: RefCell::default(),
            forgotten: RefCell::default(),
            alarm: Alarm::default(),
            is_brief,
            has_replied: Cell::new(false),
            is_silent: Cell::new(false),
            is_closed: Cell::new(false),
            last_received: Cell::new(now),
            last_used: Cell::new(now),
        }
    }

    pub(super) fn is_usable(&self) -> bool {
        !self.is_closed.get()
            && !self.is_silent.get()
            && self.in_flight() < MOST_IN_FLIGHT
            && self.output.borrow().pending() < MOST_UNSENT
    }

    pub(super) fn has_replied(&self) -> bool {
        self.has_replied.get()
    }

    pub(super) fn in_flight(&self) -> usize {
        self.waiting.borrow().len()
    }

    /// Sends a query; returns the ID it was given.
    pub(super) fn send(&self, ticket: Ticket, query: &[u8], random: &mut Random, now: Instant) -> u16 {
        let id = self.waiting.borrow_mut().take_id(ticket, random);
        self.forgotten.borrow_mut().remove(&id);
        self.last_used.set(now);
        let mut output = self.output.borrow_mut();
        let was_empty = output.pending() == 0;
        output.push(query, id);
        if was_empty {
            self.alarm.ring();
        }
        id
    }

    /// Which query has this ID?
    pub(super) fn waiting(&self, id: u16) -> Option<Ticket> {
        self.waiting.borrow().get(id)
    }

    /// Has a query replied to, or given up.
    pub(super) fn release(&self, id: u16) {
        self.waiting.borrow_mut().release(id);
        if (self.is_silent.get() || self.is_brief) && self.in_flight() == 0 {
            self.close();
        }
    }

    /// Has a query given up whose client has gone.
    pub(super) fn forget(&self, id: u16) {
        self.forgotten.borrow_mut().insert(id);
        self.release(id);
    }

    /// Is it the ID of a query whose client has gone? Each is told once.
    pub(super) fn take_forgotten(&self, id: u16) -> bool {
        self.forgotten.borrow_mut().remove(&id)
    }

    /// Has there been a reply since?
    pub(super) fn has_replied_since(&self, then: Instant) -> bool {
        self.has_replied.get() && self.last_received.get() > then
    }

    /// A query sent then is waiting in vain: unless something has come since, later ones take another
    /// connection.
    pub(super) fn doubt(&self, sent_at: Instant) {
        if self.last_received.get() <= sent_at {
            self.is_silent.set(true);
        }
    }

    /// A reply to a query has come.
    pub(super) fn replied(&self, id: u16, now: Instant) {
        self.has_replied.set(true);
        self.is_silent.set(false);
        self.last_received.set(now);
        self.last_used.set(now);
        self.release(id);
    }

    pub(super) fn close_if_idle(&self, now: Instant) {
        self.output.borrow_mut().shrink();
        if self.in_flight() == 0 && now.saturating_duration_since(self.last_used.get()) > IDLE {
            self.close();
        }
    }

    pub(super) fn close(&self) {
        self.is_closed.set(true);
        self.alarm.ring();
    }
}

impl Tcp {
    /// Opens another connection of a pool. Queries may be given to it at once.
    pub(super) fn open(self: &Rc<Self>, pool: &Rc<Pool>, now: Instant) -> Rc<Connection> {
        let connection = Rc::new(Connection::new(&pool.header, pool.is_for_updates, now));
        pool.add(&connection);
        let (tcp, pool) = (Rc::clone(self), Rc::clone(pool));
        tokio::task::spawn_local(tcp.serve_backend(pool, Rc::clone(&connection)));
        connection
    }

    async fn serve_backend(self: Rc<Self>, pool: Rc<Pool>, connection: Rc<Connection>) {
        let failure = match self.connect(&pool).await {
            Ok(stream) => {
                add(&self.worker.counters.backend_connections, 1);
                let mut task = Task { tcp: &self, connection: &connection, stream, input: Input::default() };
                poll_fn(|cx| task.poll(cx)).await;
                drop(task);
                take_one(&self.worker.counters.backend_connections);
                Failure::Broken
            }
            Err(_) => Failure::Unreachable,
        };
        connection.is_closed.set(true);
        pool.remove(&connection);
        self.forget_if_empty(&pool);
        let waiting = connection.waiting.take();
        let now = Instant::now();
        waiting.into_tickets().for_each(|ticket| self.fail(ticket, failure, now));
    }

    async fn connect(&self, pool: &Pool) -> io::Result<TcpStream> {
        let connected = timeout(self.worker.limits.timeout / 3, connect(pool.address)).await;
        let result = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        self.worker.count(match result {
            Ok(_) => Reason::BackendConnected,
            Err(_) => Reason::BackendConnectFailed,
        });
        result
    }
}

/// A connection to a backend, without delay of small segments.
pub(super) async fn connect(address: std::net::SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

struct Task<'t> {
    tcp: &'t Tcp,
    connection: &'t Connection,
    stream: TcpStream,
    input: Input,
}

impl Task<'_> {
    /// Sends queries and takes replies, until the connection ends.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.connection.alarm.listen(cx);
        for _ in 0..TURNS {
            if self.connection.is_closed.get() {
                return Poll::Ready(());
            }
            let written = self.connection.output.borrow_mut().poll_write(&mut self.stream, cx);
            if matches!(written, Poll::Ready(Err(_))) {
                return Poll::Ready(());
            }
            match ready!(self.take(cx)) {
                Ok(true) => {}
                Ok(false) | Err(_) => return Poll::Ready(()),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Takes the replies of one read. False: the backend has closed the connection.
    fn take(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let Self { tcp, connection, .. } = *self;
        let mut scratch = tcp.scratch.borrow_mut();
        let mut buffer = ReadBuf::new(&mut scratch);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        let octets = buffer.filled();
        let now = Instant::now();
        let taken = self.input.feed(octets, |octets| {
            let mut rest = octets;
            while let Some((message, after)) = split(rest) {
                tcp.reply(connection, message, now);
                rest = after;
            }
            Ok::<_, io::Error>(octets.len() - rest.len())
        });
        tcp.flights.borrow_mut().tidy();
        Poll::Ready(taken.map(|_| !octets.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_closed_before_the_backend_does() {
        let now = Instant::now();
        let connection = Connection::new(&[], false, now);
        connection.close_if_idle(now + Duration::from_secs(4));
        assert!(connection.is_usable());
        connection.close_if_idle(now + Duration::from_secs(6));
        assert!(!connection.is_usable());
    }
}
