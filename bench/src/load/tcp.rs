//! The generator over TCP: connections that stay, each with many queries under way (RFC 7766 §6.2.1.1).

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use dproxy_lab::Namespace;

use super::pace::Pacer;
use super::window::Window;
use super::{Load, MessageStream, Pace, Peer, Queries, Tally};

const CONNECT: Duration = Duration::from_secs(2);

/// Asks over TCP.
#[derive(Debug)]
pub struct TcpLoad {
    connections: Vec<Connection>,
    queries: Queries,
    pacer: Pacer,
    pace: Pace,
    first: usize,
    tally: Tally,
}

#[derive(Debug)]
struct Connection {
    stream: MessageStream,
    window: Window,
    next_query: u16,
}

impl TcpLoad {
    /// Connects to `server` from `client` so many times; at most `window` queries wait on each connection.
    pub fn new(
        client: &Namespace,
        server: SocketAddr,
        queries: Queries,
        (connections, window): (u16, u16),
        pace: Pace,
    ) -> Result<Self> {
        let connect = |number| -> Result<Connection> {
            let stream = MessageStream::new(TcpStream::connect_timeout(&server, CONNECT)?)?;
            let next_query = number * (queries.count() / connections.max(1));
            Ok(Connection { stream, window: Window::new(window), next_query })
        };
        let connections = client.enter(|| (0..connections).map(connect).collect::<Result<_>>())?;
        let connections = connections.with_context(|| format!("connect to {server}"))?;
        let pacer = Pacer::new(pace);
        Ok(Self { connections, queries, pacer, pace, first: 0, tally: Tally::default() })
    }
}

impl Peer for TcpLoad {
    fn turn(&mut self, now: Duration) -> Result<()> {
        let Self { connections, queries, tally, .. } = self;
        let mut due = self.pacer.due(now);
        let (before, after) = connections.split_at_mut(self.first);
        for connection in after.iter_mut().chain(before) {
            connection.receive(queries, tally, now)?;
            due -= connection.send(due, queries, tally, now)?;
        }
        self.first = (self.first + 1) % self.connections.len();
        if matches!(self.pace, Pace::Rate(_)) {
            self.tally.withheld += due as u64;
        }
        Ok(())
    }
}

impl Load for TcpLoad {
    fn tally(&self) -> &Tally {
        &self.tally
    }

    fn stop(&mut self) {
        self.pacer.stop();
    }

    fn waiting(&self) -> usize {
        self.connections.iter().map(|connection| connection.window.waiting()).sum()
    }
}

impl Connection {
    fn receive(&mut self, queries: &Queries, tally: &mut Tally, now: Duration) -> Result<()> {
        let open = self.stream.receive().context("receive over TCP")?;
        while let Some(message) = self.stream.input.next_message() {
            tally.receive(queries, &mut self.window, message, now);
        }
        if !open {
            bail!("the balancer closed a TCP connection on which {} queries wait", self.window.waiting());
        }
        Ok(())
    }

    /// Sends at most `due` queries, in one piece, and returns how many.
    fn send(&mut self, due: usize, queries: &Queries, tally: &mut Tally, now: Duration) -> Result<usize> {
        let mut sent = 0;
        while sent < due {
            let Some(id) = self.window.open(self.next_query, now) else { break };
            self.stream.output.push(id, queries.message(self.next_query));
            self.next_query = (self.next_query + 1) % queries.count();
            sent += 1;
        }
        tally.sent += sent as u64;
        self.stream.flush().context("send over TCP")?;
        Ok(sent)
    }
}
