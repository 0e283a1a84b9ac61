//! A loaded program, and its maps.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dproxy_common::{
    abi::{Processor, Settings, Slot},
    explain::Explain,
    tables::Half,
};

use super::{
    DatapathError, Inheritance, KernelOptions, LoadError, ask, bpf,
    counters::CounterMaps,
    flights::Predecessor,
    load::{self, Programs, incomplete},
    maps::Maps,
    packet_log::PacketLog,
    pins::Pins,
    table::Table,
    verify::verify,
};
use crate::control::{Capacity, Held, Patch};

/// A loaded program and its maps. Dropped, it goes on as long as it is attached.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) maps: Arc<Maps>,
    pub(super) slots: Table<Slot>,
    pub(super) counters: CounterMaps,
    pub(super) capacity: Capacity,
    pub(super) settings: Settings,
    pub(super) programs: Programs,
    packet_log: Option<PacketLog>,
    /// Does it take the replies to its predecessor's queries?
    pub(super) shares_flights: bool,
    holds: Holds,
}

/// Who reads which half.
#[derive(Debug, Default)]
struct Holds([Arc<()>; 2]);

impl Loaded {
    pub(super) fn load(
        options: &KernelOptions,
        predecessor: Option<&Predecessor>,
    ) -> Result<Self, LoadError> {
        let processors = processors()
            .map_err(|error| DatapathError(format!("cannot read {POSSIBLE}: {error}; mount /sys")))?;
        let shared = predecessor.filter(|predecessor| predecessor.fits(options, processors));
        let (programs, settings) = load::load(options, shared, processors)?;
        let packet_log = options.log_packets.then(|| PacketLog::start(programs.xdp.as_fd())).transpose()?;
        if shared.is_none() {
            seed(programs.map("PROCESSORS")?, processors)?;
        }
        let capacity = options.capacity;
        let slots = Table::map(programs.map("SLOTS")?, 1 << capacity.slot_bits)
            .map_err(|error| DatapathError(format!("cannot map the slots into memory: {error}")))?;
        let loaded = Self {
            maps: Arc::new(Maps::open(&capacity, |name| programs.map(name))?),
            slots,
            counters: CounterMaps::open(processors, &capacity, |name| programs.map(name))?,
            capacity,
            settings,
            packet_log,
            shares_flights: shared.is_some(),
            holds: Holds::default(),
            programs,
        };
        Ok(loaded)
    }

    /// Replies that are not known here may be known to a predecessor whose slots are not ours: also when this process
    /// has ended, so its map is pinned.
    pub(super) fn ask_before_passing(&self, predecessor: &Predecessor, pins: &Pins, interface: u32) {
        let set = |map| {
            bpf::set_program(map, predecessor.program.as_fd())
                .map_err(|error| DatapathError(error.to_string()))?;
            pins.pin_predecessor(map, interface)
        };
        if let Err(error) = self.predecessor().and_then(set) {
            tracing::warn!("the replies under way are lost: {error}");
        }
    }

    /// Replies to the predecessor's queries are late by now. If nobody else needs it, it is gone.
    pub(super) fn forget_predecessor(&self) {
        if let Ok(map) = self.predecessor() {
            // There may be none.
            let _ = bpf::remove_program(map);
        }
    }

    fn predecessor(&self) -> Result<BorrowedFd<'_>, DatapathError> {
        self.programs.map("PREDECESSOR")
    }

    /// The half that is not in force.
    pub(super) fn idle(&self) -> Half {
        match self.maps.active() {
            // The first generation goes to the second half.
            0 => Half::of_generation(1),
            number => Half::of_generation(number).other(),
        }
    }

    /// The half in force, to be read.
    pub(super) fn held(&self) -> Option<Held> {
        let number = self.maps.active();
        let half = Half::of_generation(number);
        let hold = Arc::clone(&self.holds.0[half.index() as usize]);
        (number != 0).then(|| Held::new(Arc::clone(&self.maps) as _, half, hold))
    }

    /// Writes a patch into the idle half.
    pub(super) fn fill(&mut self, patch: &Patch) -> Result<(), DatapathError> {
        let half = self.idle();
        self.wait_for_readers(half)?;
        // SAFETY: nobody reads it any more, and nobody begins to: `held` is of the half in force. Whoever writes has
        // `self` to itself.
        unsafe { self.maps.fill(half, patch) }
    }

    /// Makes the idle half what it was before a patch that was given up.
    pub(super) fn restore(&mut self, patch: &Patch) {
        // SAFETY: nobody has begun to read it since it was filled, see there.
        unsafe { self.maps.restore(self.idle(), patch) };
    }

    /// Waits until nobody in this process reads a half.
    pub(super) fn wait_for_readers(&self, half: Half) -> Result<(), DatapathError> {
        let end = Instant::now() + READERS;
        while Arc::strong_count(&self.holds.0[half.index() as usize]) > 1 {
            if Instant::now() > end {
                return Err(DatapathError(
                    "a worker of the slow path still reads the generation before; try again".to_owned(),
                ));
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }

    /// Writes a patch into the idle half, and asks the program about it.
    pub(super) fn prepare(&mut self, patch: &Patch) -> Result<(), DatapathError> {
        let half = self.idle();
        if Half::of_generation(patch.generation.number) != half {
            return Err(DatapathError(
                "this generation belongs into the half in force; restart dproxy".to_owned(),
            ));
        }
        // Before anything is written: if that takes too long, there is nothing to be restored.
        self.wait_for_readers(half)?;
        self.maps.introduce(&patch.names)?;
        let filled = self
            .fill(patch)
            .and_then(|()| verify(patch, |frame| self.explain(frame, patch.generation.number)));
        filled.inspect_err(|_| self.restore(patch))?;
        self.counters.use_ids(patch);
        if let Some(log) = &self.packet_log {
            log.rename(patch);
        }
        Ok(())
    }

    pub(super) fn explain(&self, frame: &[u8], number: u64) -> Result<Explain, DatapathError> {
        let question = Explain::question(self.settings.explain_key, number);
        ask::explain(self.programs.xdp.as_fd(), question, frame)
    }

    /// What it has taken over.
    pub(super) fn inherited(&self) -> Inheritance {
        let mut inheritance = Inheritance::default();
        if !self.shares_flights {
            return inheritance;
        }
        for (id, member, live) in self.maps.known_backends() {
            inheritance.backends.insert(id, member);
            if live.is_usable() {
                inheritance.live.insert(id, live);
            }
            if let Some((index, hop)) =
                live.next_hop().and_then(|at| Some((at, self.maps.known_next_hop(at)?)))
            {
                inheritance.next_hops.insert(index, hop);
            }
        }
        inheritance.listeners.extend(self.maps.known_listeners());
        inheritance
    }
}

/// How long readers of a half may take. They read it for a batch of queries.
const READERS: Duration = Duration::from_secs(2);

pub(super) fn own(fd: BorrowedFd<'_>) -> Result<OwnedFd, DatapathError> {
    fd.try_clone_to_owned()
        .map_err(|error| DatapathError(format!("cannot duplicate a file descriptor: {error}")))
}

/// The numbers of the processors that this machine may ever have, as ranges.
const POSSIBLE: &str = "/sys/devices/system/cpu/possible";

/// One more than the highest number that a processor may have: numbers may have gaps.
fn processors() -> io::Result<u32> {
    let ranges = fs::read_to_string(POSSIBLE)?;
    let last = ranges.trim_end().rsplit(['-', ',']).next().and_then(|last| last.parse::<u32>().ok());
    last.map(|last| last + 1).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Gives every processor's generator a state of its own, which must not be 0.
fn seed(map: BorrowedFd<'_>, processors: u32) -> Result<(), DatapathError> {
    let table = Table::map(map, processors)
        .map_err(|error| DatapathError(format!("cannot seed the random numbers: {error}")))?;
    for number in 0..processors {
        let [random] = load::random()?;
        // SAFETY: nobody else knows the table yet.
        let written = unsafe { table.write(number, &[Processor::new(random | 1)]) };
        written.ok_or_else(incomplete)?;
    }
    Ok(())
}
