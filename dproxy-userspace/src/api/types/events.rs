//! What has happened.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// `GET /v1/events?after=…&wait=…`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Events {
    /// The number of the last event.
    pub last: u64,
    /// In the order in which they happened; the last thousand are kept.
    pub events: Vec<Event>,
}

/// Something has happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its number, from 1 since the daemon's start.
    pub id: u64,
    /// When, in UTC (RFC 3339).
    pub at: String,
    /// What: `backend-up`, `backend-down`, `pool-fail-open`, `pool-down`, `pool-normal`, `pool-tier`,
    /// `data-plane-failed`, `data-plane-recovered`.
    pub kind: String,
    /// The pool concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// The backend concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<SocketAddr>,
    /// Why, for people.
    pub text: String,
}

impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.kind)?;
        if let Some(pool) = &self.pool {
            write!(f, ": pool {pool}")?;
        }
        if let Some(backend) = self.backend {
            write!(f, ", backend {backend}")?;
        }
        write!(f, ": {}", self.text)
    }
}
