//! Who asks.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use dproxy_lab::{Namespace, NamespaceHandle};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::RcvBufForce;

use super::ledger::{Ledger, Query};
use super::pace::{FLAGS, Pace};
use super::who::Who;
use crate::frames::{Question, wire_name};
use crate::net::ask::TXT;
use crate::net::commands::kernel_counter_here;
use crate::net::listeners;

/// Queries a second: a few more than are promised.
pub(super) const RATE: f64 = 22_000.0;
/// One query of so many goes to the server that takes its time.
const SLOW_SHARE: usize = 100;
/// Sockets for each IP version.
const SOCKETS: usize = 2;
/// What comes in while we send.
const BUFFER: usize = 8 << 20;
const PAUSE: Duration = Duration::from_micros(500);
/// How long the last answers may take.
const LAST: Duration = Duration::from_secs(2);

/// Queries that go on until they are stopped, over IPv4 and IPv6 in turn.
pub struct Steady {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Ledger>>,
}

impl Steady {
    /// Asks for the names in turn, and now and then for the one that is answered late.
    pub fn start(client: &Namespace, names: &[&str], slow: &str) -> Self {
        let sockets = [listeners(); SOCKETS].into_iter().flatten().map(|listener| {
            let any = if listener.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let socket = client.enter(|| UdpSocket::bind(any)).unwrap().unwrap();
            client.enter(|| socket.connect(listener)).unwrap().unwrap();
            socket.set_nonblocking(true).unwrap();
            setsockopt(&socket, RcvBufForce, &BUFFER).unwrap();
            Sender { socket, asked: Vec::new() }
        });
        let mut senders = Senders {
            senders: sockets.collect(),
            messages: names.iter().chain([&slow]).map(|name| message(name)).collect(),
            begun: Instant::now(),
            sent: 0,
            twice: 0,
        };
        let (stop, client) = (Arc::new(AtomicBool::new(false)), client.handle());
        let stopped = Arc::clone(&stop);
        let thread = Some(spawn(move || senders.run(&client, &stopped)));
        Self { stop, thread }
    }

    /// Stops asking, waits for the last answers, and tells of all queries.
    pub fn stop(mut self) -> Ledger {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().unwrap().join();
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Steady {
    /// A test that fails in the middle: the network goes away next.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // What it would tell is of no use any more.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// A query with ID 0.
fn message(name: &str) -> Vec<u8> {
    let question = Question { id: 0, flags: FLAGS, qtype: TXT, ..Question::of_wire(wire_name(name)) };
    question.octets()
}

struct Senders {
    senders: Vec<Sender>,
    /// That of the server that takes its time is the last one.
    messages: Vec<Vec<u8>>,
    begun: Instant,
    sent: usize,
    twice: usize,
}

/// A socket, and what was asked with it: the lower half of the index is the DNS ID.
struct Sender {
    socket: UdpSocket,
    asked: Vec<Query>,
}

impl Senders {
    fn run(&mut self, client: &NamespaceHandle, stop: &AtomicBool) -> Ledger {
        client.join().unwrap();
        let overflows = kernel_counter_here("RcvbufErrors");
        self.begun = Instant::now();
        let mut pace = Pace::new(self.begun);
        while !stop.load(Ordering::Relaxed) {
            for _ in 0..pace.due() {
                self.send(&mut pace);
            }
            self.receive(&mut pace);
            sleep(PAUSE);
        }
        let time = self.begun.elapsed();
        while self.begun.elapsed() < time + LAST && self.is_waiting() {
            self.receive(&mut pace);
            sleep(PAUSE);
        }
        let mut queries: Vec<Query> = self.senders.drain(..).flat_map(|sender| sender.asked).collect();
        queries.sort_unstable_by_key(|query| query.sent);
        Ledger {
            queries,
            begun: self.begun,
            time,
            twice: self.twice,
            withheld: pace.withheld,
            overflows: kernel_counter_here("RcvbufErrors") - overflows,
        }
    }

    fn slow(&self) -> usize {
        self.messages.len() - 1
    }

    fn now(&self) -> u64 {
        self.begun.elapsed().as_nanos() as u64
    }

    fn is_waiting(&self) -> bool {
        let mut asked = self.senders.iter().flat_map(|sender| &sender.asked);
        asked.any(|query| query.who == Who::NOBODY)
    }

    fn send(&mut self, pace: &mut Pace) {
        let (number, count) = (self.sent, self.senders.len());
        self.sent += 1;
        let is_slow = number % SLOW_SHARE == 0;
        // Each round over the names begins with the next socket, so that every name is asked over each of them.
        let name = if is_slow { self.slow() } else { number % self.slow() };
        let sent = self.now();
        let sender = &mut self.senders[(number + number / self.messages.len()) % count];
        let message = &mut self.messages[name];
        message[..2].copy_from_slice(&(sender.asked.len() as u16).to_be_bytes());
        sender.asked.push(Query { name: name as u16, sent, answered: 0, who: Who::NOBODY });
        // An error is that of a query before, which will stay without an answer.
        while let Err(error) = sender.socket.send(message) {
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "a query cannot be sent: {error}");
        }
        pace.sent(!is_slow);
    }

    fn receive(&mut self, pace: &mut Pace) {
        let mut buffer = [0; 1024];
        let slow = self.slow();
        for sender in &mut self.senders {
            loop {
                let length = match sender.socket.recv(&mut buffer) {
                    Ok(length) => length,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    // ICMP does not say which query it is for; that one will stay without an answer.
                    Err(error) if error.kind() == ErrorKind::ConnectionRefused => continue,
                    Err(error) => panic!("a query got an error: {error}"),
                };
                let response = &buffer[..length];
                let answered = self.begun.elapsed().as_nanos() as u64;
                let query = sender.query(response);
                if query.who != Who::NOBODY {
                    self.twice += 1;
                    continue;
                }
                let name = usize::from(query.name);
                (query.answered, query.who) = (answered, Who::of(&self.messages[name], response));
                if name != slow {
                    pace.answered();
                }
            }
        }
    }
}

impl Sender {
    /// The last query with the response's ID: the one before was 65536 queries ago.
    fn query(&mut self, response: &[u8]) -> &mut Query {
        let id = u16::from_be_bytes([response[0], response[1]]);
        let last = self.asked.len() - 1;
        let index = last.checked_sub(usize::from((last as u16).wrapping_sub(id)));
        &mut self.asked[index.expect("a response has the ID of a query")]
    }
}
