//! The fast path in the kernel.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use aya::{Ebpf, maps::Map};
use dproxy_common::{
    abi::{BackendLive, Cursor, NatSettings, NextHop, Settings, Slot},
    explain::Explain,
};

use super::{
    Attachment, CounterId, Counters, Datapath, DatapathError,
    ask::{self, Run},
    attach::{self, Place},
    bpf,
    counters::CounterMaps,
    egress,
    grace::GracePeriod,
    load::{self, incomplete},
    maps::Maps,
    packet_log::PacketLog,
    pins::Pins,
    table::Table,
    verify::verify,
};
use crate::{
    config::{PortRange, XdpMode},
    control::{Capacity, Snapshot, SnapshotNames},
};

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

/// Why there is no fast path.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// This process cannot have one on this host, whatever the configuration says: it has no right to use
    /// BPF, or there is no BPF file system, or the kernel is too old.
    #[error(transparent)]
    Impossible(DatapathError),
    /// Something else is wrong.
    #[error(transparent)]
    Failed(#[from] DatapathError),
}

/// For whom it makes no difference.
impl From<LoadError> for DatapathError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Impossible(error) | LoadError::Failed(error) => error,
        }
    }
}

impl LoadError {
    pub(super) fn impossible(text: impl Into<String>) -> Self {
        Self::Impossible(DatapathError(text.into()))
    }
}

/// The loaded program and its maps. When it is dropped, the program is detached; when the process is
/// killed, it goes on.
#[derive(Debug)]
pub struct Kernel {
    // Fields are dropped in this order: first of all, packets stop coming.
    places: Vec<Place>,
    packet_log: Option<PacketLog>,
    pins: Pins,
    mode: XdpMode,
    pub(super) maps: Maps,
    slots: Table<Slot>,
    pub(super) counters: CounterMaps,
    pub(super) grace: GracePeriod,
    capacity: Capacity,
    pub(super) settings: Settings,
    egress: Result<(), String>,
    pub(super) ebpf: Ebpf,
}

impl Kernel {
    /// Loads the program and claims the interfaces. No packet comes to it before [`Datapath::attach`].
    pub fn load(options: &KernelOptions) -> Result<Self, LoadError> {
        // First of all what is most often missing, and soonest found out: rights, a BPF file system, the
        // interfaces.
        let grace = GracePeriod::new()?;
        let pins = Pins::open(&options.bpffs)?;
        let places = options
            .interfaces
            .iter()
            .map(|name| Place::claim(name, &pins))
            .collect::<Result<_, DatapathError>>()?;
        let (mut ebpf, settings) = load::load(options)?;
        let egress = egress::load(&mut ebpf);
        let packet_log = options.log_packets.then(|| PacketLog::start(&mut ebpf)).transpose()?;
        let processors = aya::util::nr_cpus()
            .map_err(|(file, error)| DatapathError(format!("cannot read {file}: {error}; mount /sys")))?;
        seed_cursors(&ebpf, processors)?;
        let capacity = options.capacity;
        let slots = Table::map(map(&ebpf, "SLOTS")?, 1 << capacity.slot_bits)
            .map_err(|error| DatapathError(format!("cannot map the slots into memory: {error}")))?;
        Ok(Self {
            places,
            packet_log,
            pins,
            mode: options.mode,
            maps: Maps::open(&capacity, |name| map(&ebpf, name))?,
            slots,
            counters: CounterMaps::open(processors, |name| own(map(&ebpf, name)?))?,
            grace,
            capacity,
            settings,
            egress,
            ebpf,
        })
    }

    /// Runs the program on a frame as if the interface of this index had received it, or the loopback
    /// interface, if it is 0; `repeat` times, each on what the one before has made of the frame. Unlike
    /// [`Datapath::explain`], this counts, and takes slots.
    pub fn run(&self, frame: &[u8], interface: u32, repeat: u32) -> Result<Run, DatapathError> {
        ask::run(load::program(&self.ebpf)?, frame, interface, repeat)
    }

    /// Runs the egress program on a frame that leaves.
    pub fn run_egress(&self, frame: &[u8]) -> Result<Run, DatapathError> {
        ask::run_egress(egress::program(&self.ebpf)?, frame)
    }

    /// How queries in flight are numbered.
    pub fn nat(&self) -> NatSettings {
        self.settings.nat
    }

    /// Reads a slot of the ring; packets may be changing it meanwhile.
    pub fn slot(&self, index: u32) -> Option<Slot> {
        self.slots.read(index)
    }

    /// Instructions that the verifier has looked at to accept each program, if the kernel tells (since
    /// Linux 5.16).
    pub fn verified_instructions(&self) -> [(&'static str, Option<u32>); 2] {
        let xdp = load::program(&self.ebpf).ok().and_then(|program| program.info().ok());
        let egress = egress::program(&self.ebpf).ok().and_then(|program| program.info().ok());
        [(super::PROGRAM, xdp), (egress::PROGRAM, egress)]
            .map(|(name, info)| (name, info.and_then(|info| info.verified_instruction_count())))
    }
}

impl Datapath for Kernel {
    fn capacity(&self) -> Capacity {
        self.capacity
    }

    fn introduce(&mut self, names: &SnapshotNames) -> Result<(), DatapathError> {
        self.maps.introduce(names)
    }

    fn publish(&mut self, snapshot: &Snapshot) -> Result<(), DatapathError> {
        let (number, active) = (snapshot.generation.number, self.maps.active());
        if number != active + 1 {
            return Err(DatapathError(format!(
                "generation {number} cannot follow generation {active}, which is in force; restart dproxy"
            )));
        }
        self.maps.introduce(&snapshot.names)?;
        self.maps.fill(snapshot)?;
        verify(&snapshot.names, number, |frame| self.explain(frame, number))?;
        self.counters.use_ids(&snapshot.names);
        if let Some(log) = &self.packet_log {
            log.rename(&snapshot.names);
        }
        self.maps.activate(number);
        self.grace.wait();
        Ok(())
    }

    fn set_next_hop(&mut self, index: u32, hop: &NextHop) -> Result<(), DatapathError> {
        self.maps.set_next_hop(index, hop)
    }

    fn set_live(&mut self, backend: u16, live: BackendLive) -> Result<(), DatapathError> {
        self.maps.set_live(backend, live)
    }

    fn egress(&self) -> Result<(), String> {
        self.egress.clone()
    }

    fn explain(&self, frame: &[u8], generation: u64) -> Result<Explain, DatapathError> {
        let question = Explain::question(self.settings.explain_key, generation);
        ask::explain(load::program(&self.ebpf)?, question, frame)
    }

    fn counters(&self) -> Result<Counters, DatapathError> {
        self.counters.read()
    }

    fn clear(&mut self, counter: CounterId) -> Result<(), DatapathError> {
        self.counters.clear(counter)
    }

    fn attach(&mut self) -> Result<(), DatapathError> {
        let program = load::program(&self.ebpf)?;
        let program = program.fd().map_err(|_| incomplete())?.as_fd();
        let egress = match self.egress {
            Ok(()) => Some(egress::program(&self.ebpf)?.fd().map_err(|_| incomplete())?.as_fd()),
            Err(_) => None,
        };
        attach::attach(&mut self.places, program, egress, self.mode, &self.pins)
    }

    fn attachments(&self) -> Vec<Attachment> {
        self.places.iter().map(Place::attachment).collect()
    }
}

/// A map of the object.
pub(super) fn map<'a>(ebpf: &'a Ebpf, name: &str) -> Result<BorrowedFd<'a>, DatapathError> {
    match ebpf.map(name) {
        Some(Map::Array(map) | Map::PerCpuArray(map)) => Ok(map.fd().as_fd()),
        _ => Err(incomplete()),
    }
}

fn own(fd: BorrowedFd<'_>) -> Result<OwnedFd, DatapathError> {
    fd.try_clone_to_owned()
        .map_err(|error| DatapathError(format!("cannot duplicate a file descriptor: {error}")))
}

/// Gives every processor's generator a state of its own, which must not be 0.
fn seed_cursors(ebpf: &Ebpf, processors: usize) -> Result<(), DatapathError> {
    let mut cursors = Vec::with_capacity(processors);
    for _ in 0..processors {
        let [random] = load::random()?;
        cursors.push(Cursor { random: random | 1, next: 0 });
    }
    // SAFETY: an element is a `Cursor` for each processor.
    unsafe { bpf::update(map(ebpf, "CURSORS")?, 0, &cursors) }
        .map_err(|error| DatapathError(format!("cannot seed the random numbers: {error}")))
}
