//! From a configuration to tables. Pure: no clock, no system call, no map.
//!
//! [`compile()`] turns a [`Config`](crate::config::Config) into a [`Snapshot`], one generation as it will
//! stand in the maps. Ids that outlive generations come from [`Ids`].

mod compile;
mod delivery;
mod destinations;
mod hops;
mod ids;
mod maglev;
mod routes;
mod snapshot;

pub use compile::{CompileError, compile};
pub use delivery::{Delivery, SlowPath, deliveries};
pub use destinations::Host;
pub use hops::Hops;
pub use ids::{Id, Ids};
pub use snapshot::{Capacity, Memory, Snapshot, SnapshotNames};
