//! What is wrong with a value or a configuration, in words for the operator.
//!
//! Knows nothing of files: [`Place`] says where in the configuration a problem is, and whoever read a
//! file maps it to a line and a column.

use std::fmt;
use std::net::SocketAddr;

use super::pattern::Pattern;
use super::wording::{Quoted, did_you_mean, listed};

/// Why a single value was refused, and what is allowed instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}; allowed: {allowed}")]
pub struct Refusal {
    /// The value and what is wrong with it.
    pub what: String,
    /// What would have been accepted.
    pub allowed: String,
}

impl Refusal {
    /// `given` is none of the `allowed` words for a `kind` of thing.
    pub(super) fn word(kind: &str, given: &str, allowed: &[&str]) -> Self {
        Self {
            what: format!("{kind} {} does not exist", Quoted(given)),
            allowed: listed(allowed.iter().copied()) + &did_you_mean(given, allowed.iter().copied()),
        }
    }
}

/// Something in a configuration that can be wrong. Its text is the subject of a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// The list of interfaces.
    Interfaces,
    /// One interface, by its index in the list and its name.
    Interface(usize, String),
    /// The list of listeners.
    Listeners,
    /// One listener, by its index in the list and its address.
    Listener(usize, SocketAddr),
    /// The limit on announced EDNS UDP payload sizes.
    EdnsUdpSize,
    /// The number of slots.
    Slots,
    /// The ports of forwarded queries.
    NatPorts,
    /// How many routes the tables have room for to begin with.
    RouteCapacity,
    /// A limit of the slow path, by its key.
    SlowPath(&'static str),
    /// Path of the control socket.
    Socket,
    /// Folder of the pinned links.
    Bpffs,
    /// All pools.
    Pools,
    /// One pool, by name.
    Pool(String),
    /// One backend: its pool, its index there and its address.
    Backend(String, usize, SocketAddr),
    /// A pool's primary: the pool and the address.
    Primary(String, SocketAddr),
    /// A pool's switch to another one: the pool.
    Switch(String),
    /// A pool's setting, by its key.
    PoolSetting(String, &'static str),
    /// How the health of a pool's backends is found out: the pool and the key.
    Check(String, &'static str),
    /// A setting of the health of all pools, by its key.
    Health(&'static str),
    /// All routes.
    Routes,
    /// One route.
    Route(Pattern),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interfaces => f.write_str("listen.interfaces"),
            Self::Interface(_, name) => write!(f, "interface {}", Quoted(name)),
            Self::Listeners => f.write_str("listen.addresses"),
            Self::Listener(_, address) => write!(f, "listener {address}"),
            Self::EdnsUdpSize => f.write_str("listen.edns_udp_size"),
            Self::Slots => f.write_str("fast_path.slots"),
            Self::NatPorts => f.write_str("fast_path.nat_ports"),
            Self::RouteCapacity => f.write_str("fast_path.routes"),
            Self::SlowPath(key) => write!(f, "slow_path.{key}"),
            Self::Socket => f.write_str("control.socket"),
            Self::Bpffs => f.write_str("control.bpffs"),
            Self::Pools => f.write_str("[pools]"),
            Self::Pool(name) => write!(f, "pool {}", Quoted(name)),
            Self::Backend(pool, _, address) => write!(f, "backend {address} of pool {}", Quoted(pool)),
            Self::Primary(pool, address) => write!(f, "primary {address} of pool {}", Quoted(pool)),
            Self::Switch(pool) => write!(f, "switch of pool {}", Quoted(pool)),
            Self::PoolSetting(pool, key) => write!(f, "{key} of pool {}", Quoted(pool)),
            Self::Check(pool, key) => write!(f, "health.{key} of pool {}", Quoted(pool)),
            Self::Health(key) => write!(f, "health.{key}"),
            Self::Routes => f.write_str("[routes]"),
            Self::Route(pattern) => write!(f, "route {}", Quoted(&pattern.to_string())),
        }
    }
}

/// A rule that a configuration breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place} {says}; allowed: {allowed}")]
pub struct Problem {
    /// What is wrong.
    pub place: Place,
    /// How it is wrong: the rest of the sentence that `place` begins.
    pub says: String,
    /// What would have been accepted.
    pub allowed: String,
    /// What it is in conflict with, if that is another part of the configuration.
    pub against: Option<Place>,
}

impl Problem {
    pub(crate) fn new(place: Place, says: impl Into<String>, allowed: impl Into<String>) -> Self {
        Self { place, says: says.into(), allowed: allowed.into(), against: None }
    }

    pub(super) fn against(self, other: Place) -> Self {
        Self { against: Some(other), ..self }
    }
}
