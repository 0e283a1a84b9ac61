//! What happens to a name or a query, and why.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{Backend, Path, Pool, Route};

/// `GET /v1/names/{name}`: which routes match a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameRoutes {
    /// The generation in force.
    pub generation: u64,
    /// The name.
    pub name: String,
    /// The route that applies: the longest that matches. Absent: none does, the answer is `refused`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<Route>,
    /// The pool that it leads to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<Pool>,
    /// The other routes that match, in the order in which they would apply without those before them.
    pub also_matching: Vec<Route>,
}

/// `GET /v1/explain`: what would become of a query over UDP, and why. What the fast path does, the loaded
/// program says itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The generation that was asked.
    pub generation: u64,
    /// The question name.
    pub name: String,
    /// The question type.
    #[serde(rename = "type")]
    pub record_type: String,
    /// The client's address and port.
    pub from: SocketAddr,
    /// The listener asked.
    pub listener: SocketAddr,
    /// `fast` or `slow`: the path that decides.
    pub path: Path,
    /// Why it is not the fast path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_by_fast_path: Option<String>,
    /// `forward`, `deliver` (to a server on this host), `answer` or `drop`: what becomes of the query.
    pub verdict: String,
    /// The reason's label, as among those of the path in [`Stats`](super::Stats).
    pub reason: String,
    /// The reason as a sentence.
    pub description: String,
    /// The route that applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<Route>,
    /// The other routes that match, in the order in which they would apply without those before them.
    pub also_matching: Vec<Route>,
    /// The pool that the route leads to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<Pool>,
    /// What the pool's policy hashed. Absent for policy `random`: each query draws anew, and `backend`
    /// is one draw.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hashed: Option<String>,
    /// The backend chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend: Option<Backend>,
}
