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
    /// The configuration file.
    pub config: String,
    /// Has the file changed since it was applied? Absent: it cannot be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_differs: Option<bool>,
    /// Live edits since the last apply. They are not in the file.
    pub live_edits: u64,
    /// Where the configuration in force is kept.
    #[serde(default)]
    pub state: StateFolder,
    /// The generation in force.
    pub generation: u64,
    /// Set if the generation in force waits to be confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unconfirmed: Option<Unconfirmed>,
    /// Why there is no fast path; absent if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fast_path_off: Option<String>,
    /// Interfaces that the fast path is attached to.
    pub interfaces: Vec<Interface>,
    /// The slow path.
    #[serde(default)]
    pub slow_path: SlowPath,
    /// Addresses that clients query.
    pub listeners: Vec<SocketAddr>,
    /// Number of routes.
    pub routes: usize,
    /// All pools.
    pub pools: Vec<Pool>,
    /// Queries forwarded or answered a second, over the last seconds; absent just after the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queries_per_second: Option<f64>,
    /// What is broken, one sentence each, the worst first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub broken: Vec<String>,
    /// What an operator should know, one sentence each.
    pub warnings: Vec<String>,
    /// What dproxy did by itself, and why: a generation taken back, for one.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// Where the configuration in force is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateFolder {
    /// The folder.
    pub folder: String,
    /// Why nothing can be written there; then no edit is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A generation that waits to be confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unconfirmed {
    /// Its number.
    pub generation: u64,
    /// When it is taken back, in UTC (RFC 3339).
    pub until: String,
    /// How long that is from now.
    pub seconds_left: u64,
    /// The generation whose configuration is put in force then.
    pub back_to: u64,
}

/// The slow path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlowPath {
    /// Threads.
    pub workers: usize,
    /// TCP connections of clients, now.
    pub tcp_connections: u64,
    /// TCP connections to backends, now.
    pub backend_connections: u64,
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
    /// How a backend is chosen: `maglev`, `random` or `failover`.
    pub policy: String,
    /// What policies `maglev` and `failover` hash: `qname`, `client` or `qname+client`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// The backend that NOTIFY and UPDATE go to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary: Option<SocketAddr>,
    /// Do the backends expect the PROXY protocol, version 2?
    #[serde(default)]
    pub proxy_protocol: bool,
    /// The pool that some of its clients' queries go to instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switch: Option<Switch>,
    /// How it gets by: `normal`; `fail-open`, too few of its backends are up, so that health is ignored; or `down`.
    /// Absent if health is not checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// The tier in use, unless it is the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<u8>,
    /// Its backends.
    pub backends: Vec<Backend>,
    /// How many routes lead to it.
    pub routes: usize,
}

/// A pool's clients on their way to another pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    /// The other pool.
    pub to: String,
    /// The share of the clients whose queries go there, in percent.
    pub percent: u8,
}

/// A backend as a member of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backend {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its share of the pool's queries, relative to the others'.
    pub weight: u16,
    /// Does it get no queries for now, though it keeps its weight?
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drained: bool,
    /// With policy failover, those of a higher tier get queries only if not enough of the lower ones are up.
    #[serde(default = "first_tier", skip_serializing_if = "is_first_tier")]
    pub tier: u8,
    /// Whether the server there does its work; absent if that is not checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// Is there a way to it, by either path? It says nothing about the server there.
    pub reachable: bool,
    /// How queries over UDP get there. Over TCP, it is always the slow path.
    pub path: Path,
    /// Why it is not the fast path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The next hop on the fast path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_hop: Option<NextHop>,
}

const fn first_tier() -> u8 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
const fn is_first_tier(tier: &u8) -> bool {
    *tier == first_tier()
}

/// Whether a backend does its work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// `up`, `down`, or `checking`: nothing is known yet.
    pub state: String,
    /// Since when, in UTC (RFC 3339).
    pub since: String,
    /// How long ago that was.
    pub seconds: u64,
    /// Why it is down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// How often it went down.
    pub flaps: u64,
    /// Does it get queries? Also if it is down, where health is ignored; not if its tier is not in use.
    pub gets_queries: bool,
    /// How long a check takes, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check_microseconds: Option<u64>,
    /// The SOA serial that it has said last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u32>,
    /// Queries a second that were sent to it of late.
    pub queries_per_second: u64,
    /// Replies a second of late.
    pub replies_per_second: u64,
}

/// How queries get to a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Path {
    /// By the fast path, to another host.
    Fast,
    /// By the fast path, to a server on this host.
    Local,
    /// By the slow path.
    Slow,
    /// Not at all.
    None,
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
