//! How a change gets in force: into the tables, onto the disk, and then to the packets.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tracing::{error, info, warn};

use super::whole::live_edits;
use super::{EditError, Engine, Proxy, Who, descriptors};
use crate::config::{Change, check_change};
use crate::control::{CompileError, Delivery, Host, Id, Member, Plan, SnapshotNames};
use crate::datapath::{CounterId, DatapathError};
use crate::slow_path::Options;
use crate::state::{Content, Kind, Record, Written};

/// What is written down about a change.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Who asked for it.
    pub by: Who,
    /// What kind of operation it is.
    pub kind: Kind,
    /// What was done: a sentence for each edit.
    pub what: Vec<String>,
    /// Does it have to be confirmed?
    pub unconfirmed: bool,
    /// The generation that it goes back to.
    pub back_to: Option<u64>,
    /// Is that what the disk has?
    pub is_on_disk: bool,
}

impl Entry {
    /// One that needs no confirmation.
    pub fn new(by: Who, kind: Kind, what: Vec<String>) -> Self {
        Self { by, kind, what, unconfirmed: false, back_to: None, is_on_disk: false }
    }

    /// The way back from a generation that is not on the disk yet.
    pub(super) fn taken_back(by: Who, back_to: u64, what: String) -> Self {
        Self { back_to: Some(back_to), is_on_disk: true, ..Self::new(by, Kind::Rollback, vec![what]) }
    }

    /// That of a start with a file.
    pub(super) fn start(file: &str) -> Self {
        Self::new(Who::Daemon, Kind::Start, vec![format!("start with {file}")])
    }
}

/// A change was made.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// What undoes it.
    pub(super) undo: Change,
    /// Addresses of backends that there were none at before.
    pub(super) new_addresses: BTreeSet<IpAddr>,
}

/// Records in a row that are relative to others, at most.
const CHAIN: usize = 128;
/// Records that are kept until it is worth while to remove some.
const RECORDS: usize = 64;

impl Engine {
    /// Makes a change: afterwards it is in the datapath and on the disk, or nothing has changed.
    pub(super) async fn make(&mut self, change: &Change, entry: &Entry) -> Result<Made, EditError> {
        self.record_start()?;
        let before = self.addresses();
        let undo = self.config.make(change);
        let mut carried_out = self.carry_out(change, entry, &before).await;
        if let Some((names, long)) = carried_out.as_ref().err().and_then(|error| self.larger(error)) {
            // The larger tables begin with what is in force.
            self.config.make(&undo);
            self.enlarge(names, long)?;
            self.config.make(change);
            carried_out = self.carry_out(change, entry, &before).await;
        }
        match carried_out {
            Ok(new_addresses) => Ok(Made { undo, new_addresses }),
            Err(error) => {
                self.config.make(&undo);
                Err(error)
            }
        }
    }

    async fn carry_out(
        &mut self,
        change: &Change,
        entry: &Entry,
        before: &BTreeSet<IpAddr>,
    ) -> Result<BTreeSet<IpAddr>, EditError> {
        let problems = check_change(&self.config, change);
        if !problems.is_empty() {
            return Err(EditError::Invalid(problems));
        }
        let wanted = self.addresses();
        let new_addresses = &wanted - before;
        if !new_addresses.is_empty() {
            // The old ones too: if the change fails, they stay in force.
            self.resolve(&(&wanted | before)).await.unwrap_or_else(|problem| error!("{problem}"));
        }
        let renewed = self.renewed_proxy(change)?;
        if let Err(error) = self.put_in_force(Some(change), Some(entry)) {
            renewed.into_iter().for_each(Proxy::retire);
            return Err(error);
        }
        if let Some(proxy) = renewed {
            let old = std::mem::replace(&mut self.proxy, proxy);
            self.proxy_for = (self.config.listen.addresses.clone(), self.config.slow_path.clone());
            self.publish_view();
            old.retire();
        }
        if !change.pools.is_empty()
            && let Err(problem) = self.datapath.settle()
        {
            // Whoever has taken a backend away may stop it next. The change itself is made.
            warn!("packets may follow the generation before for a moment longer: {problem}");
        }
        match entry.kind {
            Kind::Edit | Kind::Switch => self.life.live_edits += entry.what.len() as u64,
            Kind::Start | Kind::Apply => self.life.live_edits = 0,
            Kind::Rollback => self.life.live_edits = live_edits(&self.store),
        }
        Ok(new_addresses)
    }

    /// Another slow path, if this one cannot serve the configuration to come.
    fn renewed_proxy(&self, change: &Change) -> Result<Option<Box<dyn Proxy>>, EditError> {
        let wanted = (self.config.listen.addresses.clone(), self.config.slow_path.clone());
        if change.settings.is_none() || wanted == self.proxy_for {
            return Ok(None);
        }
        let mut options = Options::new(&self.config, self.datapath.capacity());
        let warning = descriptors::provide(&self.config, &mut options.limits);
        warning.iter().for_each(|warning| warn!("{warning}"));
        Ok(Some(self.proxy.renew(&options)?))
    }

    /// Writes down what runs, if that was not possible at the start: the way back from what comes next.
    pub(super) fn record_start(&mut self) -> Result<(), EditError> {
        match self.recorded {
            Some(_) => Ok(()),
            None => self.put_in_force(Some(&Change::default()), Some(&Entry::start(&self.life.config_file))),
        }
    }

    /// The first record of a configuration.
    pub(super) fn begin_anew(&mut self, entry: Entry) -> Result<(), EditError> {
        match self.put_in_force(Some(&Change::default()), Some(&entry)) {
            Err(EditError::State(error)) => {
                // Whoever cannot be edited can still serve.
                if self.store.read_only().is_none() {
                    warn!("{error}");
                }
                self.put_in_force(None, None)
            }
            other => other,
        }
    }

    /// Puts the configuration in force as it is now, or changes nothing. `change` is what has been changed of it
    /// since the last time; without one, only what is around has changed. With an entry, it becomes a generation.
    pub(super) fn put_in_force(
        &mut self,
        change: Option<&Change>,
        entry: Option<&Entry>,
    ) -> Result<(), EditError> {
        self.datapath.settle()?;
        self.layout.settle();
        let generation = if entry.is_some() { self.store.next_generation() } else { self.generation };
        let deliveries = self.decide();
        let host = Host::new(self.sources.all(), &deliveries);
        let number = generation << 1 | u64::from(self.datapath.idle().index());
        let capacity = self.datapath.capacity();
        let plan = Plan { config: &self.config, host: &host, number, capacity: &capacity };
        // A draft: if anything goes wrong, nothing was given out.
        let mut layout = self.layout.clone();
        let nothing = Change::default();
        let patch = match self.datapath.held() {
            Some(held) => layout.patch(&plan, &held, change.unwrap_or(&nothing))?,
            None => layout.build(&plan, None)?,
        };
        let new = layout.take_new();
        let names = Arc::clone(layout.names());
        self.introduce(&new, &names, &deliveries)?;
        self.datapath.prepare(patch)?;
        if let Some(entry) = entry {
            let written = if entry.is_on_disk { &nothing } else { change.unwrap_or(&nothing) };
            self.write_down(generation, written, entry).inspect_err(|_| self.datapath.abandon())?;
        }
        self.datapath.activate();
        self.layout = layout;
        self.generation = generation;
        self.host = host;
        self.deliveries = deliveries;
        if let Some(change) = change {
            self.follow_change(change);
        }
        self.judge();
        self.publish_view();
        self.update_live();
        if let Some(Entry { by, what, .. }) = entry {
            what.iter().for_each(|what| info!(generation, %by, "{what}"));
        }
        Ok(())
    }

    /// Writes a generation down for good.
    fn write_down(&mut self, generation: u64, change: &Change, entry: &Entry) -> Result<(), EditError> {
        let content = match self.recorded {
            Some(base) => Content::Change { base, change },
            None => Content::Whole(&self.config),
        };
        let Entry { by, kind, what, unconfirmed, back_to, is_on_disk: _ } = entry.clone();
        let record = Record { generation, by, kind, what, back_to, unconfirmed, content };
        let written: Written = self.store.write(record)?;
        self.store.commit(written)?;
        if !unconfirmed {
            self.recorded = Some(generation);
        }
        Ok(())
    }

    /// Makes records fewer and shorter.
    pub(super) fn tidy_records(&mut self) {
        let newest = self.recorded.filter(|_| self.unconfirmed.is_none());
        let tidied = match newest {
            Some(newest) if self.store.chain_length() > CHAIN => self.store.make_whole(newest, &self.config),
            Some(_) | None => Ok(()),
        };
        let tidied = tidied
            .and_then(|()| if self.store.history().len() > RECORDS { self.store.prune() } else { Ok(()) });
        if let Err(problem) = tidied {
            error!("cannot tidy up: {problem}");
        }
    }

    /// Takes larger tables into use if so many names, and long ones among them, do not fit into those that there are.
    /// Any change finds that out itself; with one of many routes, that would be late.
    pub(super) fn make_room(&mut self, (names, long): (usize, usize)) -> Result<(), EditError> {
        if self.datapath.capacity().holds(names, long) { Ok(()) } else { self.enlarge(names, long) }
    }

    /// For how many names, and long ones among them, tables would have to be to take what they did not.
    fn larger(&self, error: &EditError) -> Option<(usize, usize)> {
        let EditError::DoesNotFit(error) = error else { return None };
        match *error {
            CompileError::Routes { names, long } => Some((names, long)),
            // There are ids in proportion.
            CompileError::RouteIdsTaken => Some((self.datapath.capacity().routes as usize + 1, 0)),
            CompileError::TooMany { .. }
            | CompileError::IdsTaken(_)
            | CompileError::Destinations
            | CompileError::Collisions => None,
        }
    }

    /// Takes larger tables into use, for so many names, and long ones among them.
    fn enlarge(&mut self, names: usize, long: usize) -> Result<(), EditError> {
        self.datapath.settle()?;
        self.layout.settle();
        let too_many = || EditError::DoesNotFit(CompileError::Routes { names, long });
        let capacity = self.datapath.capacity().with_routes(names, long).ok_or_else(too_many)?;
        // Any half will do in tables that nobody uses yet; the first generation is in the second one.
        let number = self.generation << 1 | 1;
        let plan = Plan { config: &self.config, host: &self.host, number, capacity: &capacity };
        let mut layout = self.layout.clone();
        let patch = layout.build(&plan, self.datapath.held().as_ref())?;
        self.datapath.enlarge(capacity, patch)?;
        self.layout = layout;
        self.publish_view();
        let (all, long) = (capacity.routes, capacity.long_names);
        info!("the tables hold routes for {all} names, {long} of them of more than 40 octets, from now on");
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
                    backends.extend(names.backends.get(&id).map(|member| (id, *member)));
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
        let retired = names.backends.iter().filter(|(id, member)| {
            self.live.is_local(**id) && !matches!(deliveries.get(&member.address), Some(Delivery::Local(_)))
        });
        backends.extend(retired.map(|(id, member)| (*id, *member)));
        let share =
            |member: &Member| self.health.share(names.pool_of(member).unwrap_or_default(), member.address);
        self.live.update(datapath, backends.into_iter(), deliveries, share)
    }
}
