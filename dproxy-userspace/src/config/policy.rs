//! How a pool chooses among its backends.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::problem::Refusal;
use super::words::HashInput;

/// A pool's balancing policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "policy", rename_all = "lowercase")]
pub enum Policy {
    /// Consistent hashing by Maglev tables: what hashes alike goes to one backend, and a change of
    /// the pool moves little else.
    Maglev {
        /// What is hashed.
        hash: HashInput,
    },
    /// Weighted random, by each query anew.
    Random,
    /// As maglev, among the backends of the lowest tier that has enough of them up.
    Failover {
        /// What is hashed.
        hash: HashInput,
    },
    /// One after the other.
    #[serde(rename = "round-robin")]
    RoundRobin,
    /// At random, more often those that reply faster.
    #[serde(rename = "least-latency")]
    LeastLatency,
}

impl Policy {
    /// The words for the policies.
    pub const WORDS: [&str; 5] = ["maglev", "random", "failover", "round-robin", "least-latency"];

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Maglev { .. } => "maglev",
            Self::Random => "random",
            Self::Failover { .. } => "failover",
            Self::RoundRobin => "round-robin",
            Self::LeastLatency => "least-latency",
        }
    }

    /// What it hashes, if it does.
    pub const fn hash(self) -> Option<HashInput> {
        match self {
            Self::Maglev { hash } | Self::Failover { hash } => Some(hash),
            Self::Random | Self::RoundRobin | Self::LeastLatency => None,
        }
    }

    /// The same policy with another hash; refused for a policy that has none.
    pub fn with_hash(self, hash: HashInput) -> Result<Self, Refusal> {
        match self {
            Self::Maglev { .. } => Ok(Self::Maglev { hash }),
            Self::Failover { .. } => Ok(Self::Failover { hash }),
            Self::Random | Self::RoundRobin | Self::LeastLatency => Err(Refusal {
                what: format!("hash \"{hash}\" is given with policy \"{self}\", which hashes nothing"),
                allowed: "hash with the policies maglev and failover only".to_owned(),
            }),
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::Maglev { hash: HashInput::Qname }
    }
}

impl FromStr for Policy {
    type Err = Refusal;

    /// From its word; those that hash take the question name.
    fn from_str(text: &str) -> Result<Self, Refusal> {
        match text {
            "maglev" => Ok(Self::default()),
            "random" => Ok(Self::Random),
            "failover" => Ok(Self::Failover { hash: HashInput::Qname }),
            "round-robin" => Ok(Self::RoundRobin),
            "least-latency" => Ok(Self::LeastLatency),
            _ => Err(Refusal::word("policy", text, &Self::WORDS)),
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
