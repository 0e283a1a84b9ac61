//! The generator over UDP.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result};
use dproxy_lab::Namespace;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{RcvBufForce, SndBufForce};

use super::batch::{BATCH, Batch};
use super::pace::Pacer;
use super::window::Window;
use super::{Load, Pace, Peer, Queries, Tally};

/// What arrives while we look at other sockets is not to be lost.
const BUFFER: usize = 1 << 20;
/// Old queries are looked for that often.
const EXPIRY: Duration = Duration::from_millis(100);

/// Asks over UDP, from a number of source ports.
#[derive(Debug)]
pub struct UdpLoad {
    flows: Vec<Flow>,
    queries: Queries,
    pacer: Pacer,
    pace: Pace,
    batch: Batch,
    first: usize,
    next_expiry: Duration,
    tally: Tally,
}

#[derive(Debug)]
struct Flow {
    socket: UdpSocket,
    window: Window,
    next_query: u16,
}

impl UdpLoad {
    /// Asks `server` from `ports` source ports in `client`; on each, at most `window` queries wait.
    pub fn new(
        client: &Namespace,
        server: SocketAddr,
        queries: Queries,
        (ports, window): (u16, u16),
        pace: Pace,
    ) -> Result<Self> {
        let flow = |number| -> Result<Flow> {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            socket.connect(server)?;
            setsockopt(&socket, RcvBufForce, &BUFFER)?;
            setsockopt(&socket, SndBufForce, &BUFFER)?;
            // Not all of them ask for the same name at the same time.
            let next_query = number * (queries.count() / ports.max(1));
            Ok(Flow { socket, window: Window::new(window), next_query })
        };
        let flows = client.enter(|| (0..ports).map(flow).collect::<Result<_>>())?;
        Ok(Self {
            flows: flows.context("open the generator's sockets")?,
            queries,
            pacer: Pacer::new(pace),
            pace,
            batch: Batch::new(),
            first: 0,
            next_expiry: EXPIRY,
            tally: Tally::default(),
        })
    }
}

impl Peer for UdpLoad {
    fn turn(&mut self, now: Duration) -> Result<()> {
        let Self { flows, queries, batch, tally, .. } = self;
        let mut due = self.pacer.due(now);
        let (before, after) = flows.split_at_mut(self.first);
        for flow in after.iter_mut().chain(before) {
            flow.receive(queries, batch, tally, now)?;
            due -= flow.send(due, queries, batch, tally, now)?;
        }
        self.first = (self.first + 1) % self.flows.len();
        if matches!(self.pace, Pace::Rate(_)) {
            self.tally.withheld += due as u64;
        }
        if now > self.next_expiry {
            self.next_expiry = now + EXPIRY;
            self.tally.lost += self.flows.iter_mut().map(|flow| flow.window.expire(now)).sum::<u64>();
        }
        Ok(())
    }
}

impl Load for UdpLoad {
    fn tally(&self) -> &Tally {
        &self.tally
    }

    fn stop(&mut self) {
        self.pacer.stop();
    }

    fn waiting(&self) -> usize {
        self.flows.iter().map(|flow| flow.window.waiting()).sum()
    }
}

impl Flow {
    fn receive(
        &mut self,
        queries: &Queries,
        batch: &mut Batch,
        tally: &mut Tally,
        now: Duration,
    ) -> Result<()> {
        while batch.receive(&self.socket).context("receive over UDP")? > 0 {
            for datagram in batch.received() {
                tally.receive(queries, &mut self.window, datagram, now);
            }
        }
        Ok(())
    }

    /// Sends at most `due` queries, and returns how many.
    fn send(
        &mut self,
        due: usize,
        queries: &Queries,
        batch: &mut Batch,
        tally: &mut Tally,
        now: Duration,
    ) -> Result<usize> {
        let count = due.min(self.window.free()).min(BATCH);
        if count == 0 {
            return Ok(0);
        }
        batch.clear();
        let mut ids = [0; BATCH];
        for id in &mut ids[..count] {
            let query = self.next_query;
            let Some(opened) = self.window.open(query, now) else { break };
            *id = opened;
            batch.push(opened, queries.message(query));
            self.next_query = (query + 1) % queries.count();
        }
        let sent = batch.send(&self.socket).context("send over UDP")?;
        for id in &ids[sent..count] {
            self.window.close(*id);
        }
        tally.sent += sent as u64;
        Ok(sent)
    }
}
