//! How the fast path is loaded.

use std::path::PathBuf;

use crate::config::{PortRange, XdpMode};
use crate::control::Capacity;

/// What is fixed while the program is loaded.
#[derive(Clone, Debug)]
pub struct KernelOptions {
    /// Sizes of the tables.
    pub capacity: Capacity,
    /// Source ports of forwarded queries.
    pub nat_ports: PortRange,
    /// Interfaces to serve.
    pub interfaces: Vec<String>,
    /// How to attach to them.
    pub mode: XdpMode,
    /// Folder for pins, in a BPF file system.
    pub bpffs: PathBuf,
    /// Log a line about each packet, up to a rate.
    pub log_packets: bool,
}
