//! The slow path: a DNS proxy in userspace on the same listeners as the fast path.
//!
//! It serves what the fast path passes on (TCP, fragments, other opcodes, backends that XDP cannot reach),
//! queries of this very host, and everything where there is no fast path. Routes and backends are found
//! by the code that runs in the kernel, in the tables of the same generation ([`View`]).
//!
//! There is one worker a processor: a thread for UDP and one for TCP, with sockets of their own; the kernel
//! spreads clients over them (`SO_REUSEPORT`). Threads share nothing but the view and the number of TCP
//! connections.

mod bell;
mod by_route;
mod counters;
mod decide;
mod flights;
mod ids;
mod limits;
mod message;
mod proxy_protocol;
mod reason;
mod sockets;
mod tcp;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod udp;
mod view;
mod worker;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use dproxy_common::abi::BackendCounters;
use tokio::sync::watch;
use tracing::error;

pub use counters::Counters;
pub use decide::{Asked, Decider, Decision, Forward, Response};
pub use limits::Limits;
pub use reason::Reason;
pub use view::{Instead, PoolSettings, View};

use crate::config::Config;
use crate::control::Capacity;
use crate::datapath::CounterId;
use bell::Bell;
use counters::{AllCounters, WorkerCounters};
use limits::Connections;
use sockets::{Bound, Listening, Sockets};
use udp::Udp;
use worker::{Parts, Worker};

/// How long answers under way are waited for at the end.
const FINISH: Duration = Duration::from_secs(1);
/// The same when another slow path has taken the place, and nobody waits for the end.
const FINISH_RETIRED: Duration = Duration::from_secs(10);

/// What the slow path needs to know to start.
#[derive(Clone, Debug)]
pub struct Options {
    /// Addresses that clients query.
    pub listeners: Vec<SocketAddr>,
    /// What it may use.
    pub limits: Limits,
    /// How many ids there are to count by.
    pub capacity: Capacity,
}

impl Options {
    /// As configured.
    pub fn new(config: &Config, capacity: Capacity) -> Self {
        let listeners = config.listen.addresses.clone();
        Self { listeners, limits: Limits::from(&config.slow_path), capacity }
    }
}

/// Why the slow path did not start. The text says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum SlowPathError {
    /// A listener's address cannot be used.
    #[error("cannot listen on {address} ({protocol}): {error}{hint}")]
    Listen {
        /// The listener.
        address: SocketAddr,
        /// UDP or TCP.
        protocol: &'static str,
        /// What the kernel says.
        error: io::Error,
        /// What to do, if that is known.
        hint: &'static str,
    },
    /// A thread or its event loop cannot be made.
    #[error("cannot start a worker of the slow path: {0}")]
    Worker(#[source] io::Error),
}

/// A thread of the slow path, and whether it is alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulse {
    /// Its name.
    pub thread: String,
    /// How often it has come round; `None`: it has ended.
    pub turns: Option<u64>,
}

/// The running slow path. When it is dropped, its sockets are closed.
#[derive(Debug)]
pub struct SlowPath {
    // Threads that serve TCP end when it is dropped.
    views: Option<watch::Sender<Option<Arc<View>>>>,
    /// Those of the threads that serve UDP.
    bells: Vec<Arc<Bell>>,
    counters: AllCounters,
    threads: Vec<JoinHandle<()>>,
    /// Those of each worker, to be handed over.
    sockets: Vec<Sockets>,
    bound: Bound,
    /// Set when the threads are to end: the latest time that they may take.
    end: Arc<OnceLock<Instant>>,
}

impl SlowPath {
    /// Opens all sockets and starts the workers. Nothing is answered before there is a view.
    pub fn start(options: &Options) -> Result<Self, SlowPathError> {
        Self::start_workers(options, &[], Bound::default(), None)
    }

    /// With the sockets of workers before.
    fn start_workers(
        options: &Options,
        before: &[Sockets],
        bound: Bound,
        view: Option<Arc<View>>,
    ) -> Result<Self, SlowPathError> {
        sockets::probe(&options.listeners, &bound)?;
        let (views, view) = watch::channel(view);
        let mut this = Self {
            views: Some(views),
            bells: Vec::new(),
            counters: AllCounters::default(),
            threads: Vec::new(),
            sockets: Vec::new(),
            bound,
            end: Arc::default(),
        };
        // All of them first: if one cannot be had, nothing was taken from the others.
        for number in 0..options.limits.workers {
            let before = before.get(number).cloned().unwrap_or_default();
            this.sockets.push(Sockets::open(&options.listeners, &before, &this.bound)?);
        }
        let connections = Arc::new(Connections::new(&options.limits));
        for (number, Sockets { udp, tcp }) in this.sockets.clone().into_iter().enumerate() {
            let mut worker = || {
                let counters = Arc::new(WorkerCounters::new(&options.capacity));
                this.counters.push(Arc::clone(&counters));
                let (view, limits) = (view.clone(), options.limits.clone());
                let (connections, end) = (Arc::clone(&connections), Arc::clone(&this.end));
                Parts { view, counters, limits, connections, end }
            };
            let (for_udp, for_tcp) = (worker(), worker());
            this.serve_udp(number, for_udp, udp).map_err(SlowPathError::Worker)?;
            this.serve_tcp(number, for_tcp, tcp).map_err(SlowPathError::Worker)?;
        }
        Ok(this)
    }

    fn serve_udp(&mut self, number: usize, parts: Parts, sockets: Vec<Listening>) -> io::Result<()> {
        let bell = Arc::new(Bell::new()?);
        self.bells.push(Arc::clone(&bell));
        self.spawn(format!("slow-udp-{number}"), move || match Udp::new(Worker::new(parts), sockets, bell) {
            Ok(udp) => udp.run(),
            Err(problem) => error!("a worker of the slow path cannot serve UDP: {problem}"),
        })
    }

    fn serve_tcp(&mut self, number: usize, parts: Parts, sockets: Vec<Listening>) -> io::Result<()> {
        let runtime = worker::runtime()?;
        self.spawn(format!("slow-tcp-{number}"), move || {
            Worker::new(parts).serve_tcp(&runtime, sockets);
        })
    }

    fn spawn(&mut self, name: String, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
        self.threads.push(thread::Builder::new().name(name).spawn(body)?);
        Ok(())
    }

    /// Another slow path beside this one, which begins with the same view. Sockets are shared where worker and
    /// address are the same, so that whichever of the two ends, the other has what waits in them.
    pub fn renew(&self, options: &Options) -> Result<Self, SlowPathError> {
        let view = self.views.as_ref().and_then(|views| views.borrow().clone());
        Self::start_workers(options, &self.sockets, self.bound.clone(), view)
    }

    /// Ends, as another goes on, after all that is under way has been answered. Nobody waits for that.
    pub fn retire(mut self) {
        self.sockets.clear();
        self.end.get_or_init(|| Instant::now() + FINISH_RETIRED);
        thread::spawn(move || drop(self));
    }

    /// Puts a generation in force. Queries under way go on.
    pub fn publish(&self, view: View) {
        if let Some(views) = &self.views {
            views.send_replace(Some(Arc::new(view)));
        }
        self.bells.iter().for_each(|bell| bell.ring());
    }

    /// What its threads have done so far. Those that wait for packets are woken up, to do something by the next time.
    pub fn pulses(&self) -> Vec<Pulse> {
        let pulse = |(thread, turns): (&JoinHandle<()>, u64)| Pulse {
            thread: thread.thread().name().unwrap_or_default().to_owned(),
            turns: if thread.is_finished() { None } else { Some(turns) },
        };
        let pulses = self.threads.iter().zip(self.counters.turns()).map(pulse).collect();
        self.bells.iter().for_each(|bell| bell.ring());
        pulses
    }

    /// All counters.
    pub fn counters(&self) -> Counters {
        self.counters.sum()
    }

    /// Those of the first `count` backends alone, by id.
    pub fn backend_counters(&self, count: usize) -> Vec<BackendCounters> {
        self.counters.of_backends(count)
    }

    /// Sets counters to zero, because their id is about to mean somebody else.
    pub fn clear(&self, id: CounterId) {
        self.counters.clear(id);
    }
}

impl Drop for SlowPath {
    fn drop(&mut self) {
        // What nobody else has from now on, the threads have to see to.
        self.sockets.clear();
        self.end.get_or_init(|| Instant::now() + FINISH);
        drop(self.views.take());
        self.bells.iter().for_each(|bell| bell.ring());
        for thread in self.threads.drain(..) {
            // A panic in it has been printed by itself.
            let _ = thread.join();
        }
    }
}
