//! Whole configurations: what would change, making it so, and the way back.

use std::time::Duration;

use super::commit::Entry;
use super::plan::plan;
use super::unconfirmed::Unconfirmed;
use super::{EditError, Engine, Who};
use crate::api::{Applied, Plan};
use crate::config::{Change, Config};
use crate::control::names_of;
use crate::state::{Kind, StateError, Store};

/// What is to become of the configuration in force.
#[derive(Debug)]
pub(super) struct Wanted {
    /// What it is to be.
    pub(super) config: Config,
    /// Where that comes from, for people.
    pub(super) source: String,
    pub(super) who: Who,
    /// The generation that it was made for.
    pub(super) generation: Option<u64>,
    /// How long to wait for a confirmation, if one is needed.
    pub(super) confirm: Option<Duration>,
    /// May live edits be lost?
    pub(super) discard_edits: bool,
}

impl Engine {
    /// What would change.
    pub(super) fn plan(&self, config: &Config, source: &str) -> Plan {
        let change = Change::between(&self.config, config);
        self.plan_of(config, &change, source)
    }

    fn plan_of(&self, config: &Config, change: &Change, source: &str) -> Plan {
        let verdicts = Config::verdict_changes(&self.config, config);
        let undone = self.undone_edits(change);
        let plan = plan((&self.config, config), change, self.generation, source.to_owned(), verdicts);
        Plan { undoes: undone, ..plan }
    }

    /// Makes what runs like a whole configuration.
    pub(super) async fn apply(&mut self, wanted: Wanted) -> Result<Applied, EditError> {
        let Wanted { config, source, who, generation, confirm, discard_edits } = wanted;
        self.take_edits()?;
        if let Some(generation) = generation {
            self.expect_generation(generation, true)?;
        }
        let change = Change::between(&self.config, &config);
        let plan = self.plan_of(&config, &change, &source);
        let size = names_of(&config);
        drop(config);
        if !discard_edits && !plan.undoes.is_empty() {
            return Err(EditError::WouldUndo(plan.undoes));
        }
        let mut entry = Entry::new(who, Kind::Apply, vec![format!("apply {source}: {}", plan.summary())]);
        if change.is_empty() && self.life.live_edits == 0 {
            return Ok(self.applied(plan, false));
        }
        self.record_start()?;
        let back_to = self.recorded.filter(|_| confirm.is_some() && !change.is_empty());
        entry.unconfirmed = back_to.is_some();
        self.make_room(size)?;
        let compared = self.life.compared.clone();
        let made = self.make(&change, &entry).await?;
        self.life.notes.clear();
        if let Some((back_to, patience)) = back_to.zip(confirm) {
            let waiting = Unconfirmed::new(self.generation, back_to, made.undo, compared, patience);
            self.unconfirmed = Some(waiting);
        }
        Ok(self.applied(plan, !change.is_empty()))
    }

    /// Goes back to an earlier generation; without a number, to the one before.
    pub(super) async fn roll_back(
        &mut self,
        to: Option<u64>,
        who: Who,
        generation: Option<u64>,
    ) -> Result<Applied, EditError> {
        if let Some(generation) = generation {
            self.expect_generation(generation, true)?;
        }
        if let Some(waiting) = &self.unconfirmed
            && to.is_none_or(|to| to == waiting.back_to())
        {
            let before = self.config.clone();
            self.take_back(who, |generation| format!("generation {generation} was rolled back")).await?;
            let change = Change::between(&before, &self.config);
            let verdicts = Config::verdict_changes(&before, &self.config);
            let source = "the generation before".to_owned();
            let plan = plan((&before, &self.config), &change, self.generation, source, verdicts);
            return Ok(self.applied(plan, true));
        }
        self.take_edits()?;
        let (to, config) = match to {
            Some(to) => (to, self.store.config(to)?),
            None => self.another_before()?.ok_or(EditError::NothingBefore)?,
        };
        let change = Change::between(&self.config, &config);
        let source = format!("generation {to}");
        let plan = self.plan_of(&config, &change, &source);
        let size = names_of(&config);
        drop(config);
        if change.is_empty() {
            return Ok(self.applied(plan, false));
        }
        let what = vec![format!("roll back to {source}: {}", plan.summary())];
        let entry = Entry { back_to: Some(to), ..Entry::new(who, Kind::Rollback, what) };
        self.make_room(size)?;
        self.make(&change, &entry).await?;
        self.life.notes.clear();
        Ok(self.applied(plan, true))
    }

    /// The generation before that is another one: one that was taken back has left an equal one behind.
    fn another_before(&self) -> Result<Option<(u64, Config)>, StateError> {
        let older = self.store.history().iter().map(|header| header.generation);
        for generation in older.filter(|generation| *generation < self.generation) {
            let config = self.store.config(generation)?;
            if !Change::between(&self.config, &config).is_empty() {
                return Ok(Some((generation, config)));
            }
        }
        Ok(None)
    }

    fn applied(&self, plan: Plan, changed: bool) -> Applied {
        let confirm_until = self.unconfirmed.as_ref().map(Unconfirmed::until_text);
        Applied { generation: self.generation, changed, plan, confirm_until }
    }

    /// What of the live edits a change would undo, a sentence each.
    fn undone_edits(&self, change: &Change) -> Vec<String> {
        let mut lineage = self.store.lineage();
        let is_edited = lineage.next().is_some_and(|newest| !newest.is_whole() || newest.back_to.is_some());
        if change.is_empty() || !is_edited {
            return Vec::new();
        }
        let applied = lineage.last().filter(|header| header.is_whole());
        let applied = match applied.map(|header| self.store.config(header.generation)) {
            Some(Ok(applied)) => applied,
            Some(Err(error)) => return vec![format!("what they changed is not known any more: {error}")],
            None => return vec!["what they changed is not known any more".to_owned()],
        };
        let edits = Change::between(&applied, &self.config);
        let pools = edits.pools.keys().filter(|name| change.pools.contains_key(*name));
        let routes = edits.routes.keys().filter(|pattern| change.routes.contains_key(*pattern));
        let pools = pools.map(|name| format!("pool {name}"));
        pools.chain(routes.map(|pattern| format!("route {pattern}"))).collect()
    }
}

/// Live edits since the configuration was last whole, as many as are still known.
pub(super) fn live_edits(store: &Store) -> u64 {
    store.lineage().filter(|header| !header.is_whole()).map(|header| header.what.len() as u64).sum()
}
