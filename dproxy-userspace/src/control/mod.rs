//! From a configuration to tables. Pure: no clock, no system call, no map.
//!
//! A [`Layout`] turns a [`Config`](crate::config::Config), or what has changed of it, into a [`Patch`]: what is to be
//! written into a half of the tables. [`compile()`] makes a whole [`Snapshot`]. Ids that outlive generations come
//! from [`Ids`].

mod capacity;
mod delivery;
mod destinations;
mod find;
mod hops;
mod ids;
mod layout;
mod leads;
mod maglev;
mod patch;
mod pool_space;
mod route_ids;
mod route_index;
mod route_space;
mod snapshot;
#[cfg(test)]
mod tests;

pub use capacity::{Capacity, MAX_ROUTE_IDS, MAX_ROUTES};
pub use delivery::{Delivery, SlowPath, deliveries};
pub use destinations::Host;
pub use find::Held;
pub use hops::Hops;
pub use ids::{Id, Ids, MemberKey};
pub use layout::{CompileError, Layout, Plan, compile};
pub use leads::names_of;
pub use patch::{Patch, Question, Rows};
pub use snapshot::{Member, Memory, Snapshot, SnapshotNames};
