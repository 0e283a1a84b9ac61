//! Counters.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::Route;

/// `GET /v1/stats`: all counters since the program was loaded. Listeners, routes, pools and backends count
/// what either path did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// The generation in force.
    pub generation: u64,
    /// When they were read: milliseconds since the daemon started, for rates.
    pub uptime_milliseconds: u64,
    /// Packets that the fast path saw.
    pub received: u64,
    /// Packets that the fast path saw, by verdict: `pass`, `forward`, `deliver`, `answer`, `drop`, `abort`.
    pub verdicts: BTreeMap<String, u64>,
    /// The same by reason's label; they add up to `received`.
    pub reasons: BTreeMap<String, u64>,
    /// Queries whose slot was needed for another before the reply came.
    pub slots_overwritten: u64,
    /// What the slow path did.
    #[serde(default)]
    pub slow_path: SlowPathStats,
    /// By listener.
    pub listeners: Vec<ListenerStats>,
    /// By route.
    pub routes: Vec<RouteStats>,
    /// By pool.
    pub pools: Vec<PoolStats>,
    /// By backend; one that is in several pools counts once.
    pub backends: Vec<BackendStats>,
}

/// What the slow path did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlowPathStats {
    /// What happened, by reason's label. A query may count for several: forwarded, sent to another backend,
    /// replied to.
    pub reasons: BTreeMap<String, u64>,
    /// TCP connections of clients, now.
    pub tcp_connections: u64,
    /// TCP connections to backends, now.
    pub backend_connections: u64,
    /// Queries under way, now.
    pub queries_in_flight: u64,
}

/// Counters of a listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerStats {
    /// The listener.
    pub address: SocketAddr,
    /// Queries forwarded or answered.
    pub queries: u64,
    /// Responses sent to clients.
    pub responses: u64,
}

/// Counter of a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteStats {
    /// The route.
    #[serde(flatten)]
    pub route: Route,
    /// Queries that it applied to.
    pub queries: u64,
}

/// Counter of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolStats {
    /// The pool's name.
    pub name: String,
    /// Queries that it was chosen for.
    pub queries: u64,
}

/// Counters of a backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendStats {
    /// The backend.
    pub address: SocketAddr,
    /// The pool that it is counted for as a member.
    #[serde(default)]
    pub pool: String,
    /// Queries forwarded to it.
    pub queries: u64,
    /// Its replies that were forwarded.
    pub replies: u64,
    /// Replies by response code: NOERROR.
    pub noerror: u64,
    /// NXDOMAIN.
    pub nxdomain: u64,
    /// SERVFAIL.
    pub servfail: u64,
    /// REFUSED.
    pub refused: u64,
    /// Any other code.
    pub other: u64,
    /// Replies that came too late to be forwarded.
    #[serde(default)]
    pub late: u64,
    /// How long replies over the fast path took, since the counters began. None: no query was timed.
    #[serde(default)]
    pub latency: Option<LatencyStats>,
}

/// How long a backend takes to reply, by a sample of the queries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatencyStats {
    /// Queries that were timed.
    pub timed: u64,
    /// Half of them took no longer, in microseconds.
    pub p50_microseconds: u64,
    /// Nine of ten.
    pub p90_microseconds: u64,
    /// 99 of a hundred.
    pub p99_microseconds: u64,
}
