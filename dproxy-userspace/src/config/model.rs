//! The configuration as the rest of the daemon sees it.
//!
//! Serialized, it has the form of the file, so that what is written can be read again. Deserialized, as from
//! a record of another version of dproxy, it has defaults for what is missing, and what is not known is left
//! out. It need not be free of contradictions: [`check`](super::check) finds those.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::duration;
use super::health::{Check, Health, WhenDown};
use super::pattern::Pattern;
use super::policy::Policy;
use super::port_range::PortRange;
use super::words::{Answer, XdpMode};

/// A whole configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Config {
    /// Where clients are served.
    pub listen: Listen,
    /// Sizes of the fast path.
    pub fast_path: FastPath,
    /// Limits of the slow path, fixed while the daemon runs.
    pub slow_path: SlowPath,
    /// Where the daemon is controlled and keeps its pins.
    pub control: Control,
    /// What concerns the health of all pools.
    pub health: Health,
    /// Pools by name.
    pub pools: BTreeMap<String, Pool>,
    /// Routes by what they match. A name that none matches gets the answer `refused`.
    pub routes: BTreeMap<Pattern, Target>,
}

/// Where clients are served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Listen {
    /// Interfaces that the fast path attaches to: at least one, unless it is off.
    pub interfaces: Vec<String>,
    /// Listeners, 1 to 64.
    pub addresses: Vec<SocketAddr>,
    /// How the fast path attaches.
    pub xdp: XdpMode,
    /// Largest EDNS UDP payload size, in octets, that a query may announce to a backend (RFC 6891
    /// §6.2.3): 512 to 4096, or `None` to leave it alone.
    #[serde(with = "number_or_off")]
    pub edns_udp_size: Option<u16>,
}

impl Listen {
    /// A size that passes nearly everywhere without fragments: the DNS flag day 2020's.
    pub const DEFAULT_EDNS_UDP_SIZE: u16 = 1232;
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            interfaces: Vec::new(),
            addresses: Vec::new(),
            xdp: XdpMode::Auto,
            edns_udp_size: Some(Self::DEFAULT_EDNS_UDP_SIZE),
        }
    }
}

mod number_or_off {
    use super::*;

    pub(super) fn serialize<S: Serializer>(size: &Option<u16>, serializer: S) -> Result<S::Ok, S::Error> {
        match size {
            Some(size) => serializer.serialize_u16(*size),
            None => serializer.serialize_str("off"),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u16>, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Size {
            Number(u16),
            Off(Off),
        }
        #[derive(Deserialize)]
        enum Off {
            #[serde(rename = "off")]
            Off,
        }
        Ok(match Size::deserialize(deserializer)? {
            Size::Number(size) => Some(size),
            Size::Off(Off::Off) => None,
        })
    }
}

/// Sizes of the fast path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FastPath {
    /// Queries in flight at most: a power of two, 1024 to 8388608. A slot takes 64 octets.
    pub slots: u32,
    /// Source ports of forwarded queries.
    pub nat_ports: PortRange,
    /// How many names with routes the tables have room for to begin with, 1 to 4194304: they grow by
    /// themselves.
    pub routes: u32,
}

impl Default for FastPath {
    fn default() -> Self {
        Self { slots: 65536, nat_ports: PortRange::default(), routes: 16384 }
    }
}

/// Limits of the slow path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SlowPath {
    /// Threads, 1 to 256; `None`: one for each processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<u32>,
    /// A client's patience, 100 ms to 30 s: after a third of it, a query over UDP goes to another backend;
    /// at its end, the answer is SERVFAIL.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// How long a client's TCP connection may be idle (RFC 7766 §6.2.3): 1 s to 10 min.
    #[serde(with = "duration")]
    pub idle_timeout: Duration,
    /// Clients' TCP connections at most, 1 to 1,000,000.
    pub tcp_connections: u32,
    /// The same of one client's address.
    pub tcp_connections_per_client: u32,
    /// Queries that each worker has under way at most, 1 to 1,048,576.
    pub queries_in_flight: u32,
}

impl Default for SlowPath {
    fn default() -> Self {
        Self {
            workers: None,
            timeout: Duration::from_secs(3),
            idle_timeout: Duration::from_secs(10),
            tcp_connections: 10_000,
            tcp_connections_per_client: 200,
            queries_in_flight: 65_536,
        }
    }
}

/// Where the daemon is controlled and keeps its pins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Control {
    /// The Unix socket that `dproxy` and other programs talk to.
    pub socket: PathBuf,
    /// Folder of the pinned links, in a BPF file system.
    pub bpffs: PathBuf,
}

impl Default for Control {
    fn default() -> Self {
        Self { socket: "/run/dproxy/dproxy.sock".into(), bpffs: "/sys/fs/bpf/dproxy".into() }
    }
}

/// A named set of backends, one of which gets the query.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pool {
    /// How the backend is chosen.
    #[serde(flatten)]
    pub policy: Policy,
    /// The backend that NOTIFY (RFC 1996) and UPDATE (RFC 2136) go to, one of [`Pool::backends`]; with
    /// weight 0 there, it gets nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary: Option<SocketAddr>,
    /// Do the backends expect the PROXY protocol, version 2, in front of queries? They then come by the
    /// slow path, all of them.
    pub proxy_protocol: bool,
    /// The pool that some clients' queries go to instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub switch: Option<Switch>,
    /// How the health of its backends is found out.
    #[serde(skip_serializing_if = "is_usual")]
    pub health: Box<Check>,
    /// Health is ignored if fewer of its backends would be up, in percent: 0 (never) to 100.
    #[serde(skip_serializing_if = "is_usual")]
    pub panic_threshold: PanicThreshold,
    /// What happens to its queries when none of its backends can be used.
    #[serde(skip_serializing_if = "is_usual")]
    pub when_down: WhenDown,
    /// How long a backend that has come up takes until it gets its whole share.
    #[serde(with = "duration::optional", skip_serializing_if = "Option::is_none")]
    pub slow_start: Option<Duration>,
    /// The most that a backend gets of the pool's queries, in percent of its share: 101 to 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bounded_load: Option<u16>,
    /// In the order of the file; no address occurs twice.
    pub backends: Vec<WeightedBackend>,
}

/// A share of a pool's backends, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PanicThreshold(pub u8);

impl Default for PanicThreshold {
    /// A third is enough.
    fn default() -> Self {
        Self(33)
    }
}

impl PanicThreshold {
    /// Are so many of all backends enough?
    pub const fn is_met(self, up: usize, all: usize) -> bool {
        up > 0 && up * 100 >= all * self.0 as usize
    }
}

/// A pool's clients on their way to another pool. Whom it concerns follows from a client's address alone, and
/// who is among a share is among every larger one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    /// The other pool. It must not be on a switch itself.
    pub to: Arc<str>,
    /// The share of the clients whose queries go there, in percent: 1 to 100.
    pub percent: u8,
}

/// A backend as a member of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightedBackend {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its share of the pool's queries, relative to the others': 0 (none) to 1000.
    pub weight: u16,
    /// Does it get no queries for now, as with weight 0, though it keeps its weight for later?
    #[serde(default, skip_serializing_if = "is_false")]
    pub drained: bool,
    /// With policy failover, those of a higher tier get queries only if not enough of the lower ones are up:
    /// 1 to 8.
    #[serde(default = "first_tier", skip_serializing_if = "is_first_tier")]
    pub tier: u8,
}

const fn first_tier() -> u8 {
    WeightedBackend::FIRST_TIER
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
const fn is_first_tier(tier: &u8) -> bool {
    *tier == WeightedBackend::FIRST_TIER
}

fn is_usual<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_false(value: &bool) -> bool {
    !*value
}

impl WeightedBackend {
    /// Largest weight.
    pub const MAX_WEIGHT: u16 = 1000;
    /// The weight of a backend for which none is given.
    pub const DEFAULT_WEIGHT: u16 = 1;
    /// The tier of a backend for which none is given.
    pub const FIRST_TIER: u8 = 1;

    /// One of the first tier that is not drained.
    pub const fn new(address: SocketAddr, weight: u16) -> Self {
        Self { address, weight, drained: false, tier: Self::FIRST_TIER }
    }

    /// The weight that counts: none while it is drained.
    pub const fn share(&self) -> u16 {
        if self.drained { 0 } else { self.weight }
    }
}

/// Where a route leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// To the pool of this name, which all routes to it share.
    Pool(Arc<str>),
    /// To a response that dproxy makes itself.
    Answer(Answer),
}

impl Target {
    /// From one word, as operators type it: an answer, or else the name of a pool. No pool can have
    /// the name of an answer.
    pub fn from_word(word: &str) -> Self {
        match word.parse() {
            Ok(answer) => Self::Answer(answer),
            Err(_) => Self::Pool(word.into()),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pool(name) => f.write_str(name),
            Self::Answer(answer) => write!(f, "{answer}"),
        }
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Pool(name) => serializer.serialize_str(name),
            Self::Answer(answer) => serializer.collect_map([("answer", answer)]),
        }
    }
}
