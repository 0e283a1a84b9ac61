//! A steady stream of queries through the fast path, fast enough to see any gap, each of which is accounted for.
//!
//! * [`Stage`]: the small internet with servers that cost next to nothing, and one that takes its time.
//! * [`Steady`]: who asks; [`Ledger`]: what became of each query.
//! * [`Timeline`]: who may have answered when.
//! * [`Evidence`]: which way the queries took, as dproxy counted.
//! * [`Api`]: the control socket, for those who have much to say.

mod api;
mod evidence;
mod ledger;
mod pace;
mod sender;
mod slow_server;
mod stage;
mod timeline;
mod who;

pub use api::Api;
pub use evidence::Evidence;
pub use ledger::{Ledger, Query};
pub use sender::Steady;
pub use stage::{Stage, successor_binary};
pub use timeline::{Periods, Timeline};
pub use who::Who;
