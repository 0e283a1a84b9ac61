//! A small internet of network namespaces, with DNS servers in it, in which dproxy can be tried and
//! tested on real interfaces: see [`Topology`] for the map, [`Server`] for who answers, [`Question`]
//! for who asks, and [`Balancer`] for dproxy itself.
//!
//! Everything here needs root, and leaves nothing behind: each value cleans up when it is dropped, and
//! what a killed process left is removed when its successor starts.

use std::io::{self, Write};
use std::thread;

mod balancer;
mod client;
mod instance;
mod interrupt;
mod netns;
mod servers;
mod topology;
mod xdp;

pub use crate::balancer::{Balancer, default_binary, require_binary};
pub use crate::client::{AskError, Question, Reply};
pub use crate::instance::Instance;
pub use crate::interrupt::Interrupt;
pub use crate::netns::{Namespace, NamespaceHandle, run};
pub use crate::servers::{
    DynamicZone, Fault, HttpUpdate, PlainZone, Queries, Records, Server, SyntheticZone, Zone,
};
pub use crate::topology::{Builder, HOST_INTERFACE, Host, LISTENERS, Topology};
pub use crate::xdp::{XdpPass, XdpReflector};

pub use hickory_proto as dns;

/// Whether this process may do what the lab does: create namespaces and load programs.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// For tests that need root: `if skip_without_root() { return; }`.
///
/// Prints to the terminal itself, since the test harness hides what a passing test prints.
pub fn skip_without_root() -> bool {
    if !is_root() {
        let thread = thread::current();
        let test = thread.name().unwrap_or("a test");
        let line = format!("skipped: {test}: needs root, to create network namespaces\n");
        let _ = io::stderr().write_all(line.as_bytes());
    }
    !is_root()
}
