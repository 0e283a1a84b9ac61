//! What the kernel's network stack says: how a backend is reached, and by which neighbour.
//!
//! An [`Observer`] asks the kernel as `ip route get`, `ip link` and `ip neigh` do, so that whatever steers
//! the host's own packets (rules, several tables, ECMP, preferred sources) steers ours too. What it saw are
//! facts, and a pure function makes a [`Resolution`] of them.
//!
//! The fast path sends frames that the kernel does not know of, so no traffic of ours keeps its neighbour
//! entries fresh. The observer does: it asks for neighbours that are unknown or stale.

mod error;
mod facts;
mod netlink;
mod observer;
mod read;
mod resolution;
#[cfg(test)]
mod tests;
mod why;

pub use error::NetworkError;
pub use observer::Observer;
pub use resolution::{Bypass, Resolution, View};
pub use why::Why;
