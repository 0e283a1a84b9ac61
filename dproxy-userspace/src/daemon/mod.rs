//! Puts everything together and takes edits.
//!
//! One task, the [`Engine`], owns the configuration in force, both paths and what the network last
//! said; everybody else asks it through a [`Handle`]. So edits come one after the other, and an edit that
//! is answered is in the datapath.

mod commit;
mod counters;
mod descriptors;
mod edit;
mod edits;
mod endpoint;
mod engine;
mod events;
mod explain;
mod file;
mod handle;
mod health;
mod in_force;
mod live;
mod memory;
mod network;
mod notify;
mod on_change;
mod plan;
mod pool_change;
mod ports;
mod proxy;
mod rate;
mod reachability;
mod refusal;
mod run;
mod sources;
mod switch;
mod unconfirmed;
mod view;
mod watchdog;
mod way;
mod who;
mod whole;

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;

pub use crate::config::RecordType;
pub use commit::Entry;
pub use edit::{Edit, EditError};
pub use endpoint::Readiness;
pub use engine::{Engine, Instructions, Parts};
pub use events::Events;
pub(crate) use explain::EXAMPLE_PORT;
pub use explain::Question;
pub use handle::{Apply, Handle, Requests, Stopped};
pub use network::{Network, NoNetwork};
pub use pool_change::PoolChange;
pub use proxy::Proxy;
pub use run::{RunError, RunOptions, capacity, run};
pub use who::Who;
