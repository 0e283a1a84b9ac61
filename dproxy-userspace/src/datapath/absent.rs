//! No fast path: the slow path serves everything.

use std::path::PathBuf;

use dproxy_common::{
    abi::{BackendLive, NextHop},
    explain::Explain,
    reason::Reason,
};

use nix::net::if_::if_nameindex;

use super::{
    Attachment, CounterId, Counters, Datapath, DatapathError, attach, interface::Interface, pins::Pins,
};
use crate::control::{Capacity, Snapshot, SnapshotNames};

/// What stands where there is no fast path. It takes every generation, sees no packet and counts none.
#[derive(Clone, Debug)]
pub struct Absent {
    why: String,
    capacity: Capacity,
    bpffs: PathBuf,
}

impl Absent {
    /// Why there is no fast path; how much tables would hold, no more than with one, so that a configuration
    /// is not valid here only; and where one before this had its pins.
    pub fn new(why: impl Into<String>, capacity: Capacity, bpffs: impl Into<PathBuf>) -> Self {
        Self { why: why.into(), capacity, bpffs: bpffs.into() }
    }
}

impl Datapath for Absent {
    fn absence(&self) -> Option<&str> {
        Some(&self.why)
    }

    fn intruders(&self) -> Vec<String> {
        let interfaces = if_nameindex().map_or_else(
            |_| Vec::new(),
            |all| all.iter().filter_map(|interface| Interface::numbered(interface.index())).collect(),
        );
        let intruder = |Interface { name, programs, .. }: Interface| {
            let (program, _) = programs.first()?;
            Some(format!(
                "interface {name} carries XDP program {program}; if a killed dproxy left it, it answers from old \
                 tables: `ip link set {name} xdp off xdpgeneric off` as root, or remove its pin"
            ))
        };
        interfaces.into_iter().filter_map(intruder).collect()
    }

    fn capacity(&self) -> Capacity {
        self.capacity
    }

    fn introduce(&mut self, _names: &SnapshotNames) -> Result<(), DatapathError> {
        Ok(())
    }

    fn publish(&mut self, _snapshot: &Snapshot) -> Result<(), DatapathError> {
        Ok(())
    }

    fn set_next_hop(&mut self, _index: u32, _hop: &NextHop) -> Result<(), DatapathError> {
        Ok(())
    }

    fn set_live(&mut self, _backend: u16, _live: BackendLive) -> Result<(), DatapathError> {
        Ok(())
    }

    fn egress(&self) -> Result<(), String> {
        Err("there is no fast path".to_owned())
    }

    fn explain(&self, _frame: &[u8], _generation: u64) -> Result<Explain, DatapathError> {
        Err(DatapathError(format!("there is no fast path to ask: {}", self.why)))
    }

    fn counters(&self) -> Result<Counters, DatapathError> {
        Ok(Counters { reasons: vec![0; Reason::COUNT], ..Counters::default() })
    }

    fn clear(&mut self, _counter: CounterId) -> Result<(), DatapathError> {
        Ok(())
    }

    /// Lets the slow path have the packets: a killed process may have left a program, whose tables nobody
    /// keeps any more.
    fn attach(&mut self) -> Result<(), DatapathError> {
        if let Some(pins) = Pins::existing(&self.bpffs)? {
            attach::remove_others(&[], &pins);
        }
        Ok(())
    }

    fn attachments(&self) -> Vec<Attachment> {
        Vec::new()
    }
}
