//! The generator: asks, verifies what comes back, and counts what does not.
//!
//! Everything here is driven by one thread that never waits: [`Peer::turn`] does what can be done now and
//! returns. So nobody has to wake the generator, and no balancer pays for doing so.

mod batch;
mod pace;
mod query;
mod stream;
mod tally;
mod tcp;
mod udp;
mod window;

use std::time::Duration;

use anyhow::Result;

pub use pace::Pace;
pub use query::{Queries, Wrong};
pub use stream::MessageStream;
pub use tally::Tally;
pub use tcp::TcpLoad;
pub use udp::UdpLoad;
pub use window::PATIENCE;

/// Someone on the peers' processor.
pub trait Peer {
    /// Does what can be done without waiting. `now` is the time since the run began.
    fn turn(&mut self, now: Duration) -> Result<()>;
}

/// A generator.
pub trait Load: Peer {
    /// What was counted so far.
    fn tally(&self) -> &Tally;

    /// Sends nothing more.
    fn stop(&mut self);

    /// How many queries wait for their answers.
    fn waiting(&self) -> usize;
}
