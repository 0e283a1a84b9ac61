//! From a configuration to tables. Pure: no clock, no system call, no map.
//!
//! A [`Layout`] turns a [`Config`](crate::config::Config), or what has changed of it, into a [`Patch`]: what is to be
//! written into a half of the tables. [`compile()`] makes a whole [`Snapshot`]. Ids that outlive generations come
//! from [`Ids`].

mod delivery;
mod destinations;
mod find;
mod hops;
mod ids;
mod layout;
mod maglev;
mod patch;
mod pool_space;
mod route_ids;
mod route_space;
mod snapshot;
#[cfg(test)]
mod tests;

pub use delivery::{Delivery, SlowPath, deliveries};
pub use destinations::Host;
pub use find::Held;
pub use hops::Hops;
pub use ids::{Id, Ids};
pub use layout::{CompileError, Layout, Plan, compile};
pub use patch::{Patch, Question, Rows};
pub use route_space::names_of;
pub use snapshot::{Capacity, MAX_ROUTE_IDS, MAX_ROUTES, Memory, Snapshot, SnapshotNames};
