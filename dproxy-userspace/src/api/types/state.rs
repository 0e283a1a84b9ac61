//! What is in force.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

/// `GET /v1/status`: one screen about everything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the daemon.
    pub version: String,
    /// Its process id.
    pub process: u32,
    /// When it started, in UTC (RFC 3339).
    pub since: String,
    /// How long ago that was.
    pub uptime_seconds: u64,
    /// The configuration file that it started with.
    pub config: String,
    /// Live edits since then. They are not in the file: a restart loses them.
    pub live_edits: u64,
    /// The generation in force.
    pub generation: u64,
    /// Interfaces that the fast path is attached to.
    pub interfaces: Vec<Interface>,
    /// Addresses that clients query.
    pub listeners: Vec<SocketAddr>,
    /// Number of routes.
    pub routes: usize,
    /// All pools.
    pub pools: Vec<Pool>,
    /// Queries forwarded or answered a second, over the last seconds; absent just after the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queries_per_second: Option<f64>,
    /// What an operator should know, one sentence each.
    pub warnings: Vec<String>,
}

/// An interface that the fast path is attached to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// `native` or `generic`.
    pub mode: String,
    /// Why it is generic although `auto` was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
}

/// `GET /v1/routes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routes {
    /// The generation in force.
    pub generation: u64,
    /// In the order of their names' hierarchy, then of precedence.
    pub routes: Vec<Route>,
}

/// A route: `{"pattern": "cryo.network", "pool": "cryo"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// What it matches.
    pub pattern: String,
    /// Where it leads.
    #[serde(flatten)]
    pub target: Target,
}

/// Where a route leads: `"pool": NAME` or `"answer": WORD`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// To the pool of this name.
    Pool(String),
    /// To a response that dproxy makes itself.
    Answer(String),
}

/// `GET /v1/pools`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pools {
    /// The generation in force.
    pub generation: u64,
    /// In the order of their names.
    pub pools: Vec<Pool>,
}

/// A pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// How a backend is chosen: `maglev` or `random`.
    pub policy: String,
    /// What policy `maglev` hashes: `qname`, `client` or `qname+client`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// Its backends.
    pub backends: Vec<Backend>,
    /// How many routes lead to it.
    pub routes: usize,
}

/// A backend as a member of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backend {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its share of the pool's queries, relative to the others'.
    pub weight: u16,
    /// Does the fast path know a way to it? It says nothing about the server there.
    pub reachable: bool,
    /// Why there is no way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_hop: Option<NextHop>,
}

/// How queries are sent towards a backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextHop {
    /// The interface that they leave by.
    pub interface: String,
    /// Link-layer address of the neighbour.
    pub mac: String,
    /// VLAN ids that they are tagged with, outer first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vlans: Vec<u16>,
    /// Our own address, that they come from.
    pub source: IpAddr,
}

/// `GET /v1/backends`, `GET /v1/pools/{pool}/backends`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backends {
    /// The generation in force.
    pub generation: u64,
    /// In the order of the pools' names.
    pub backends: Vec<PoolBackend>,
}

/// A backend and its pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolBackend {
    /// The pool's name.
    pub pool: String,
    /// The backend.
    #[serde(flatten)]
    pub backend: Backend,
}
