//! Checks over UDP: one socket for all backends that are asked from the same address.
//!
//! A socket for each check would cost more than all the rest of it. So one is shared, for a second; then there is
//! another, at a port that the kernel draws. To forge a reply, one has to guess the port and the ID of a query within
//! that second, as many bits as with a socket for each; but whoever is asked sees the port, and has only the ID left to
//! guess to pass for another backend.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::select_all;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::cause::{Failure, Void};
use super::checks::Id;
use super::probe::{self, Ended};
use super::question::Question;
use crate::config::Transport;
use crate::datagrams::{BATCH, Datagram, Received, Sender, next_error, queue_errors};
use crate::random::Random;

/// How long a socket is used for new queries.
const RENEWED: Duration = Duration::from_secs(1);
/// Queries that wait for a reply on one socket, at most: among more IDs, it would not take long to find a free one.
const CROWDED: usize = 4096;

/// How asking somebody over UDP ended, and how long it took.
pub struct Answer {
    /// Who was asked.
    pub id: Id,
    /// How it ended.
    pub ended: Ended,
    /// How long it took.
    pub took: Duration,
}

/// A query that waits for its reply.
struct Flight {
    id: Id,
    question: Arc<Question>,
    sent: Instant,
    deadline: Instant,
}

/// A socket, and the queries that wait on it, by DNS ID.
struct Lane {
    socket: AsyncFd<UdpSocket>,
    source: Option<IpAddr>,
    is_ipv4: bool,
    opened: Instant,
    flights: HashMap<u16, Flight>,
    /// Queries that are to be sent.
    queue: Vec<u16>,
}

/// All queries over UDP.
pub struct Udp {
    /// In the order in which they were opened.
    lanes: BTreeMap<u64, Lane>,
    opened: u64,
    /// When each query has waited long enough: its lane, and its ID.
    deadlines: BTreeSet<(Instant, u64, u16)>,
    received: Received,
    sender: Sender,
    random: Random,
}

impl Udp {
    /// Nobody is asked.
    pub fn new() -> Self {
        Self {
            lanes: BTreeMap::new(),
            opened: 0,
            deadlines: BTreeSet::new(),
            received: Received::new(),
            sender: Sender::new(),
            random: Random::new(),
        }
    }

    /// Will ask somebody, from this address of ours if it is known which, with the next [flush](Self::flush).
    pub fn ask(
        &mut self,
        id: Id,
        source: Option<IpAddr>,
        question: Arc<Question>,
        now: Instant,
    ) -> Option<Answer> {
        let number = match self.lane(id.1, source, now) {
            Ok(number) => number,
            Err(error) => {
                let ended = Ended::Void(probe::not_ours(error, source));
                return Some(Answer { id, ended, took: Duration::ZERO });
            }
        };
        let lane = self.lanes.get_mut(&number)?;
        let mut dns_id = self.random.next_u16();
        while lane.flights.contains_key(&dns_id) {
            dns_id = self.random.next_u16();
        }
        let deadline = now + question.patience;
        self.deadlines.insert((deadline, number, dns_id));
        lane.flights.insert(dns_id, Flight { id, question, sent: now, deadline });
        lane.queue.push(dns_id);
        None
    }

    /// The socket for a query.
    fn lane(&mut self, target: SocketAddr, source: Option<IpAddr>, now: Instant) -> io::Result<u64> {
        let is_fit = |lane: &Lane| {
            (lane.source, lane.is_ipv4) == (source, target.is_ipv4())
                && now.duration_since(lane.opened) < RENEWED
                && lane.flights.len() < CROWDED
        };
        if let Some((number, _)) = self.lanes.iter().rev().find(|(_, lane)| is_fit(lane)) {
            return Ok(*number);
        }
        let lane = Lane::open(target, source, now)?;
        self.lanes.retain(|_, lane| !lane.flights.is_empty());
        self.opened += 1;
        self.lanes.insert(self.opened, lane);
        Ok(self.opened)
    }

    /// Sends what is to be sent; says what could not be.
    pub fn flush(&mut self) -> Vec<Answer> {
        let mut answers = Vec::new();
        for (number, lane) in &mut self.lanes {
            let queue = std::mem::take(&mut lane.queue);
            for batch in queue.chunks(BATCH) {
                let now = Instant::now();
                let mut messages = Vec::with_capacity(batch.len());
                for dns_id in batch {
                    if let Some(flight) = lane.flights.get_mut(dns_id) {
                        flight.sent = now;
                        messages.push((*dns_id, flight.id.1, flight.question.message(*dns_id)));
                    }
                }
                let datagrams =
                    messages.iter().map(|(_, to, message)| Datagram { prefix: &[], message, to: Some(*to) });
                let mut failures = Vec::new();
                self.sender.send(lane.socket.as_fd(), datagrams, |index, error| {
                    failures.extend(
                        messages
                            .get(index)
                            .map(|(dns_id, ..)| (*dns_id, probe::failed(Transport::Udp, error))),
                    );
                });
                for (dns_id, ended) in failures {
                    answers.extend(lane.end(*number, dns_id, ended, &mut self.deadlines));
                }
            }
        }
        answers
    }

    /// Waits until something has come, or somebody has been waited for long enough.
    pub async fn ready(&self) {
        let until = self.deadlines.first().map(|(deadline, ..)| *deadline);
        let late = async {
            match until {
                Some(until) => tokio::time::sleep_until(until.into()).await,
                None => std::future::pending().await,
            }
        };
        let lanes: Vec<_> = self.lanes.values().map(|lane| Box::pin(lane.ready())).collect();
        if lanes.is_empty() {
            return late.await;
        }
        tokio::select! {
            _ = select_all(lanes) => {}
            () = late => {}
        }
    }

    /// Takes in what has come, and then gives up on whom has been waited for long enough.
    pub fn receive(&mut self) -> Vec<Answer> {
        let mut answers = Vec::new();
        for (number, lane) in &mut self.lanes {
            lane.receive(*number, &mut self.received, &mut self.deadlines, &mut answers);
        }
        let now = Instant::now();
        while let Some((deadline, number, dns_id)) = self.deadlines.first().copied()
            && deadline <= now
        {
            self.deadlines.pop_first();
            let Some(flight) = self.lanes.get_mut(&number).and_then(|lane| lane.flights.remove(&dns_id))
            else {
                continue;
            };
            let patience = flight.question.patience;
            let ended = match probe::is_stalled(now.duration_since(flight.sent), patience) {
                true => Ended::Void(Void::Stalled),
                false => Ended::Wrong(Failure::Timeout(Transport::Udp, patience)),
            };
            answers.push(Answer { id: flight.id, ended, took: now.duration_since(flight.sent) });
        }
        answers
    }
}

impl Lane {
    fn open(target: SocketAddr, source: Option<IpAddr>, now: Instant) -> io::Result<Self> {
        let socket = UdpSocket::bind(probe::local(target, source))?;
        socket.set_nonblocking(true)?;
        let is_ipv4 = target.is_ipv4();
        // A port that is closed is to be known at once.
        queue_errors(socket.as_fd(), is_ipv4)?;
        // SAFETY: the socket is its own, and has one descriptor all the time.
        let socket =
            unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE | Interest::ERROR)? };
        Ok(Self { socket, source, is_ipv4, opened: now, flights: HashMap::new(), queue: Vec::new() })
    }

    /// Waits until there is something to take in. All of it has to be, before it waits again.
    async fn ready(&self) {
        match self.socket.ready(Interest::READABLE | Interest::ERROR).await {
            Ok(mut guard) => guard.clear_ready(),
            // The event loop has ended.
            Err(_) => std::future::pending().await,
        }
    }

    fn receive(
        &mut self,
        number: u64,
        received: &mut Received,
        deadlines: &mut BTreeSet<(Instant, u64, u16)>,
        answers: &mut Vec<Answer>,
    ) {
        // What it was that did not arrive, the queue of errors says; until that is empty, there may be more.
        while let Some(undelivered) = next_error(self.socket.as_fd()) {
            let dns_id = undelivered.quoted.first_chunk().map(|id| u16::from_be_bytes(*id));
            if let Some(dns_id) = dns_id.filter(|dns_id| self.is_asked(*dns_id, undelivered.to)) {
                let ended = probe::failed(Transport::Udp, &undelivered.error);
                answers.extend(self.end(number, dns_id, ended, deadlines));
            }
        }
        let mut errors = 0;
        while errors < BATCH {
            let count = match received.receive(self.socket.as_fd()) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    // That of a query before, which is queued as well.
                    errors += 1;
                    continue;
                }
            };
            for index in 0..count {
                let (sender, message) = (received.sender(index), received.peek(index));
                let dns_id = message.first_chunk().map(|id| u16::from_be_bytes(*id));
                let Some(dns_id) = dns_id.filter(|dns_id| self.is_asked(*dns_id, sender)) else { continue };
                let Some(flight) = self.flights.get(&dns_id) else { continue };
                // Somebody else may be guessing: what is no response is not waited for any less.
                if flight.question.is_response(message, dns_id) {
                    let ended = probe::judged(&flight.question, message, Transport::Udp);
                    answers.extend(self.end(number, dns_id, ended, deadlines));
                }
            }
        }
    }

    /// Does a query with this ID to this server wait?
    fn is_asked(&self, dns_id: u16, target: Option<SocketAddr>) -> bool {
        self.flights.get(&dns_id).is_some_and(|flight| Some(flight.id.1) == target)
    }

    fn end(
        &mut self,
        number: u64,
        dns_id: u16,
        ended: Ended,
        deadlines: &mut BTreeSet<(Instant, u64, u16)>,
    ) -> Option<Answer> {
        let Flight { id, sent, deadline, .. } = self.flights.remove(&dns_id)?;
        deadlines.remove(&(deadline, number, dns_id));
        Some(Answer { id, ended, took: sent.elapsed() })
    }
}
