//! The one that owns everything, and changes it.

mod follow;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep_until, timeout};
use tracing::error;

use super::EditError;
use super::commit::Entry;

use super::endpoint::Readiness;
use super::file::Compared;
use super::handle::{Handle, Request, Requests};
use super::health::{self, Health};
use super::in_force::InForce;
use super::live::Live;
use super::memory;
use super::network::Network;
use super::proxy::Proxy;
use super::rate::Rate;
use super::reachability::Reachability;
use super::sources::Sources;
use super::unconfirmed::Unconfirmed;
use super::watchdog::{self, Watchdog};
use super::whole::live_edits;
use crate::config::{Config, SlowPath};
use crate::control::{Delivery, Host, Ids, Layout};
use crate::datapath::{Attachment, Datapath};
use crate::network::{NetworkError, View};
use crate::state::Store;

/// How often the engine tidies up, and looks after neighbours.
const TICK: Duration = Duration::from_secs(2);
/// Requests that may wait for the engine.
const QUEUE: usize = 256;

/// The configuration in force, and all that carries it out.
pub struct Engine {
    pub(super) config: Config,
    /// Which generation of the configuration it is; 0 before the first.
    pub(super) generation: u64,
    pub(super) in_force: Option<InForce>,
    /// How each backend gets its queries.
    pub(super) deliveries: BTreeMap<SocketAddr, Delivery>,
    pub(super) datapath: Box<dyn Datapath>,
    pub(super) proxy: Box<dyn Proxy>,
    /// The listeners and limits that the slow path was started with.
    pub(super) proxy_for: (Vec<SocketAddr>, SlowPath),
    pub(super) life: Life,
    network: Box<dyn Network>,
    pub(super) reachability: Reachability,
    pub(super) sources: Sources,
    /// What was last seen of the network.
    seen: View,
    /// When neighbours are looked after next, if nothing happens.
    look: Instant,
    /// What the generation in force knows of this host.
    pub(super) host: Host,
    pub(super) layout: Layout,
    pub(super) live: Live,
    asking: watch::Sender<BTreeSet<IpAddr>>,
    pub(super) store: Store,
    /// The generation on the disk that is equal to the configuration.
    pub(super) recorded: Option<u64>,
    pub(super) unconfirmed: Option<Unconfirmed>,
    pub(super) health: Health,
    pub(super) watchdog: Watchdog,
    pub(super) readiness: watch::Sender<Readiness>,
    pub(super) instructions: watch::Sender<Instructions>,
}

/// What others are to do beside the engine, by the configuration in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instructions {
    /// Where `/healthz` and `/readyz` are served.
    pub endpoint: Option<SocketAddr>,
    /// What is run for each event: a path and arguments.
    pub command: Vec<String>,
    /// How long that may take.
    pub patience: Duration,
}

/// What happened to the daemon so far.
pub(super) struct Life {
    /// The configuration file.
    pub(super) config_file: String,
    pub(super) started: Instant,
    pub(super) since: SystemTime,
    pub(super) queries: Rate,
    /// Warnings that hold for all of it.
    pub(super) warnings: Vec<String>,
    /// What happened that an operator should know, until the next apply.
    pub(super) notes: Vec<String>,
    /// Live edits since the configuration was last whole; of those before this start, as many as are still known.
    pub(super) live_edits: u64,
    /// What is known of the file.
    pub(super) compared: Option<Compared>,
}

/// What an engine owns.
pub struct Parts {
    /// A configuration that [`check`](crate::config::check) has no problem with.
    pub config: Config,
    /// The file that it comes from, or did at first.
    pub config_file: String,
    /// What the operator should know of the start.
    pub warnings: Vec<String>,
    /// The fast path.
    pub datapath: Box<dyn Datapath>,
    /// The slow path.
    pub proxy: Box<dyn Proxy>,
    /// What is around.
    pub network: Box<dyn Network>,
    /// Where generations are kept.
    pub store: Store,
    /// The generation that the configuration was loaded from, if it was.
    pub recorded: Option<u64>,
}

impl Engine {
    /// With nothing in force yet.
    pub fn new(parts: Parts) -> Self {
        let Parts { config, config_file, warnings, datapath, proxy, network, store, recorded } = parts;
        let (capacity, inheritance) = (datapath.capacity(), datapath.inherited());
        let (started, since) = (Instant::now(), SystemTime::now());
        let (mut ids, mut live, mut sources) =
            (Ids::new(&capacity), Live::new(&capacity), Sources::default());
        for (&id, &member) in &inheritance.backends {
            ids.restore_backend(id, member);
        }
        for (&id, &address) in &inheritance.listeners {
            ids.restore_listener(id, address);
        }
        live.inherit(&inheritance);
        sources.inherit(inheritance.next_hops.values(), started);
        let live_edits = live_edits(&store);
        Self {
            proxy_for: (config.listen.addresses.clone(), config.slow_path.clone()),
            config,
            generation: 0,
            in_force: None,
            deliveries: BTreeMap::new(),
            datapath,
            proxy,
            life: Life {
                config_file,
                started,
                since,
                queries: Rate::default(),
                warnings,
                notes: Vec::new(),
                live_edits,
                compared: None,
            },
            network,
            reachability: Reachability::default(),
            sources,
            seen: View::default(),
            look: started,
            host: Host::default(),
            layout: Layout::new(ids),
            live,
            asking: watch::Sender::default(),
            store,
            recorded,
            unconfirmed: None,
            health: Health::off(),
            watchdog: Watchdog::default(),
            readiness: watch::Sender::new(Readiness { at: started, faults: Vec::new() }),
            instructions: watch::Sender::default(),
        }
    }

    /// Finds the ways to the backends, so that the first query is not lost. It waits for neighbours that
    /// have to be asked, but not for longer than `patience`.
    pub async fn settle(&mut self, patience: Duration) -> Result<(), NetworkError> {
        let addresses = self.addresses();
        self.resolve(&addresses).await?;
        let settled = timeout(patience, async {
            while !self.asking.borrow().is_empty() {
                self.network.changed().await;
                self.resolve(&addresses).await?;
            }
            Ok(())
        });
        // Who has not answered by now may do so later.
        settled.await.unwrap_or(Ok(()))
    }

    /// Puts the configuration that it was made with in force, and lets packets in. `first` is what to write down if
    /// it has not been yet.
    pub fn begin(&mut self, first: Option<Entry>) -> Result<(), EditError> {
        self.generation = self.recorded.unwrap_or(0);
        match first {
            Some(entry) => self.begin_anew(entry)?,
            None => self.put_in_force(None, None)?,
        }
        Ok(self.datapath.attach()?)
    }

    /// Where packets come in.
    pub fn attachments(&self) -> Vec<Attachment> {
        self.datapath.attachments()
    }

    /// Programs that see packets before the slow path does, where there is no fast path.
    pub fn intruders(&self) -> Vec<String> {
        self.datapath.intruders()
    }

    /// Does what it is asked through the handle, and follows the network, until `end`.
    pub async fn run<E>(&mut self, requests: &mut Requests, end: impl Future<Output = E>) -> E {
        let [mut tick, mut reading, mut watching] = [TICK, health::READING, watchdog::EVERY].map(|every| {
            let mut tick = interval(every);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            tick
        });
        tokio::pin!(end);
        loop {
            let until = self.unconfirmed.as_ref().map(Unconfirmed::until);
            let patience_ends = async {
                match until {
                    Some(until) => sleep_until(until.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                how = &mut end => return how,
                news = self.health.news() => self.follow_health(news),
                _ = reading.tick(), if self.health.is_on() => {
                    self.read_backends();
                    self.share_out();
                }
                () = self.network.changed() => self.follow_network().await,
                () = patience_ends => self.take_back_unconfirmed().await,
                _ = tick.tick() => self.tick().await,
                _ = watching.tick(), if self.health.is_on() => self.watch(),
                Some(request) = requests.0.recv() => self.answer(request, requests).await,
            }
        }
    }

    async fn answer(&mut self, request: Request, requests: &mut Requests) {
        let mut next = Some(request);
        while let Some(request) = next.take() {
            match request {
                Request::Look(look) => look(self),
                Request::Act(act) => act(self).await,
                Request::Edit(first) => {
                    let (edits, other) = requests.more_edits(*first);
                    next = other;
                    self.edit_all(edits).await;
                }
            }
        }
    }

    async fn tick(&mut self) {
        let is_asking = !self.asking.borrow().is_empty();
        if is_asking || Instant::now() >= self.look {
            self.follow_network().await;
        }
        self.note_queries();
        if let Err(problem) = self.datapath.settle() {
            error!("{problem}");
        }
        self.datapath.tick();
        self.tidy_records();
        memory::give_back();
    }

    /// A handle, and what [`run`](Self::run) has to answer.
    pub fn handle(&self) -> (Handle, Requests) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let (asking, events) = (self.asking.subscribe(), self.health.events.clone());
        (Handle { requests: sender, asking, events }, Requests(receiver))
    }
}
