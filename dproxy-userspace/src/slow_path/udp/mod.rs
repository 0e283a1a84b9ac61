//! Queries over UDP.
//!
//! One thread takes in batches of queries from the listeners and batches of replies from its sockets towards
//! backends, whichever the kernel says are ready, and looks at the time now and then. It is not built on the
//! event loop that TCP uses: when queries come one by one, what an event loop does between two of them costs
//! more than all the rest in userspace.

mod backend;
mod flight;
mod forward;
mod reply;
mod send;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dproxy_common::abi::NO_ID;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use tracing::error;

use self::backend::{BackendSocket, Backends};
use self::flight::Flight;
use super::bell::Bell;
use super::counters::add;
use super::flights::{Flights, Ticket};
use super::sockets::{Listening, hear_nobody};
use super::worker::Worker;
use super::{Asked, Decision, Reason};
use crate::datagrams::{Received, Sender, next_error};
use crate::random::Random;

/// How exactly time is kept.
const GRAIN: Duration = Duration::from_millis(10);
/// How often sockets that nobody uses are closed.
const TIDY: Duration = Duration::from_millis(250);
/// Sockets that are looked at in one turn.
const EVENTS: usize = 64;
/// What the kernel names the bell with; listeners have the numbers behind it.
const BELL: u64 = 0;

/// The UDP side of one worker.
pub(super) struct Udp {
    worker: Worker,
    bell: Arc<Bell>,
    epoll: Epoll,
    listeners: Vec<Listening>,
}

/// All that changes.
struct State {
    received: Received,
    sender: Sender,
    random: Random,
    flights: Flights<Flight>,
    backends: Backends,
    /// Queries to send, and by which socket.
    outgoing: Vec<Ticket>,
    /// Responses to send to clients.
    responses: Vec<Outbound>,
    /// The octets of responses made here, and of PROXY headers.
    made: Vec<u8>,
    /// Are queries taken?
    is_serving: bool,
    /// When time is looked at next, and when sockets are.
    next_look: Instant,
    next_tidy: Instant,
}

/// A response to send.
struct Outbound {
    listener: usize,
    client: SocketAddr,
    octets: Octets,
}

enum Octets {
    /// A datagram of the batch received.
    Received(usize),
    /// A piece of [`State::made`].
    Made(Range<usize>),
}

impl Udp {
    /// With the UDP sockets of one worker, one for each listener.
    pub(super) fn new(worker: Worker, listeners: Vec<Listening>, bell: Arc<Bell>) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&*bell, EpollEvent::new(EpollFlags::EPOLLIN, BELL))?;
        Ok(Self { worker, bell, epoll, listeners })
    }

    /// Works until it is time to end, and answers what is under way then.
    pub(super) fn run(self) {
        let mut state = State::new(&self.worker);
        self.on_bell(&mut state);
        let end = loop {
            if let Some(end) = self.worker.end() {
                break end;
            }
            let patience = state.patience();
            self.turn(&mut state, patience);
        };
        self.leave(&mut state);
        let mut is_busy = true;
        while is_busy && Instant::now() < end {
            let is_waiting = !state.flights.is_empty();
            let patience = if is_waiting { state.patience() } else { EpollTimeout::ZERO };
            is_busy = self.turn(&mut state, patience) > 0 || is_waiting;
        }
    }

    /// Takes no new queries: only those that wait in sockets with which nobody goes on.
    fn leave(&self, state: &mut State) {
        // The view may have come just now.
        self.on_bell(state);
        for listener in &self.listeners {
            if listener.is_handed_over() {
                // It is not there if there was never a view.
                let _ = self.epoll.delete(&*listener.socket);
            } else {
                // It fails if the host does not have the address, and so gets no queries to it.
                let _ = hear_nobody(listener);
            }
        }
    }

    /// Waits for something, and deals with it. Returns how much there was.
    fn turn(&self, state: &mut State, patience: EpollTimeout) -> usize {
        let mut events = [EpollEvent::empty(); EVENTS];
        // Interrupted, or nothing came in time.
        let number = self.epoll.wait(&mut events, patience).unwrap_or(0);
        let turn = AssertUnwindSafe(|| {
            events.iter().take(number).for_each(|event| self.on_event(state, event));
            self.on_clock(state);
        });
        if catch_unwind(turn).is_err() {
            error!("the slow path panicked, which is a bug; it goes on");
        }
        add(&self.worker.counters.turns, 1);
        number
    }

    fn on_event(&self, state: &mut State, event: &EpollEvent) {
        let number = event.data();
        if number == BELL {
            return self.on_bell(state);
        }
        if let Some(listener) = usize::try_from(number - 1).ok().filter(|place| *place < self.listeners.len())
        {
            return self.on_queries(state, listener);
        }
        let Some(socket) = state.backends.by_number(number) else { return };
        if event.events().contains(EpollFlags::EPOLLERR) {
            self.on_errors(state, &socket);
        }
        self.on_replies(state, &socket);
    }

    /// Begins to take queries once there is something to answer with. Until then, they wait in the sockets.
    fn on_bell(&self, state: &mut State) {
        self.bell.quiet();
        if state.is_serving || self.worker.view().is_none() {
            return;
        }
        for (listener, number) in self.listeners.iter().zip(BELL + 1..) {
            let event = EpollEvent::new(EpollFlags::EPOLLIN, number);
            if let Err(problem) = self.epoll.add(&*listener.socket, event) {
                error!("the slow path cannot serve {}: {problem}", listener.address);
            }
        }
        state.is_serving = true;
    }

    /// Takes in a batch of queries.
    fn on_queries(&self, state: &mut State, listener: usize) {
        let Listening { address, ref socket } = self.listeners[listener];
        let (Some(view), Ok(number)) = (self.worker.view(), state.received.receive(socket.as_fd())) else {
            return;
        };
        let id = view.listener_id(&address).unwrap_or(NO_ID);
        let now = Instant::now();
        for index in 0..number {
            let Some(client) = state.received.sender(index) else { continue };
            let message: &[u8] = state.received.octets(index);
            let arrived = Arrived { index, listener, client };
            let asked = Asked { message, client, listener: id, over_tcp: false };
            let decision = self.worker.decider.borrow_mut().decide(&view, &asked);
            match decision {
                Decision::Forward(forward) => self.forward(state, arrived, forward, now),
                Decision::Answer(response) => self.answer(state, arrived, &response),
                Decision::Drop(reason, subject) => self.worker.counters.count_query(reason, &subject),
            }
        }
        self.flush(state);
    }

    /// Takes in a batch of replies.
    fn on_replies(&self, state: &mut State, socket: &Rc<BackendSocket>) {
        // An error is one that is queued as well, see `on_errors`.
        let Ok(number) = state.received.receive(socket.as_fd()) else { return };
        for index in 0..number {
            if let Err(reason) = self.reply(state, socket, index) {
                socket.note_stranger();
                self.worker.count(reason);
            }
        }
        self.flush(state);
    }

    /// Hears what became of queries that did not arrive.
    fn on_errors(&self, state: &mut State, socket: &Rc<BackendSocket>) {
        while let Some(undelivered) = next_error(socket.as_fd()) {
            self.undeliverable(state, socket, &undelivered.quoted);
        }
        self.flush(state);
    }

    /// Looks after queries that have waited long enough, and sockets that are used no more.
    fn on_clock(&self, state: &mut State) {
        let now = Instant::now();
        if now < state.next_look {
            return;
        }
        state.next_look = now + GRAIN;
        while let Some(ticket) = state.flights.take_slow(now) {
            self.send_again(state, ticket);
        }
        while let Some(ticket) = state.flights.take_late(now) {
            self.give_up(state, ticket, Reason::ServfailTimeout);
        }
        self.flush(state);
        if now >= state.next_tidy {
            state.next_tidy = now + TIDY;
            state.backends.tidy(now);
        }
    }
}

impl State {
    fn new(worker: &Worker) -> Self {
        let now = Instant::now();
        Self {
            received: Received::new(),
            sender: Sender::new(),
            random: Random::new(),
            flights: Flights::new(worker.limits.queries_in_flight, worker.limits.timeout),
            backends: Backends::default(),
            outgoing: Vec::new(),
            responses: Vec::new(),
            made: Vec::new(),
            is_serving: false,
            next_look: now,
            next_tidy: now,
        }
    }

    /// How long nothing has to be done, unless something comes.
    fn patience(&self) -> EpollTimeout {
        let tidy = (!self.backends.is_empty()).then_some(self.next_tidy);
        let due = self.flights.next_due().into_iter().chain(tidy).min();
        let Some(due) = due else { return EpollTimeout::NONE };
        let wait = due.saturating_duration_since(Instant::now()).max(GRAIN).as_millis();
        u16::try_from(wait).map_or(EpollTimeout::NONE, EpollTimeout::from)
    }
}

/// A query of the batch.
#[derive(Clone, Copy)]
struct Arrived {
    /// Its place in the batch.
    index: usize,
    /// The place of the listener asked.
    listener: usize,
    /// Who asked.
    client: SocketAddr,
}
