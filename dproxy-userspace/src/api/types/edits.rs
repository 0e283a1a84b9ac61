//! Edits, and what they are answered with.

use serde::{Deserialize, Serialize};

/// The answer to an edit. It is in the datapath.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edited {
    /// The generation in force, the edit included.
    pub generation: u64,
    /// False if everything was as wanted before.
    pub changed: bool,
}

/// `POST /v1/routes`: `{"pattern": …, "pool": …}` or `{"pattern": …, "answer": …}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRoute {
    /// What it matches.
    pub pattern: String,
    /// The pool that it leads to; this or `answer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// The answer that it leads to; this or `pool`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
}

/// `PUT /v1/routes/{pattern}`: `{"pool": …}` or `{"answer": …}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewTarget {
    /// The pool that the route leads to; this or `answer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// The answer that the route leads to; this or `pool`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
}

/// `POST /v1/pools`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPool {
    /// Its name.
    pub name: String,
    /// Default: `maglev`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// For `maglev` only; default: `qname`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// The one of its backends that NOTIFY and UPDATE go to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary: Option<String>,
    /// Do the backends expect the PROXY protocol, version 2?
    #[serde(default)]
    pub proxy_protocol: bool,
    /// Its backends, at least one.
    pub backends: Vec<NewBackend>,
}

/// `POST /v1/pools/{pool}/backends`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewBackend {
    /// Where it listens; port 53 if there is none.
    pub address: String,
    /// Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u16>,
}

/// `PATCH /v1/pools/{pool}/backends/{address}`: `{"weight": 3}`, `{"drained": true}`, or both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangedBackend {
    /// 0 (none) to 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u16>,
    /// Does it get no queries for now, though it keeps its weight?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drained: Option<bool>,
}

/// `PATCH /v1/pools/{pool}`: what is to be changed, as the configuration file has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangedPool {
    /// How a backend is chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// What a policy that hashes does hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// Health is ignored if fewer of its backends would be up, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub panic_threshold: Option<u8>,
    /// `servfail`, `drop`, or `pool NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when_down: Option<String>,
    /// How long who comes up takes to its whole share; `off`: no time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow_start: Option<String>,
    /// The most that a backend gets, in percent of its share; `off`: there is no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounded_load: Option<String>,
}

/// `POST /v1/pools/{pool}/switch`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSwitch {
    /// The pool that gets the queries instead.
    pub to: String,
    /// The share of the clients, in percent: 1 to 100. Without it, every route is moved for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
    /// Take it back instead.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub back: bool,
    /// Even if no backend of the other pool is up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
}
