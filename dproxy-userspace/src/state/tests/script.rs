//! What a daemon does with the folder in its life, step by step.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::faulty::Faulty;
use super::{config, record, route};
use crate::config::{Change, Config};
use crate::state::{Content, Kind, Record, StateError, Store};

/// An operation on the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Edit,
    Apply,
    ApplyUnconfirmed,
    Confirm,
    Discard,
    MakeWhole,
    Prune,
}

/// Everything in every order that matters, and enough of it that pruning removes something.
pub(super) const SCRIPT: [Operation; 34] = {
    use Operation::*;
    [
        Apply,
        Edit,
        Edit,
        ApplyUnconfirmed,
        Confirm,
        Edit,
        Prune,
        ApplyUnconfirmed,
        Discard,
        Edit,
        MakeWhole,
        Edit,
        Edit,
        Edit,
        Edit,
        Edit,
        Prune,
        Apply,
        Edit,
        Edit,
        Edit,
        MakeWhole,
        Prune,
        Edit,
        Edit,
        Edit,
        Edit,
        Edit,
        Edit,
        Edit,
        Prune,
        Edit,
        Prune,
        Edit,
    ]
};

/// A daemon, as far as the store is concerned.
#[derive(Debug)]
pub(super) struct Daemon {
    pub(super) store: Store,
    /// The configuration in force for the next start.
    pub(super) config: Config,
    waiting: Option<(u64, Config)>,
    /// Every generation there was, in force or refused.
    pub(super) all: BTreeMap<u64, Config>,
}

impl Daemon {
    pub(super) fn start(disk: &Arc<Faulty>, folder: &Path) -> Self {
        let store = Store::open_on(Arc::<Faulty>::clone(disk), folder).unwrap();
        Self { store, config: Config::default(), waiting: None, all: BTreeMap::new() }
    }

    /// Does what an operation asks for. When it succeeds, and only then, `config` is what it leads to.
    pub(super) fn make(&mut self, operation: Operation) -> Result<(), StateError> {
        let next = self.store.next_generation();
        match operation {
            Operation::Edit => {
                let change = route(&format!("r{next}.test"), "b");
                self.edit(next, &change)
            }
            Operation::Apply => {
                let config = self.another(next);
                let record = record(next, Kind::Apply, Content::Whole(&config));
                self.put(record, &config)?;
                self.config = config;
                Ok(())
            }
            Operation::ApplyUnconfirmed => {
                let config = self.another(next);
                let change = Change::between(&self.config, &config);
                let content = self.content(&change, &config);
                let record = Record { unconfirmed: true, ..record(next, Kind::Apply, content) };
                self.put(record, &config)?;
                self.waiting = Some((next, config));
                Ok(())
            }
            Operation::Confirm => {
                let Some((generation, config)) = self.waiting.clone() else { return Ok(()) };
                self.store.confirm(generation)?;
                (self.config, self.waiting) = (config, None);
                Ok(())
            }
            Operation::Discard => {
                let Some((generation, _)) = self.waiting else { return Ok(()) };
                self.store.discard(generation)?;
                self.waiting = None;
                Ok(())
            }
            Operation::MakeWhole => {
                let newest = self.store.history()[0].generation;
                self.store.make_whole(newest, &self.config)
            }
            Operation::Prune => self.store.prune(),
        }
    }

    fn edit(&mut self, next: u64, change: &Change) -> Result<(), StateError> {
        let mut config = self.config.clone();
        config.make(change);
        let record = record(next, Kind::Edit, self.content(change, &config));
        self.put(record, &config)?;
        self.config = config;
        Ok(())
    }

    /// Relative to the newest generation, if there is one.
    fn content<'a>(&self, change: &'a Change, config: &'a Config) -> Content<'a> {
        match self.store.history().first() {
            Some(newest) => Content::Change { base: newest.generation, change },
            None => Content::Whole(config),
        }
    }

    fn another(&self, generation: u64) -> Config {
        let mut another = config();
        another.make(&route(&format!("applied{generation}.test"), "nxdomain"));
        another
    }

    fn put(&mut self, record: Record<'_>, config: &Config) -> Result<(), StateError> {
        self.all.insert(record.generation, config.clone());
        super::put(&mut self.store, record)
    }
}
