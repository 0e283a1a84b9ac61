//! A client that asks at a steady pace, and remembers each query.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use dproxy_lab::Namespace;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::RcvBufForce;

use super::message;

/// Queries a second.
pub const RATE: u32 = 5000;
/// Names asked for, in turn.
const NAMES: usize = 1000;
/// Source ports; the DNS ID tells the queries of one apart.
const PORTS: usize = 16;
/// What has no good answer by then has failed.
pub const PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_micros(200);
const BUFFER: usize = 4 << 20;

/// A query.
#[derive(Clone, Copy, Debug)]
pub struct Query {
    /// When it was sent.
    pub sent: Instant,
    /// When it had a good answer.
    pub answered: Option<Instant>,
}

impl Query {
    /// Had it no good answer in time?
    pub fn has_failed(&self) -> bool {
        self.answered.is_none_or(|answered| answered - self.sent > PATIENCE)
    }
}

/// Queries that go on until they are stopped.
#[derive(Debug)]
pub struct Asker {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<Vec<Query>>>,
}

impl Asker {
    /// Asks `server` for names below `zone`.
    pub fn start(client: &Namespace, server: SocketAddr, zone: &str) -> Result<Self> {
        let open = || -> io::Result<UdpSocket> {
            let socket = UdpSocket::bind("0.0.0.0:0")?;
            socket.connect(server)?;
            socket.set_nonblocking(true)?;
            setsockopt(&socket, RcvBufForce, &BUFFER)?;
            Ok(socket)
        };
        let sockets: io::Result<Vec<_>> = client.enter(|| (0..PORTS).map(|_| open()).collect())?;
        let sockets = sockets.context("open the client's sockets")?;
        let messages = (0..NAMES).map(|number| message::query(&format!("www{number}.{zone}"))).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let state = State { sockets, messages, queries: Vec::new() };
        Ok(Self { stop, thread: thread::spawn(move || state.run(&stopped)) })
    }

    /// Stops, waits for the last answers, and tells of all queries in the order in which they were sent.
    pub fn stop(self) -> Result<Vec<Query>> {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.join().map_err(|_| anyhow!("the client has panicked"))?;
        ended.context("ask")
    }
}

struct State {
    sockets: Vec<UdpSocket>,
    messages: Vec<Vec<u8>>,
    queries: Vec<Query>,
}

impl State {
    fn run(mut self, stop: &AtomicBool) -> io::Result<Vec<Query>> {
        let begin = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            let due = begin.elapsed().as_nanos() * u128::from(RATE) / 1_000_000_000;
            while (self.queries.len() as u128) < due {
                self.send()?;
            }
            self.receive()?;
            thread::sleep(PAUSE);
        }
        let end = Instant::now();
        while end.elapsed() < PATIENCE && self.queries.iter().any(|query| query.answered.is_none()) {
            self.receive()?;
            thread::sleep(PAUSE);
        }
        Ok(self.queries)
    }

    fn send(&mut self) -> io::Result<()> {
        let number = self.queries.len();
        let message = &mut self.messages[number % NAMES];
        message[..2].copy_from_slice(&((number / PORTS) as u16).to_be_bytes());
        let sent = Instant::now();
        match self.sockets[number % PORTS].send(message) {
            Ok(_) => {}
            // That of a query before.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(error),
        }
        self.queries.push(Query { sent, answered: None });
        Ok(())
    }

    fn receive(&mut self) -> io::Result<()> {
        let mut buffer = [0; 512];
        for (port, socket) in self.sockets.iter().enumerate() {
            loop {
                let length = match socket.recv(&mut buffer) {
                    Ok(length) => length,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == ErrorKind::ConnectionRefused => continue,
                    Err(error) => return Err(error),
                };
                let response = &buffer[..length];
                let Some(&id) = response.first_chunk() else { continue };
                // No run is as long as 65,536 queries a port.
                let number = usize::from(u16::from_be_bytes(id)) * PORTS + port;
                if let Some(query) = self.queries.get_mut(number)
                    && message::is_answer(response)
                {
                    query.answered.get_or_insert_with(Instant::now);
                }
            }
        }
        Ok(())
    }
}
