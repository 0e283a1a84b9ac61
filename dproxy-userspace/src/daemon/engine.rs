//! The one that owns everything, and changes it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::{error, info};

use super::edit::{Edit, EditError};
use super::handle::{Handle, Request};
use super::in_force::InForce;
use super::live::Live;
use super::network::Network;
use super::proxy::Proxy;
use super::rate::Rate;
use super::reachability::Reachability;
use super::sources::Sources;
use crate::api::Edited;
use crate::config::{Config, check};
use crate::control::{Delivery, Host, Id, Ids, SnapshotNames, compile, deliveries};
use crate::datapath::{Attachment, CounterId, Datapath, DatapathError};
use crate::network::{NetworkError, Resolution, View, Why};

/// How often the engine looks after neighbours.
const TICK: Duration = Duration::from_secs(2);
/// Requests that may wait for the engine.
const QUEUE: usize = 64;

/// The configuration in force, and all that carries it out.
pub struct Engine {
    pub(super) config: Config,
    pub(super) generation: u64,
    pub(super) in_force: Option<InForce>,
    /// How each backend gets its queries.
    pub(super) deliveries: BTreeMap<SocketAddr, Delivery>,
    pub(super) datapath: Box<dyn Datapath>,
    pub(super) proxy: Box<dyn Proxy>,
    pub(super) life: Life,
    network: Box<dyn Network>,
    pub(super) reachability: Reachability,
    sources: Sources,
    /// What was last seen of the network.
    seen: View,
    /// What the generation in force knows of this host.
    host: Host,
    ids: Ids,
    pub(super) live: Live,
    asking: watch::Sender<BTreeSet<IpAddr>>,
}

/// What happened to the daemon so far.
pub(super) struct Life {
    /// The file that the configuration came from.
    pub(super) config_file: String,
    pub(super) live_edits: u64,
    pub(super) started: Instant,
    pub(super) since: SystemTime,
    pub(super) queries: Rate,
    /// Warnings that hold for all of it.
    pub(super) warnings: Vec<String>,
}

/// An edit that was made.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) edited: Edited,
    /// Addresses of backends that there were none at before.
    pub(super) new_addresses: BTreeSet<IpAddr>,
}

impl Engine {
    /// With nothing in force yet. The configuration must be one that [`check`] has no problem with.
    pub fn new(
        config: Config,
        config_file: String,
        warnings: Vec<String>,
        datapath: Box<dyn Datapath>,
        proxy: Box<dyn Proxy>,
        network: Box<dyn Network>,
    ) -> Self {
        let capacity = datapath.capacity();
        let (started, since) = (Instant::now(), SystemTime::now());
        Self {
            config,
            generation: 0,
            in_force: None,
            deliveries: BTreeMap::new(),
            datapath,
            proxy,
            life: Life { config_file, live_edits: 0, started, since, queries: Rate::default(), warnings },
            network,
            reachability: Reachability::default(),
            sources: Sources::default(),
            seen: View::default(),
            host: Host::default(),
            ids: Ids::new(&capacity),
            live: Live::new(&capacity),
            asking: watch::Sender::default(),
        }
    }

    /// Finds the ways to the backends, so that the first query is not lost. It waits for neighbours that
    /// have to be asked, but not for longer than `patience`.
    pub async fn settle(&mut self, patience: Duration) -> Result<(), NetworkError> {
        let addresses = addresses(&self.config);
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

    /// Puts the configuration that it was made with in force, and lets packets in.
    pub fn begin(&mut self) -> Result<(), EditError> {
        self.put_in_force(self.config.clone())?;
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
    pub async fn run(mut self, mut requests: Requests, end: impl Future<Output = ()>) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => return,
                () = self.network.changed() => self.follow_network().await,
                _ = tick.tick() => {
                    self.follow_network().await;
                    self.note_queries();
                }
                Some(request) = requests.0.recv() => match request {
                    Request::Look(look) => look(&self),
                    Request::Edit(wanted, answer) => {
                        // Who asked for it may have gone away since. It is made all the same.
                        let _ = answer.send(self.make(&wanted).await);
                    }
                },
            }
        }
    }

    /// A handle, and what [`run`](Self::run) has to answer.
    pub fn handle(&self) -> (Handle, Requests) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Handle { requests: sender, asking: self.asking.subscribe() }, Requests(receiver))
    }

    /// Makes an edit: afterwards it is in the datapath, or nothing has changed.
    pub(super) async fn edit(&mut self, edit: &Edit) -> Result<Made, EditError> {
        let mut config = self.config.clone();
        edit.apply(&mut config)?;
        let changed = config != self.config;
        let mut new_addresses = BTreeSet::new();
        if changed {
            let problems = check(&config);
            if !problems.is_empty() {
                return Err(EditError::Invalid(problems));
            }
            let wanted = addresses(&config);
            new_addresses = &wanted - &addresses(&self.config);
            if !new_addresses.is_empty() {
                // The old ones too: if the edit fails, they stay in force.
                let all = &wanted | &addresses(&self.config);
                self.resolve(&all).await.unwrap_or_else(|problem| error!("{problem}"));
            }
            self.put_in_force(config)?;
            self.life.live_edits += 1;
            info!(generation = self.generation, "{edit}");
        }
        Ok(Made { edited: Edited { generation: self.generation, changed }, new_addresses })
    }

    /// Brings the ways to the backends up to date. Only an address that queries have not come from so far, or
    /// other backends on this host, take a new generation: it must know them before the first reply.
    pub(super) async fn follow_network(&mut self) {
        if let Err(problem) = self.resolve(&addresses(&self.config)).await {
            error!("{problem}");
            return;
        }
        let deliveries = self.decide(&self.config);
        let Host { sources, locals } = Host::new(self.sources.all(), &deliveries);
        if sources.is_subset(&self.host.sources) && locals == self.host.locals {
            self.deliveries = deliveries;
            self.update_live();
        } else if let Err(problem) = self.put_in_force(self.config.clone()) {
            error!("cannot follow a change of the network: {problem}");
        }
    }

    fn note_queries(&mut self) {
        match self.counters() {
            Ok(counters) => self.life.queries.note(Instant::now(), counters.queries()),
            Err(problem) => error!("cannot read the counters: {problem}"),
        }
    }

    /// Asks how addresses are reached.
    async fn resolve(&mut self, addresses: &BTreeSet<IpAddr>) -> Result<(), NetworkError> {
        let addresses: Vec<IpAddr> = addresses.iter().copied().collect();
        let attachments = self.datapath.attachments();
        let interfaces: Vec<u32> = attachments.iter().map(|attachment| attachment.index).collect();
        self.seen = self.network.resolve(&addresses, &interfaces).await?;
        let resolutions = &self.seen.resolutions;
        self.sources.note(resolutions.values(), Instant::now());
        let is_asked =
            |resolution: &Resolution| matches!(resolution, Resolution::Unreachable(Why::Asked { .. }));
        let asked = resolutions.iter().filter(|(_, resolution)| is_asked(resolution));
        self.asking.send_replace(asked.map(|(address, _)| *address).collect());
        Ok(())
    }

    /// How the backends of a configuration get their queries, after what was last seen.
    fn decide(&self, config: &Config) -> BTreeMap<SocketAddr, Delivery> {
        deliveries(config, &self.seen, &self.datapath.egress())
    }

    /// Makes a configuration the next generation, or changes nothing.
    pub(super) fn put_in_force(&mut self, config: Config) -> Result<(), EditError> {
        let (number, deliveries) = (self.generation + 1, self.decide(&config));
        let host = Host::new(self.sources.all(), &deliveries);
        // A draft: if anything goes wrong, no id was given out.
        let mut ids = self.ids.clone();
        let snapshot = compile(&config, &host, &mut ids, number, &self.datapath.capacity())?;
        self.introduce(&ids.take_new(), &snapshot.names, &deliveries)?;
        self.datapath.publish(&snapshot)?;
        ids.retain(&snapshot.names);
        self.ids = ids;
        self.config = config;
        self.generation = number;
        self.host = host;
        self.deliveries = deliveries;
        self.publish_view(Arc::new(snapshot));
        self.update_live();
        Ok(())
    }

    /// Prepares new ids, so that the first packet to a new backend finds its way.
    fn introduce(
        &mut self,
        new: &[Id],
        names: &SnapshotNames,
        deliveries: &BTreeMap<SocketAddr, Delivery>,
    ) -> Result<(), DatapathError> {
        let mut backends = BTreeMap::new();
        for id in new {
            let counter = match *id {
                Id::Listener(id) => CounterId::Listener(id),
                Id::Route(id) => CounterId::Route(id),
                Id::Pool(id) => CounterId::Pool(id),
                Id::Backend(id) => {
                    self.live.forget(id);
                    backends.extend(names.backends.get(&id).map(|address| (id, *address)));
                    CounterId::Backend(id)
                }
            };
            self.datapath.clear(counter)?;
            self.proxy.clear(counter);
        }
        let datapath = self.datapath.as_mut();
        datapath.introduce(names)?;
        // A backend that is not served on this host any more gets no queries from now on: the generation to
        // come would not know the replies.
        let retired = names.backends.iter().filter(|(id, address)| {
            self.live.is_local(**id) && !matches!(deliveries.get(address), Some(Delivery::Local(_)))
        });
        backends.extend(retired.map(|(id, address)| (*id, *address)));
        self.live.update(datapath, &backends, deliveries)
    }
}

/// What has been asked through a [`Handle`].
pub struct Requests(mpsc::Receiver<Request>);

/// The addresses of all backends.
fn addresses(config: &Config) -> BTreeSet<IpAddr> {
    let backends = config.pools.values().flat_map(|pool| &pool.backends);
    backends.map(|backend| backend.address.ip()).collect()
}
