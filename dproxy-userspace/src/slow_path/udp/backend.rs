//! Sockets towards backends.
//!
//! Each worker has one socket in use to a backend, connected, so that the kernel hands on nothing but what
//! comes from the backend's address and port. Its own port is drawn by the kernel, and it is replaced after
//! a second or a thousand queries, so that nobody has the time to find the port out.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};

use crate::random::Random;
use crate::slow_path::flights::Ticket;
use crate::slow_path::ids::Waiting;
use crate::slow_path::sockets;

/// The number of the first one: beyond those of listeners.
const FIRST_NUMBER: u64 = 1 << 32;
/// How long a socket is used.
const AGE: Duration = Duration::from_secs(1);
/// How many wrong replies it takes until somebody seems to be guessing.
const STRANGERS: u32 = 100;
/// For how many queries it is used.
const QUERIES: u32 = 1000;

/// A socket connected to a backend.
pub(super) struct BackendSocket {
    socket: OwnedFd,
    pub(super) backend: SocketAddr,
    /// Queries sent by it that wait, by ID.
    waiting: RefCell<Waiting>,
    opened: Instant,
    queries: Cell<u32>,
    /// Datagrams that were no replies to anything asked by it.
    strangers: Cell<u32>,
    is_retired: Cell<bool>,
}

impl BackendSocket {
    fn open(backend: SocketAddr, now: Instant) -> io::Result<Rc<Self>> {
        let socket = sockets::connected_udp(backend)?;
        Ok(Rc::new(Self {
            socket,
            backend,
            waiting: RefCell::default(),
            opened: now,
            queries: Cell::new(0),
            strangers: Cell::new(0),
            is_retired: Cell::new(false),
        }))
    }

    /// An ID for a query: any that no other query on this socket has.
    pub(super) fn take_id(&self, ticket: Ticket, random: &mut Random) -> u16 {
        self.queries.set(self.queries.get() + 1);
        self.waiting.borrow_mut().take_id(ticket, random)
    }

    /// Whose ID this is.
    pub(super) fn waiting(&self, id: u16) -> Option<Ticket> {
        self.waiting.borrow().get(id)
    }

    /// Gives an ID back.
    pub(super) fn release(&self, id: u16) {
        self.waiting.borrow_mut().release(id);
    }

    /// Notes a wrong reply.
    pub(super) fn note_stranger(&self) {
        self.strangers.set(self.strangers.get().saturating_add(1));
    }

    fn is_spent(&self, now: Instant) -> bool {
        self.queries.get() >= QUERIES
            || self.strangers.get() >= STRANGERS
            || now.duration_since(self.opened) >= AGE
    }

    /// Is it of no use any more?
    fn is_over(&self) -> bool {
        self.is_retired.get() && self.waiting.borrow().len() == 0
    }
}

impl AsFd for BackendSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The sockets of a worker.
pub(super) struct Backends {
    /// Those in use, by backend.
    current: HashMap<SocketAddr, Rc<BackendSocket>>,
    /// All of them, by number.
    open: HashMap<u64, Rc<BackendSocket>>,
    next_number: u64,
}

impl Default for Backends {
    fn default() -> Self {
        Self { current: HashMap::new(), open: HashMap::new(), next_number: FIRST_NUMBER }
    }
}

impl Backends {
    /// The socket for the next query to a backend.
    pub(super) fn socket(
        &mut self,
        epoll: &Epoll,
        backend: SocketAddr,
        now: Instant,
    ) -> io::Result<Rc<BackendSocket>> {
        let current = self.current.get(&backend);
        if let Some(socket) = current.filter(|socket| !socket.is_spent(now)) {
            return Ok(Rc::clone(socket));
        }
        match (self.open(epoll, backend, now), self.current.get(&backend)) {
            (Ok(socket), _) => {
                if let Some(spent) = self.current.insert(backend, Rc::clone(&socket)) {
                    spent.is_retired.set(true);
                }
                Ok(socket)
            }
            // Better an old one than none, as long as there are IDs enough.
            (Err(_), Some(socket)) if socket.waiting.borrow().len() < QUERIES as usize => {
                Ok(Rc::clone(socket))
            }
            (Err(error), _) => Err(error),
        }
    }

    fn open(&mut self, epoll: &Epoll, backend: SocketAddr, now: Instant) -> io::Result<Rc<BackendSocket>> {
        let number = self.next_number;
        let socket = BackendSocket::open(backend, now)?;
        epoll.add(&*socket, EpollEvent::new(EpollFlags::EPOLLIN, number))?;
        self.next_number += 1;
        self.open.insert(number, Rc::clone(&socket));
        Ok(socket)
    }

    /// The socket that the kernel means.
    pub(super) fn by_number(&self, number: u64) -> Option<Rc<BackendSocket>> {
        self.open.get(&number).cloned()
    }

    /// Retires what has been open for long, so that no port stays open when nobody asks, and closes what
    /// nobody waits for.
    pub(super) fn tidy(&mut self, now: Instant) {
        self.current.retain(|_, socket| {
            let is_spent = socket.is_spent(now);
            socket.is_retired.set(is_spent);
            !is_spent
        });
        self.open.retain(|_, socket| !socket.is_over());
    }

    /// Is there none?
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}
