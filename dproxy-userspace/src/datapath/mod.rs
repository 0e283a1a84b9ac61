//! The fast path as the control plane sees it: something that takes generations and counts packets.
//!
//! [`Kernel`] is the real one, and nobody else imports aya or aya-obj; [`Absent`] stands where there is none.

mod absent;
mod ask;
mod attach;
mod bpf;
mod counters;
mod egress;
mod flights;
mod grace;
mod interface;
mod kernel;
mod left;
mod load;
mod loaded;
mod lock;
mod maps;
mod object;
mod objects;
mod options;
mod packet_log;
mod pins;
mod question;
mod table;
mod verify;

pub use absent::Absent;
use pins::Pins;

pub use ask::Run;
pub use kernel::{Kernel, LoadedProgram};
pub use load::LoadError;
pub use options::KernelOptions;
pub use question::{dns_message, query_frame};

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use dproxy_common::{
    abi::{BackendCounters, BackendLive, Latencies, ListenerCounters, NextHop},
    explain::Explain,
    tables::Half,
};

use crate::{
    config::XdpMode,
    control::{Capacity, Held, MemberKey, Patch, SnapshotNames},
};

/// The XDP program's name.
const PROGRAM: &str = "dproxy";

const NEEDS_ROOT: &str = "dproxy may not load programs into the kernel; run it as root, or give it the \
                          capabilities CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON";

/// Removes what a dproxy that has ended left in this network namespace, with its pins in `bpffs`; says from which
/// interfaces. If a dproxy serves one of them, nothing is done.
pub fn detach(bpffs: &Path) -> Result<Vec<String>, DatapathError> {
    match Pins::existing(bpffs)? {
        Some(pins) => left::remove_all(&pins.removed_at_end()),
        None => Ok(Vec::new()),
    }
}

/// The fast path.
pub trait Datapath: Send {
    /// Why there is no fast path, if there is none: then nothing is attached, and nothing counted.
    fn absence(&self) -> Option<&str> {
        None
    }

    /// XDP programs that are not its own and see packets before the slow path does, if there is no fast path:
    /// what to do about each.
    fn intruders(&self) -> Vec<String> {
        Vec::new()
    }

    /// How much its tables hold.
    fn capacity(&self) -> Capacity;

    /// Writes backends and listeners under their ids, so that [`Datapath::set_live`] can say how to reach a
    /// new backend before the first packet is sent there. What is there already stays as it is, live word
    /// included; a new backend begins unresolved.
    fn introduce(&mut self, names: &SnapshotNames) -> Result<(), DatapathError>;

    /// The half of the tables that a generation to come has to name in its number.
    fn idle(&self) -> Half;

    /// The generation in force, for as long as somebody wants to read it; `None` before the first.
    fn held(&self) -> Option<Held>;

    /// Waits until no packet can see the generation before the one in force, and makes both halves of the tables
    /// equal.
    fn settle(&mut self) -> Result<(), DatapathError>;

    /// Makes all ready for a generation: [settles](Self::settle), introduces whom it names, writes it into the idle
    /// half and checks it. Nobody sees it before [`Datapath::activate`]. On an error, what is in force has not changed.
    fn prepare(&mut self, patch: Patch) -> Result<(), DatapathError>;

    /// Puts the generation in force that was prepared. This cannot fail; without one, nothing happens.
    fn activate(&mut self);

    /// Drops the generation that was prepared.
    fn abandon(&mut self);

    /// Prepares a generation and puts it in force.
    fn publish(&mut self, patch: Patch) -> Result<(), DatapathError> {
        self.prepare(patch)?;
        self.activate();
        Ok(())
    }

    /// Takes larger tables into use, with a whole generation in them that decides as the one in force does.
    fn enlarge(&mut self, capacity: Capacity, patch: Patch) -> Result<(), DatapathError>;

    /// Whom the queries under way concern that a program before this one has forwarded, and by which next hops.
    fn inherited(&self) -> Inheritance {
        Inheritance::default()
    }

    /// Lets go of what is needed for a while only; to be called every few seconds.
    fn tick(&mut self) {}

    /// From now on, the end of the process leaves the fast path as it is.
    fn stay(&mut self) {}

    /// Writes a next hop to which no live word refers.
    fn set_next_hop(&mut self, index: u32, hop: &NextHop) -> Result<(), DatapathError>;

    /// Sets a backend's live word, at once and whole.
    fn set_live(&mut self, backend: u16, live: BackendLive) -> Result<(), DatapathError>;

    /// Are replies of backends on this host made to come from their listener? If not, why: the text completes
    /// "it is on this host, and …".
    fn egress(&self) -> Result<(), String>;

    /// Asks the loaded program what it would do with a frame, in generation `generation` or, if 0, in the
    /// one in force. Changes nothing.
    fn explain(&self, frame: &[u8], generation: u64) -> Result<Explain, DatapathError>;

    /// Reads the counters of all ids that have been in use.
    fn counters(&self) -> Result<Counters, DatapathError>;

    /// Reads those of the listeners alone: in no time, however many routes there are.
    fn listener_counters(&self) -> Result<Vec<ListenerCounters>, DatapathError>;

    /// Reads those of the backends alone, by id.
    fn backend_counters(&self) -> Result<Vec<BackendCounters>, DatapathError>;

    /// Reads how long a backend took to reply, by id.
    fn latencies(&self, backend: u16) -> Latencies;

    /// Reads how many packets came in.
    fn received(&self) -> Result<u64, DatapathError>;

    /// What keeps packets from getting to it: a sentence each.
    fn faults(&self) -> Vec<String> {
        Vec::new()
    }

    /// Sets counters to zero, because their id is about to mean somebody else.
    fn clear(&mut self, counter: CounterId) -> Result<(), DatapathError>;

    /// Lets packets in, once there is a generation in force: until then, the program of a killed process
    /// goes on where there is one.
    fn attach(&mut self) -> Result<(), DatapathError>;

    /// Where it is, or is to be, attached.
    fn attachments(&self) -> Vec<Attachment>;
}

/// What a program has taken over from the one before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inheritance {
    /// Backends by id.
    pub backends: BTreeMap<u16, MemberKey>,
    /// Listeners by id.
    pub listeners: BTreeMap<u16, SocketAddr>,
    /// Live words of backends, by id, as far as they lead somewhere.
    pub live: BTreeMap<u16, BackendLive>,
    /// The next hops that they refer to, by index.
    pub next_hops: BTreeMap<u32, NextHop>,
}

/// An interface of the fast path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Its name.
    pub interface: String,
    /// Its index.
    pub index: u32,
    /// Native or generic; auto as long as nothing is attached.
    pub mode: XdpMode,
    /// Why it is generic although auto was asked for.
    pub fallback: Option<String>,
}

/// A counter that belongs to an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CounterId {
    /// Of a listener.
    Listener(u16),
    /// Of a route.
    Route(u32),
    /// Of a pool.
    Pool(u16),
    /// Of a backend.
    Backend(u16),
}

/// All counters, added up over the processors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets that came in.
    pub received: u64,
    /// Packets by reason, in the order of `Reason::ALL`.
    pub reasons: Vec<u64>,
    /// Slots taken while their query still waited.
    pub slots_overwritten: u64,
    /// By listener id.
    pub listeners: Vec<ListenerCounters>,
    /// Queries by route id.
    pub routes: Vec<u64>,
    /// Queries by pool id.
    pub pools: Vec<u64>,
    /// By backend id.
    pub backends: Vec<BackendCounters>,
    /// How long their replies took, of a sample, by backend id.
    pub latencies: Vec<Latencies>,
}

/// Why the fast path could not do what it was told. The text says what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DatapathError(pub String);

#[cfg(test)]
mod tests;
