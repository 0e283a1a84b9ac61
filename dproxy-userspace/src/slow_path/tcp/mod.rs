//! Queries over TCP (RFC 7766).
//!
//! There is a task for each listener, each client's connection, each connection to a backend and each zone
//! transfer, and one that looks at the time. A task that has read deals with every message it got, which
//! appends to what others have to send; these are told, and send all of it at once when it is their turn.
//! No task waits while it uses what they share.

mod buffers;
mod client;
mod connection;
mod flight;
mod forward;
mod pool;
mod session;
#[cfg(test)]
mod tests;
mod transfer;
mod transfer_end;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio::time::sleep;

use self::client::Client;
use self::flight::Flight;
use self::pool::Pool;
use self::session::{Clients, Session};
use self::transfer::Transfers;
use super::Reason;
use super::flights::Flights;
use super::limits::Full;
use super::sockets::{Listening, tcp_listener};
use super::worker::Worker;
use crate::random::Random;

/// Octets that are read at once.
const SCRATCH: usize = 64 << 10;
/// Reads after which a task lets others go on.
const TURNS: usize = 4;
/// How often connections are looked at.
const SWEEP: Duration = Duration::from_millis(250);
/// Octets that wait for all clients of a worker to read, at which little patience is left with each.
const MUCH_PENDING: usize = 64 << 20;
/// What little patience is.
const SHORT: Duration = Duration::from_millis(500);
/// How long nothing is accepted when there is no descriptor or memory for a connection.
const BREATH: Duration = Duration::from_millis(50);
/// How often connections are looked at in the end.
const END_SWEEP: Duration = Duration::from_millis(10);
/// So long before the end, connections without queries under way are closed at once.
const LAST: Duration = Duration::from_secs(5);

/// The TCP side of one worker.
pub(super) struct Tcp {
    worker: Rc<Worker>,
    /// What is read goes here first, so that idle connections need no memory for it.
    scratch: RefCell<Box<[u8]>>,
    flights: RefCell<Flights<Flight>>,
    random: RefCell<Random>,
    /// By the backend's address, and whether they are for updates.
    pools: RefCell<HashMap<(SocketAddr, bool), Rc<Pool>>>,
    clients: RefCell<Clients>,
    /// Octets that wait for clients to read.
    pending: Rc<Cell<usize>>,
    transfers: Rc<Transfers>,
    /// Told when there is something to keep time for.
    clock: Notify,
}

/// What went wrong with a query on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// There is no connection to the backend.
    Unreachable,
    /// The connection ended.
    Broken,
    /// No connection takes more queries.
    Full,
    /// There was no reply for long.
    Silent,
}

impl Tcp {
    /// Serves the TCP sockets of one worker, one for each listener, until it is time to end.
    pub(super) async fn serve(worker: &Rc<Worker>, sockets: Vec<Listening>) -> io::Result<()> {
        let limits = &worker.limits;
        let this = Rc::new(Self {
            scratch: RefCell::new(vec![0; SCRATCH].into()),
            flights: RefCell::new(Flights::new(limits.queries_in_flight, limits.timeout)),
            random: RefCell::new(Random::new()),
            pools: RefCell::default(),
            clients: RefCell::default(),
            pending: Rc::default(),
            transfers: Rc::default(),
            clock: Notify::new(),
            worker: Rc::clone(worker),
        });
        let accept = |listening: Listening| {
            let listener = tcp_listener(&listening.socket)?;
            Ok(spawn_local(Rc::clone(&this).accept(listener, listening)))
        };
        let accepting = sockets.into_iter().map(accept).collect::<io::Result<Vec<_>>>()?;
        spawn_local(Rc::clone(&this).keep_time());
        for task in accepting {
            // A panic in it has been printed by itself.
            let _ = task.await;
        }
        this.finish().await;
        Ok(())
    }

    /// Lets clients have what they wait for.
    async fn finish(&self) {
        while !self.clients.borrow().is_empty() {
            let now = Instant::now();
            if self.worker.end().is_none_or(|end| now >= end) {
                return;
            }
            self.sweep(now);
            sleep(END_SWEEP).await;
        }
    }

    /// Takes connections until it is time to end.
    async fn accept(self: Rc<Self>, listener: TcpListener, listening: Listening) {
        let address = listening.address;
        let mut over = pin!(self.worker.until_over());
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut over => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, client)) => self.begin(stream, client, address),
                // It was broken off before we came to it.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(_) => {
                    self.worker.count(Reason::ConnectionNotAccepted);
                    sleep(BREATH).await;
                }
            }
        }
        if !listening.is_handed_over() {
            self.accept_rest(listener, address);
        }
    }

    /// Takes the connections that the kernel has made, and no others.
    fn accept_rest(self: &Rc<Self>, listener: TcpListener, address: SocketAddr) {
        let Ok(listener) = listener.into_std() else { return };
        while let Ok((stream, client)) = listener.accept() {
            if let Ok(stream) = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream)) {
                self.begin(stream, client, address);
            }
        }
    }

    fn begin(self: &Rc<Self>, stream: TcpStream, client: SocketAddr, listener: SocketAddr) {
        match self.worker.connections.take(client.ip()) {
            Ok(()) => {}
            Err(Full::Total) => return self.worker.count(Reason::ConnectionLimit),
            Err(Full::Client) => return self.worker.count(Reason::ConnectionClientLimit),
        }
        self.worker.count(Reason::ConnectionAccepted);
        // It fails only if the client has gone, which is noticed soon enough.
        let _ = stream.set_nodelay(true);
        self.clock.notify_one();
        let client = Rc::new(Client::new(client, listener, Rc::clone(&self.pending)));
        spawn_local(Session::new(Rc::clone(self), client, stream).serve());
    }

    /// How long a client may be idle, or not read what waits for it: the less, the more there is of either.
    fn patience(&self, pending: usize) -> Duration {
        let patience = self.worker.limits.idle_timeout;
        if pending == 0
            && let Some(end) = self.worker.end()
        {
            // A query may be on its way; but who asks all the time has to ask elsewhere at some time.
            let is_near = end.saturating_duration_since(Instant::now()) < LAST;
            return if is_near { Duration::ZERO } else { patience.min(SHORT) };
        }
        if pending > 0 && self.pending.get() > MUCH_PENDING {
            return patience.min(SHORT);
        }
        match self.worker.connections.percent() {
            0..=50 => patience,
            51..=90 => patience / 5,
            91.. => patience.min(SHORT),
        }
    }

    async fn keep_time(self: Rc<Self>) {
        let grain = (self.worker.limits.timeout / 12).clamp(Duration::from_millis(10), BREATH);
        let mut next_sweep = Instant::now();
        loop {
            if self.is_idle() {
                self.clock.notified().await;
            }
            sleep(grain).await;
            let now = Instant::now();
            self.on_time(now);
            if now >= next_sweep {
                next_sweep = now + SWEEP;
                self.sweep(now);
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.clients.borrow().is_empty() && self.pools.borrow().is_empty() && self.flights.borrow().is_empty()
    }

    /// Finds connections that are no longer used.
    fn sweep(&self, now: Instant) {
        for client in self.clients.borrow().iter() {
            let pending = client.output.borrow().pending();
            if client.quiet_for(now) >= self.patience(pending) {
                client.suspect();
            }
            client.own_pools.borrow().iter().for_each(|pool| pool.close_idle(now));
        }
        self.pools.borrow().values().for_each(|pool| pool.close_idle(now));
    }
}
