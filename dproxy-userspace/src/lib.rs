//! The userspace half of dproxy.
//!
//! * [`config`]: what an operator may say.
//! * [`control`]: pure; configuration and the state of the network in, tables out.
//! * [`datapath`]: the loaded program and its maps. The only module that knows aya.
//! * [`health`]: whether backends do their work: checks, and what becomes of real queries.
//! * [`network`]: what the kernel's network stack says about routes, neighbours and interfaces.
//! * [`slow_path`]: the proxy in userspace, for what the fast path leaves.
//! * [`state`]: the state folder: the generations that a start or an operator can go back to.
//! * [`daemon`]: puts these together and takes edits.
//! * [`api`]: the daemon's HTTP interface and the client for it.
//! * [`import`]: another program's configuration, converted.
//! * [`cli`]: the command line.

pub mod api;
pub mod cli;
pub mod config;
pub mod control;
pub mod daemon;
mod datagrams;
pub mod datapath;
pub mod health;
pub mod import;
pub mod network;
mod random;
pub mod slow_path;
pub mod state;
mod time;
