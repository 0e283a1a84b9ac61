//! What goes over the socket, as JSON. Field names are stable; new ones may be added.
//!
//! Names and patterns are in presentation format with escapes (RFC 1035 §5.1), so that whatever clients
//! and operators put into them, they hold printable ASCII only.

mod decisions;
mod edits;
mod events;
mod state;
mod stats;
mod whole;

pub use decisions::{Explanation, NameRoutes};
pub use edits::{ChangedBackend, ChangedPool, Edited, NewBackend, NewPool, NewRoute, NewSwitch, NewTarget};
pub use events::{Event, Events};
pub use state::{
    Backend, Backends, Health, Interface, NextHop, Path, Pool, PoolBackend, Pools, Route, Routes, SlowPath,
    StateFolder, Status, Switch, Target, Unconfirmed,
};
pub use stats::{BackendStats, LatencyStats, ListenerStats, PoolStats, RouteStats, SlowPathStats, Stats};
pub use whole::{
    Applied, ChangedRoute, Excerpt, Generation, History, Plan, PoolDifference, PoolDifferences, Rollback,
    RouteDifferences,
};
