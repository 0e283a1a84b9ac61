//! The fast path in the kernel.

use std::mem;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use dproxy_common::{
    abi::{BackendCounters, BackendLive, Latencies, ListenerCounters, NatSettings, NextHop, Slot},
    explain::Explain,
    tables::Half,
};

use super::{
    Attachment, CounterId, Counters, Datapath, DatapathError, Inheritance, KernelOptions, LoadError,
    ask::{self, Run},
    attach::{self, Place},
    egress,
    flights::Predecessor,
    grace::GracePeriod,
    load::Programs,
    loaded::Loaded,
    objects,
    pins::Pins,
};
use crate::control::{Capacity, Held, Patch, SnapshotNames};

/// The loaded program and its maps. When it is dropped, the program is detached, unless it is to
/// [stay](Datapath::stay); when the process is killed, it goes on.
#[derive(Debug)]
pub struct Kernel {
    // Fields are dropped in this order: first of all, packets stop coming.
    places: Vec<Place>,
    pins: Pins,
    options: KernelOptions,
    pub(super) loaded: Loaded,
    grace: Arc<GracePeriod>,
    /// What was put in force last, until no packet can see what was before.
    flipped: Option<Flip>,
    prepared: Option<Patch>,
    /// Since when replies of a predecessor are handed to it.
    pub(super) handing_back: Option<Instant>,
    /// Does the end of the process leave all as it is?
    stays: bool,
}

/// A program that the kernel has accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct LoadedProgram {
    /// Its name.
    pub name: &'static str,
    /// The kernel's number for it.
    pub id: u32,
    /// Instructions that the verifier has looked at, if the kernel tells (since Linux 5.16).
    pub verified_instructions: Option<u32>,
    /// Octets of machine code; 0 if it is interpreted.
    pub machine_code: u32,
}

/// A generation has been put in force.
#[derive(Debug)]
struct Flip {
    patch: Patch,
    /// Ends when no packet can see the one before.
    grace: JoinHandle<()>,
}

/// How long replies are handed to the predecessor: longer than the packet path takes any, see
/// `dproxy_common::reply::LATE`.
pub(super) const HANDING_BACK: Duration = Duration::from_secs(60);

impl Kernel {
    /// Loads the program and claims the interfaces. No packet comes to it before [`Datapath::attach`]; from then on
    /// it has the replies to the queries of the program there before.
    pub fn load(options: &KernelOptions) -> Result<Self, LoadError> {
        // First of all what is most often missing, and soonest found out: rights, a BPF file system, the
        // interfaces.
        let grace = GracePeriod::new()?;
        let pins = Pins::open(&options.bpffs)?;
        let places: Vec<Place> = options
            .interfaces
            .iter()
            .map(|name| Place::claim(name, &pins))
            .collect::<Result<_, DatapathError>>()?;
        let predecessor = predecessor(&places);
        let is_served = places.iter().any(|place| place.left_program().is_some());
        let loaded = Loaded::load(options, predecessor.as_ref())
            .map_err(|error| if is_served { error.while_served() } else { error })?;
        if let Some(stranger) = predecessor.as_ref().filter(|_| !loaded.shares_flights) {
            let first = places.first().map_or(0, |place| place.attachment().index);
            loaded.ask_before_passing(stranger, &pins, first);
        }
        Ok(Self {
            // One whose flights are shared may have had a stranger before it.
            handing_back: predecessor.map(|_| Instant::now()),
            stays: false,
            places,
            pins,
            options: options.clone(),
            loaded,
            grace: Arc::new(grace),
            flipped: None,
            prepared: None,
        })
    }

    /// Runs the program on a frame as if the interface of this index had received it, or the loopback
    /// interface, if it is 0; `repeat` times, each on what the one before has made of the frame. Unlike
    /// [`Datapath::explain`], this counts, and takes slots.
    pub fn run(&self, frame: &[u8], interface: u32, repeat: u32) -> Result<Run, DatapathError> {
        ask::run(self.loaded.programs.xdp.as_fd(), frame, interface, repeat)
    }

    /// Runs the egress program on a frame that leaves.
    pub fn run_egress(&self, frame: &[u8]) -> Result<Run, DatapathError> {
        let program = self.loaded.programs.egress.as_ref();
        let program = program.ok_or_else(|| DatapathError("this kernel does not take it".to_owned()))?;
        ask::run_egress(program.as_fd(), frame)
    }

    /// How queries in flight are numbered.
    pub fn nat(&self) -> NatSettings {
        self.loaded.settings.nat
    }

    /// Reads a slot of the ring; packets may be changing it meanwhile.
    pub fn slot(&self, index: u32) -> Option<Slot> {
        self.loaded.slots.read(index)
    }

    /// What the kernel says about each program that was loaded.
    pub fn programs(&self) -> Vec<LoadedProgram> {
        let Programs { xdp, egress, .. } = &self.loaded.programs;
        let programs = [(super::PROGRAM, Some(xdp)), (egress::PROGRAM, egress.as_ref())];
        let known = programs.into_iter().filter_map(|(name, program)| {
            let info = objects::program_info(program?.as_fd()).ok()?;
            Some(LoadedProgram {
                name,
                id: info.id,
                verified_instructions: (info.verified_instructions != 0)
                    .then_some(info.verified_instructions),
                machine_code: info.jited_length,
            })
        });
        known.collect()
    }

    /// The interfaces.
    fn indexes(&self) -> impl Iterator<Item = u32> {
        self.places.iter().map(|place| place.attachment().index)
    }

    /// Puts the generation of this number in force, and begins to wait for the packets that see another one.
    fn flip(&mut self, patch: Patch) {
        self.loaded.maps.activate(patch.generation.number);
        let grace = Arc::clone(&self.grace);
        self.flipped = Some(Flip { patch, grace: thread::spawn(move || grace.wait()) });
    }
}

/// The program that serves these interfaces now. Of several, as a kill in the middle of a start leaves them, one.
fn predecessor(places: &[Place]) -> Option<Predecessor> {
    let program = places.iter().find_map(Place::left_program)?;
    Predecessor::of_id(program)
        .inspect_err(|error| {
            tracing::warn!(
                "the replies to queries under way will be lost: program {program} cannot be looked into ({error}), \
                 which takes CAP_SYS_ADMIN"
            );
        })
        .ok()
}

impl Datapath for Kernel {
    fn capacity(&self) -> Capacity {
        self.loaded.capacity
    }

    fn introduce(&mut self, names: &SnapshotNames) -> Result<(), DatapathError> {
        self.loaded.maps.introduce(names)
    }

    fn idle(&self) -> Half {
        self.loaded.idle()
    }

    fn held(&self) -> Option<Held> {
        self.loaded.held()
    }

    fn settle(&mut self) -> Result<(), DatapathError> {
        let Some(Flip { patch, grace }) = self.flipped.take() else { return Ok(()) };
        // It does not panic; if it did, it would have ended as well.
        let _ = grace.join();
        let caught_up = self.loaded.fill(&patch);
        if caught_up.is_err() {
            self.flipped = Some(Flip { patch, grace: thread::spawn(|| ()) });
        }
        caught_up
    }

    fn prepare(&mut self, patch: Patch) -> Result<(), DatapathError> {
        self.settle()?;
        self.abandon();
        self.loaded.prepare(&patch)?;
        self.prepared = Some(patch);
        Ok(())
    }

    fn activate(&mut self) {
        if let Some(patch) = self.prepared.take() {
            self.flip(patch);
        }
    }

    fn abandon(&mut self) {
        if let Some(patch) = self.prepared.take() {
            self.loaded.restore(&patch);
        }
    }

    fn enlarge(&mut self, capacity: Capacity, patch: Patch) -> Result<(), DatapathError> {
        self.settle()?;
        let options = KernelOptions { capacity, ..self.options.clone() };
        let predecessor = Predecessor::of_this_process(&self.loaded)?;
        let mut larger = Loaded::load(&options, Some(&predecessor))?;
        if !larger.shares_flights {
            return Err(DatapathError(
                "larger tables would not know the queries in flight; restart dproxy".to_owned(),
            ));
        }
        larger.prepare(&patch)?;
        let smaller = mem::replace(&mut self.loaded, larger);
        self.flip(patch);
        if let Err(refused) = self.attach() {
            self.loaded = smaller;
            self.flipped = None;
            self.attach()?;
            return Err(refused);
        }
        self.options = options;
        // Only now has the last packet been counted there.
        self.grace.wait();
        self.loaded.counters.go_on(smaller.counters.so_far());
        Ok(())
    }

    fn inherited(&self) -> Inheritance {
        self.loaded.inherited()
    }

    fn tick(&mut self) {
        if self.handing_back.is_some_and(|since| since.elapsed() >= HANDING_BACK) {
            self.loaded.forget_predecessor();
            self.indexes().for_each(|index| self.pins.remove_predecessors(index));
            self.handing_back = None;
        }
    }

    fn stay(&mut self) {
        self.stays = true;
        self.places.iter_mut().for_each(Place::stay);
        self.pins.stay();
    }

    fn set_next_hop(&mut self, index: u32, hop: &NextHop) -> Result<(), DatapathError> {
        self.loaded.maps.set_next_hop(index, hop)
    }

    fn set_live(&mut self, backend: u16, live: BackendLive) -> Result<(), DatapathError> {
        self.loaded.maps.set_live(backend, live)
    }

    fn egress(&self) -> Result<(), String> {
        self.loaded.programs.egress_attachable.clone()
    }

    fn explain(&self, frame: &[u8], number: u64) -> Result<Explain, DatapathError> {
        self.loaded.explain(frame, number)
    }

    fn counters(&self) -> Result<Counters, DatapathError> {
        Ok(self.loaded.counters.read())
    }

    fn listener_counters(&self) -> Result<Vec<ListenerCounters>, DatapathError> {
        Ok(self.loaded.counters.read_listeners())
    }

    fn backend_counters(&self) -> Result<Vec<BackendCounters>, DatapathError> {
        Ok(self.loaded.counters.read_backends())
    }

    fn latencies(&self, backend: u16) -> Latencies {
        self.loaded.counters.read_latencies(backend)
    }

    fn received(&self) -> Result<u64, DatapathError> {
        Ok(self.loaded.counters.read_received())
    }

    fn faults(&self) -> Vec<String> {
        self.places.iter().filter_map(|place| place.fault()).collect()
    }

    fn clear(&mut self, counter: CounterId) -> Result<(), DatapathError> {
        self.loaded.counters.clear(counter)
    }

    fn attach(&mut self) -> Result<(), DatapathError> {
        let (loaded, active) = (&self.loaded, self.loaded.maps.active());
        let Programs { xdp, egress, egress_attachable, .. } = &loaded.programs;
        let egress = egress.as_ref().filter(|_| egress_attachable.is_ok());
        let programs = (xdp.as_fd(), egress.map(AsFd::as_fd));
        let hands_over = self.handing_back.is_some() && !loaded.shares_flights;
        // One interface gets its program after the other, which takes milliseconds. Meanwhile the reply to a query
        // that came by one may leave by another, whose program has to know it. Those that share flights do; else all
        // packets are the predecessor's until the last interface has its program.
        if hands_over && self.places.iter().any(|place| place.left_program().is_some()) {
            loaded.maps.activate(0);
        }
        let all_attached = || loaded.maps.activate(active);
        let attached =
            attach::attach(&mut self.places, programs, self.options.mode, &self.pins, all_attached);
        // If one has refused, those that have it serve.
        loaded.maps.activate(active);
        attached
    }

    fn attachments(&self) -> Vec<Attachment> {
        self.places.iter().map(Place::attachment).collect()
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        match self.places.iter().any(|place| place.left_program().is_some()) {
            _ if self.stays => {}
            // It was not attached: all stays with the process before.
            true => self.indexes().for_each(|index| self.pins.remove_own_predecessor(index)),
            false => self.indexes().for_each(|index| self.pins.remove_predecessors(index)),
        }
    }
}
