//! The benchmark's own programs around a balancer, loaded once for each contestant.

use std::io;
use std::ops::Sub;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use aya::maps::{Array, Map, MapData, PerCpuArray};
use aya::programs::{Xdp, XdpMode};
use aya::{Ebpf, Pod};
use dproxy_lab::Namespace;
use serde::Serialize;

use super::frame::{Counts, Crossing, Settings, TIMED_CLIENTS, Template};
use crate::measure::Histogram;

/// The benchmark's own programs.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/programs"));

// SAFETY: integers without padding.
unsafe impl Pod for Settings {}
// SAFETY: as above.
unsafe impl Pod for Template {}
// SAFETY: as above.
unsafe impl Pod for Counts {}

// SAFETY: as above.
unsafe impl Pod for Crossing {}

/// The programs, detached on drop.
pub struct Programs {
    ebpf: Ebpf,
    /// By itself, since it changes while the others are looked at.
    settings: Mutex<Array<MapData, Settings>>,
}

/// Sums over all processors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// Queries sent.
    pub sent: u64,
    /// Right answers.
    pub right: u64,
    /// Answers with another ID than that of their client and name.
    pub wrong_id: u64,
    /// Answers without the backend's mark.
    pub wrong_flags: u64,
    /// Answers to another question.
    pub wrong_question: u64,
    /// Answers whose checksum is not right.
    pub wrong_checksum: u64,
    /// Answers that nobody waited for; seen only where queries are timed.
    pub unexpected: u64,
}

impl Seen {
    /// Answers that are not what the backend makes of the query.
    pub fn wrong(&self) -> u64 {
        self.wrong_id + self.wrong_flags + self.wrong_question + self.wrong_checksum
    }

    /// Queries without an answer.
    pub fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.right + self.wrong() + self.unexpected)
    }
}

impl Sub for Seen {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            sent: self.sent - earlier.sent,
            right: self.right - earlier.right,
            wrong_id: self.wrong_id - earlier.wrong_id,
            wrong_flags: self.wrong_flags - earlier.wrong_flags,
            wrong_question: self.wrong_question - earlier.wrong_question,
            wrong_checksum: self.wrong_checksum - earlier.wrong_checksum,
            unexpected: self.unexpected - earlier.unexpected,
        }
    }
}

impl Programs {
    /// Loads them, and tells them what a query looks like.
    pub fn load(template: &Template) -> Result<Self> {
        let mut ebpf = Ebpf::load(OBJECT).context("load the benchmark's programs")?;
        let settings = Array::try_from(ebpf.take_map("SETTINGS").context("no map SETTINGS")?)?;
        let mut programs = Self { ebpf, settings: Mutex::new(settings) };
        programs.array::<Template>("QUERY")?.set(0, template, 0)?;
        programs.xdp("generate")?.load().context("load the generator")?;
        Ok(programs)
    }

    /// Attaches a program to an interface, in native mode.
    pub fn attach(&mut self, program: &str, namespace: &Namespace, interface: &str) -> Result<()> {
        let xdp = self.xdp(program)?;
        let attached = namespace.enter(|| {
            xdp.load()?;
            xdp.attach(interface, XdpMode::Driver)
        })?;
        attached.with_context(|| format!("attach {program} to {interface} in {}", namespace.name()))?;
        Ok(())
    }

    /// Detaches what was attached of a program.
    pub fn detach(&mut self, program: &str) -> Result<()> {
        Ok(self.xdp(program)?.unload()?)
    }

    /// Tells the programs what to do.
    pub fn set(&self, settings: Settings) -> Result<()> {
        let mut array = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(array.set(0, settings, 0)?)
    }

    /// Tells the bare balancer where frames go, to the backend and back.
    pub fn set_crossings(&mut self, crossings: [Crossing; 2]) -> Result<()> {
        let mut array = self.array("CROSSINGS")?;
        for (way, crossing) in (0..).zip(crossings) {
            array.set(way, crossing, 0)?;
        }
        Ok(())
    }

    /// What was seen so far.
    pub fn seen(&self) -> Result<Seen> {
        let counts = PerCpuArray::<_, Counts>::try_from(self.map("SEEN")?)?.get(&0, 0)?;
        Ok(counts.iter().fold(Seen::default(), |sum, counts| Seen {
            sent: sum.sent + counts.sent,
            right: sum.right + counts.right,
            wrong_id: sum.wrong_id + counts.wrong_id,
            wrong_flags: sum.wrong_flags + counts.wrong_flags,
            wrong_question: sum.wrong_question + counts.wrong_question,
            wrong_checksum: sum.wrong_checksum + counts.wrong_checksum,
            unexpected: sum.unexpected + counts.unexpected,
        }))
    }

    /// How long timed queries took.
    pub fn latency(&self) -> Result<Histogram> {
        let array = PerCpuArray::<_, u64>::try_from(self.map("LATENCY")?)?;
        let bucket = |bucket: u32| -> Result<u64> { Ok(array.get(&bucket, 0)?.iter().sum()) };
        Histogram::of_counts((0..array.len()).map(bucket).collect::<Result<_>>()?)
    }

    /// When queries were sent: shared with the receiver.
    pub fn clock(&self) -> Result<Clock> {
        let map = Array::<_, u64>::try_from(self.map("SENT_AT")?)?;
        ensure!(map.len() == TIMED_CLIENTS, "SENT_AT is for {} clients", map.len());
        let Map::Array(data) = self.map("SENT_AT")? else { bail!("SENT_AT is no array") };
        Clock::map(data)
    }

    /// The generator, to be run by several threads at a time.
    pub fn generator(&self) -> Result<&Xdp> {
        Ok(self.ebpf.program("generate").context("no generator")?.try_into()?)
    }

    fn xdp(&mut self, name: &str) -> Result<&mut Xdp> {
        Ok(self.ebpf.program_mut(name).with_context(|| format!("no program {name}"))?.try_into()?)
    }

    fn map(&self, name: &str) -> Result<&Map> {
        self.ebpf.map(name).with_context(|| format!("no map {name}"))
    }

    fn array<T: Pod>(&mut self, name: &str) -> Result<Array<&mut MapData, T>> {
        Ok(Array::try_from(self.ebpf.map_mut(name).with_context(|| format!("no map {name}"))?)?)
    }
}

/// When each client's query was sent, on CLOCK_MONOTONIC, nanoseconds; 0: none is under way. Shared with the receiver.
#[derive(Debug)]
pub struct Clock {
    times: NonNull<AtomicU64>,
}

// SAFETY: atomics, which live as long as this.
unsafe impl Send for Clock {}
// SAFETY: as above.
unsafe impl Sync for Clock {}

const SIZE: usize = TIMED_CLIENTS as usize * size_of::<AtomicU64>();

impl Clock {
    fn map(data: &MapData) -> Result<Self> {
        let fd = data.fd().as_fd().as_raw_fd();
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping, of an array that is as large and was made to be mapped.
        let address = unsafe { libc::mmap(std::ptr::null_mut(), SIZE, access, libc::MAP_SHARED, fd, 0) };
        ensure!(address != libc::MAP_FAILED, "map SENT_AT: {}", io::Error::last_os_error());
        Ok(Self { times: NonNull::new(address.cast()).context("map SENT_AT: nowhere")? })
    }

    /// Of a client.
    pub fn of(&self, client: u32) -> &AtomicU64 {
        let place = (client % TIMED_CLIENTS) as usize;
        // SAFETY: inside of the mapping.
        unsafe { self.times.add(place).as_ref() }
    }

    /// Nobody waits any more.
    pub fn clear(&self) {
        (0..TIMED_CLIENTS).for_each(|client| self.of(client).store(0, Ordering::Relaxed));
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        // SAFETY: our own mapping, which nobody can use any more.
        unsafe { libc::munmap(self.times.as_ptr().cast(), SIZE) };
    }
}
