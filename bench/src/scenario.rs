//! What is measured.

use anyhow::Result;
use clap::ValueEnum;
use dproxy_lab::Namespace;
use serde::Serialize;
use std::net::SocketAddr;

use crate::contestant::ZONE;
use crate::load::{Load, Pace, Queries, TcpLoad, UdpLoad};

/// Names that are asked for, `www0`, `www1` and so on, below the zone.
pub const NAMES: u16 = 1000;

/// A part of the benchmark, to be run by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// What the program takes for a packet, without any network
    Program,
    /// Balancers of all kinds, on the same two processors as who asks and who answers
    Side,
    /// Queries over UDP
    Udp,
    /// Queries over TCP, pipelined on connections that stay
    Tcp,
    /// Both again, with dnsperf for a generator: do others see what we see?
    Witness,
    /// The control plane: edits, whole configurations and memory, with up to 1,000,000 routes
    Control,
    /// Backends that fail: how long until they get no more queries, and how many are lost. Not with --quick alone
    Failures,
    /// 2,000 backends, checked once a second: what it takes, and how evenly. Not with --quick alone
    Checks,
}

/// What carries the queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// One datagram, one message.
    Udp,
    /// RFC 7766.
    Tcp,
}

/// One kind of load.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Scenario {
    /// As the results name it; stable.
    pub name: &'static str,
    /// As the table has it.
    pub title: &'static str,
    /// UDP or TCP.
    pub transport: Transport,
    /// Source ports, or connections.
    pub flows: u16,
    /// Queries that wait at a time on each of them, at most.
    pub window: u16,
    /// When queries are sent.
    pub pace: Pace,
}

/// All of them. Whether a rate is the highest is up to the balancer: the generator sends as soon as the
/// window has room.
pub const SCENARIOS: [Scenario; 4] = [
    Scenario {
        name: "udp-highest",
        title: "UDP, highest rate (32 ports × 4 queries under way)",
        transport: Transport::Udp,
        flows: 32,
        window: 4,
        pace: Pace::Window,
    },
    Scenario {
        name: "udp-20k",
        title: "UDP, 20,000 queries/s offered",
        transport: Transport::Udp,
        flows: 32,
        window: 64,
        pace: Pace::Rate(20_000),
    },
    Scenario {
        name: "tcp-highest",
        title: "TCP, highest rate (10 connections × 100 queries under way)",
        transport: Transport::Tcp,
        flows: 10,
        window: 100,
        pace: Pace::Window,
    },
    Scenario {
        name: "tcp-20k",
        title: "TCP, 20,000 queries/s offered on 10 connections",
        transport: Transport::Tcp,
        flows: 10,
        window: 100,
        pace: Pace::Rate(20_000),
    },
];

impl Scenario {
    /// The part of the benchmark that it belongs to.
    pub fn part(&self) -> Part {
        match self.transport {
            Transport::Udp => Part::Udp,
            Transport::Tcp => Part::Tcp,
        }
    }

    /// Its generator.
    pub fn load(&self, client: &Namespace, server: SocketAddr) -> Result<Box<dyn Load>> {
        let queries = Queries::below(ZONE, NAMES);
        self.transport.generator(client, server, queries, (self.flows, self.window), self.pace)
    }
}

impl Transport {
    /// A generator that asks for one name, and once more when that is answered.
    pub fn probe(self, client: &Namespace, server: SocketAddr, name: &str) -> Result<Box<dyn Load>> {
        self.generator(client, server, Queries::one(name), (1, 1), Pace::Window)
    }

    fn generator(
        self,
        client: &Namespace,
        server: SocketAddr,
        queries: Queries,
        size: (u16, u16),
        pace: Pace,
    ) -> Result<Box<dyn Load>> {
        Ok(match self {
            Self::Udp => Box::new(UdpLoad::new(client, server, queries, size, pace)?),
            Self::Tcp => Box::new(TcpLoad::new(client, server, queries, size, pace)?),
        })
    }
}
