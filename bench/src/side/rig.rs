//! The chain with the hosts around one balancer: who asks, who answers, and what was seen.

use std::net::{IpAddr, SocketAddr};
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use dproxy_lab::Interrupt;
use nix::net::if_::if_nametoindex;
use serde::Serialize;

use super::frame::{Crossing, LENGTH, Settings, Template};
use super::paced::{self, Paced};
use super::programs::{Clock, Programs, Seen};
use super::wiring::{addresses, in_memory, macs, prepare};
use super::{awake, flood, query};
use crate::chain::{BACKEND, Chain, HOST_INTERFACE, INTERFACES, LISTENER};
use crate::measure::CpuClock;
use crate::sample::Latency;

/// The generator has that long to begin, and looks are that far apart until it has.
const START: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(10);
/// Nothing has come for that long: nothing will.
const QUIET: Duration = Duration::from_millis(20);

/// What the generator does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Load {
    /// As fast as it can, in the kernel.
    Flood,
    /// So many queries a second, from user space; each is timed.
    Rate(f64),
}

/// Client and backend at work on a chain.
pub struct Rig<'a> {
    /// The chain.
    pub chain: Chain,
    programs: Programs,
    clock: Clock,
    template: Template,
    frame: [u8; LENGTH],
    interface: u32,
    settings: Settings,
    interrupt: &'a Interrupt,
}

/// What was measured in one run.
#[derive(Clone, Debug, Serialize)]
pub struct Trial {
    /// What the generator did.
    pub load: Load,
    /// How many clients asked.
    pub clients: u32,
    /// How long was measured.
    pub seconds: f64,
    /// From the first query to the last answer.
    pub seen: Seen,
    /// Queries sent a second while it was measured.
    pub offered: f64,
    /// Right answers a second while it was measured.
    pub answered: f64,
    /// What generator and balancer used of both processors, per answer, nanoseconds: with all that the kernel does for a
    /// frame, which it does where the frame was sent.
    pub chain_ns: f64,
    /// Of that, what the balancer's process used.
    pub process_ns: f64,
    /// From sending a query to its answer, nanoseconds; where queries are timed.
    pub latency_ns: Option<Latency>,
}

impl Trial {
    /// The share of queries without an answer.
    pub fn lost(&self) -> f64 {
        self.seen.lost() as f64 / self.seen.sent.max(1) as f64
    }
}

/// All counts at one moment.
struct Reading {
    at: Instant,
    seen: Seen,
    generator_ns: u64,
    process_ns: u64,
}

/// Those of all that work for one run.
#[derive(Debug, Default)]
pub struct Clocks {
    generator: Mutex<Vec<CpuClock>>,
    process: Vec<CpuClock>,
    sent: AtomicU64,
}

impl Clocks {
    /// The calling thread belongs to the generator.
    pub fn add_this_thread(&self) {
        self.generator.lock().unwrap_or_else(PoisonError::into_inner).push(CpuClock::of_this_thread());
    }
}

impl<'a> Rig<'a> {
    /// Builds a chain, and lets its backend answer with `mark`, and add `id` to the ID.
    pub fn build(prefix: &str, (mark, id): (u16, u16), interrupt: &'a Interrupt) -> Result<Self> {
        let chain = Chain::build(prefix)?;
        prepare(&chain)?;
        let SocketAddr::V4(listener) = LISTENER else { bail!("the listener has no IPv4 address") };
        let macs = addresses(1, 0);
        let template = query::template(macs, listener);
        let mut programs = Programs::load(&template)?;
        programs.attach("receive", &chain.client, HOST_INTERFACE)?;
        let clock = programs.clock()?;
        let interface = chain.client.enter(|| if_nametoindex(HOST_INTERFACE))??;
        let settings = Settings { clients: 1, stop: 1, timed: 0, mark, id };
        programs.set(settings)?;
        let frame = query::blank(macs, listener);
        Ok(Self { chain, programs, clock, template, frame, interface, settings, interrupt })
    }

    /// Lets the backend answer.
    pub fn reflect(&mut self) -> Result<()> {
        self.programs.attach("reflect", &self.chain.backend, HOST_INTERFACE)
    }

    /// Lets what should be the balancer answer, so that there is none.
    pub fn reflect_at_once(&mut self) -> Result<()> {
        self.programs.attach("reflect", &self.chain.balancer, INTERFACES[0])
    }

    /// Lets the balancer be a program that rewrites addresses, and does nothing else.
    pub fn cross(&mut self) -> Result<()> {
        let index = |name| self.chain.balancer.enter(|| if_nametoindex(name));
        let [client, backend] = [index(INTERFACES[0])??, index(INTERFACES[1])??];
        let (IpAddr::V4(listener), IpAddr::V4(server)) = (LISTENER.ip(), BACKEND.ip()) else {
            bail!("no IPv4 addresses")
        };
        self.programs.set_crossings([
            Crossing { address: in_memory(server), interface: backend, macs: macs(3, 2) },
            Crossing { address: in_memory(listener), interface: client, macs: macs(0, 1) },
        ])?;
        self.programs.attach("cross", &self.chain.balancer, INTERFACES[0])?;
        self.programs.attach("cross_back", &self.chain.balancer, INTERFACES[1])
    }

    /// Lets the client's interface to others, who have programs of their own.
    pub fn leave_client(&mut self) -> Result<()> {
        self.programs.detach("receive")
    }

    /// Runs the generator for `duration`, then waits for the last answers. `pid` is the balancer, if it is a process.
    pub fn run(&self, load: Load, clients: u32, duration: Duration, pid: Option<u32>) -> Result<Trial> {
        ensure!(!self.interrupt.came()?, "interrupted");
        let timed = u32::from(load != Load::Flood);
        self.clock.clear();
        let settings = Settings { clients, timed, stop: 0, ..self.settings };
        self.programs.set(settings)?;
        let process = pid.map(CpuClock::of_family).unwrap_or_default();
        let (stop, clocks) = (AtomicBool::new(false), Clocks { process, ..Clocks::default() });
        let (latency, begin) = (self.programs.latency()?, self.reading(&clocks)?);

        let (before, after) = thread::scope(|scope| -> Result<_> {
            let generator = scope.spawn(|| self.generate(load, clients, &clocks, &stop));
            // A flood leaves nobody any time to sleep.
            if load != Load::Flood {
                awake::keep(scope, &stop);
            }
            let measured = (|| {
                self.wait_for_first(&begin, &clocks)?;
                let before = self.reading(&clocks)?;
                sleep(duration);
                anyhow::Ok((before, self.reading(&clocks)?))
            })();
            // Whatever happened: it is waited for.
            stop.store(true, Ordering::Relaxed);
            let told = self.programs.set(Settings { stop: 1, ..settings });
            generator.join().unwrap_or_else(|panic| resume_unwind(panic))?;
            told?;
            measured
        })?;
        let end = self.drain(&clocks)?;
        let latency = (load != Load::Flood).then(|| self.programs.latency().map(|after| after - &latency));
        let seconds = (after.at - before.at).as_secs_f64();
        let seen = after.seen - before.seen;
        let (generator, process) =
            (after.generator_ns - before.generator_ns, after.process_ns - before.process_ns);
        Ok(Trial {
            load,
            clients,
            seconds,
            seen: end.seen - begin.seen,
            offered: seen.sent as f64 / seconds,
            answered: seen.right as f64 / seconds,
            chain_ns: (generator + process) as f64 / seen.right as f64,
            process_ns: process as f64 / seen.right as f64,
            latency_ns: latency.transpose()?.as_ref().map(Latency::of),
        })
    }

    fn generate(&self, load: Load, clients: u32, clocks: &Clocks, stop: &AtomicBool) -> Result<()> {
        let send = || match load {
            Load::Flood => flood::send(self.programs.generator()?, self.interface, &self.frame, clocks, stop),
            Load::Rate(rate) => {
                let (interface, template, frame, clock) =
                    (self.interface, &self.template, self.frame, &self.clock);
                paced::send(
                    Paced { rate, clients, interface, template, frame, clock, clocks, sent: &clocks.sent },
                    stop,
                )
            }
        };
        self.chain.client.enter(send)?.context("the generator")
    }

    /// Waits until the generator has begun: what that takes is not measured.
    fn wait_for_first(&self, begin: &Reading, clocks: &Clocks) -> Result<()> {
        while self.reading(clocks)?.seen.sent == begin.seen.sent && begin.at.elapsed() < START {
            sleep(LOOK);
        }
        Ok(())
    }

    /// Waits until nothing comes any more.
    fn drain(&self, clocks: &Clocks) -> Result<Reading> {
        let mut last = self.reading(clocks)?;
        loop {
            sleep(QUIET);
            let now = self.reading(clocks)?;
            if now.seen == last.seen || now.seen.lost() == 0 {
                return Ok(now);
            }
            last = now;
        }
    }

    fn reading(&self, clocks: &Clocks) -> Result<Reading> {
        let mut seen = self.programs.seen()?;
        seen.sent += clocks.sent.load(Ordering::Relaxed);
        let generator = clocks.generator.lock().unwrap_or_else(PoisonError::into_inner);
        // A thread's clock ends with the thread, after the measurement.
        let generator_ns = generator.iter().filter_map(|clock| clock.read().ok()).sum();
        let process_ns = clocks.process.iter().filter_map(|clock| clock.read().ok()).sum();
        Ok(Reading { at: Instant::now(), seen, generator_ns, process_ns })
    }
}
