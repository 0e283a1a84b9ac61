//! What the tests between network namespaces share.
//!
//! * [`Site`]: the lab's small internet, with dproxy in it and servers that answer any name with their own.
//! * [`Asker`]: asks any question, in any wire form, and says who answered.
//! * [`TcpAsker`]: the same over TCP.
//! * [`Tool`]: dig and kdig.
//! * [`Stream`]: thousands of queries a second, none of which may be lost.
//! * [`steady`]: some ten thousand queries a second, likewise.
//! * [`Real`]: DNS servers of the distribution.
//! * [`Capture`], [`Wire`]: frames as they are on an interface.
//! * [`Counters`]: what dproxy counted.
//! * [`Operator`]: who types `dproxy …` and reads what it says.
//! * [`Tracer`]: the steps in which dproxy writes, and kill -9 in front of any.
//! * [`Crowd`]: ten thousand clients.
//! * [`Mounted`]: a small disk, which fills up.

mod ask;
mod bystander;
mod capture;
mod commands;
mod counters;
mod crowd;
mod dig;
mod egress;
pub mod messages;
mod mounted;
mod operator;
mod real;
mod resources;
mod site;
pub mod steady;
mod steps;
mod stream;
mod tcp;
mod wire;
mod zone;

use std::thread::sleep;
use std::time::{Duration, Instant};

pub use ask::{Asker, many_askers};
pub use bystander::Latency;
pub use capture::Capture;
pub use commands::{Ended, become_nobody, end, finish, installed, kernel_counter, xdp_programs};
pub use counters::Counters;
pub use crowd::Crowd;
pub use dig::Tool;
pub use egress::egress_programs;
pub use mounted::Mounted;
pub use operator::{Operator, shown};
pub use real::{Real, Software};
pub use resources::{allocated, raise_file_limit};
pub use site::{
    B1, B1_V6, B2, B2_V6, B3, B3_V6, Everything, NAMES, Site, configuration, configuration_with, listeners,
    servers, tables, wait_until_reachable,
};
pub use steps::{Step, Tracer};
pub use stream::{Asked, Stream};
pub use tcp::{TcpAsker, framed};
pub use wire::{Wire, mac};
pub use zone::{long_name, zone_file};

const POLL: Duration = Duration::from_millis(10);

/// Waits for something to be there; panics when it is not within `limit`.
pub fn wait_for<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < limit, "waited {limit:?} in vain for {what}");
        sleep(POLL);
    }
}

/// Waits until something holds; panics when it does not within `limit`.
pub fn wait_until(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    wait_for(what, limit, || holds().then_some(()));
}
