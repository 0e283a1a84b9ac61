//! No fast path: the slow path serves everything.

use std::mem;
use std::path::PathBuf;
use std::sync::Arc;

use dproxy_common::{
    abi::{BackendCounters, BackendLive, Latencies, ListenerCounters, NextHop},
    explain::Explain,
    reason::Reason,
    tables::Half,
};

use nix::net::if_::if_nameindex;

use super::{
    Attachment, CounterId, Counters, Datapath, DatapathError, interface::Interface, left, pins::Pins,
};
use crate::control::{Capacity, Held, Patch, Snapshot, SnapshotNames};

/// What stands where there is no fast path. It takes every generation, sees no packet and counts none.
#[derive(Clone, Debug)]
pub struct Absent {
    why: String,
    capacity: Capacity,
    bpffs: PathBuf,
    /// The generation in force, and the other half of the tables: equal to it, but for the next patch.
    in_force: Arc<Snapshot>,
    idle: Arc<Snapshot>,
    prepared: Option<Patch>,
    /// What the idle half has to get before the next patch.
    behind: Option<Patch>,
}

impl Absent {
    /// Why there is no fast path; how much tables would hold, no more than with one, so that a configuration
    /// is not valid here only; and where one before this had its pins.
    pub fn new(why: impl Into<String>, capacity: Capacity, bpffs: impl Into<PathBuf>) -> Self {
        Self {
            why: why.into(),
            capacity,
            bpffs: bpffs.into(),
            in_force: Arc::new(Snapshot::empty()),
            idle: Arc::new(Snapshot::empty()),
            prepared: None,
            behind: None,
        }
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
                "interface {name} carries XDP program {program}; if an earlier dproxy left it, it answers \
                 from old tables: `dproxy detach` removes it, and `ip link set {name} xdp off xdpgeneric off` any other"
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

    fn idle(&self) -> Half {
        match self.in_force.generation.number {
            0 => Half::of_generation(1),
            number => Half::of_generation(number).other(),
        }
    }

    fn held(&self) -> Option<Held> {
        let number = self.in_force.generation.number;
        let tables = Arc::clone(&self.in_force);
        (number != 0).then(|| Held::new(tables as _, Half::of_generation(number), Arc::default()))
    }

    fn settle(&mut self) -> Result<(), DatapathError> {
        if let Some(patch) = self.behind.take() {
            // Who still reads a half keeps it; then it is a copy that is written.
            Arc::make_mut(&mut self.idle).apply(&patch);
        }
        Ok(())
    }

    fn prepare(&mut self, patch: Patch) -> Result<(), DatapathError> {
        self.settle()?;
        self.prepared = Some(patch);
        Ok(())
    }

    fn activate(&mut self) {
        let Some(patch) = self.prepared.take() else { return };
        Arc::make_mut(&mut self.idle).apply(&patch);
        mem::swap(&mut self.in_force, &mut self.idle);
        self.behind = Some(patch);
    }

    fn abandon(&mut self) {
        self.prepared = None;
    }

    fn enlarge(&mut self, capacity: Capacity, patch: Patch) -> Result<(), DatapathError> {
        self.capacity = capacity;
        self.publish(patch)
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

    fn listener_counters(&self) -> Result<Vec<ListenerCounters>, DatapathError> {
        Ok(Vec::new())
    }

    fn backend_counters(&self) -> Result<Vec<BackendCounters>, DatapathError> {
        Ok(Vec::new())
    }

    fn latencies(&self, _backend: u16) -> Latencies {
        Latencies::default()
    }

    fn received(&self) -> Result<u64, DatapathError> {
        Ok(0)
    }

    fn clear(&mut self, _counter: CounterId) -> Result<(), DatapathError> {
        Ok(())
    }

    /// Lets the slow path have the packets: a killed process may have left a program, whose tables nobody
    /// keeps any more.
    fn attach(&mut self) -> Result<(), DatapathError> {
        if let Some(pins) = Pins::existing(&self.bpffs)? {
            left::remove_others(&[], &pins);
        }
        Ok(())
    }

    fn attachments(&self) -> Vec<Attachment> {
        Vec::new()
    }
}
