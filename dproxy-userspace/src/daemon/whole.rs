//! Whole configurations: what would change, making it so, and the way back.

use std::time::Duration;

use super::commit::Entry;
use super::plan::plan;
use super::unconfirmed::Unconfirmed;
use super::{EditError, Engine, Who};
use crate::api::{Applied, Plan};
use crate::config::{Change, Config};
use crate::control::names_of;
use crate::state::{Header, Kind, Store};

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
        let before =
            self.store.history().iter().map(|header| header.generation).find(|it| *it < self.generation);
        let to = to.or(before).ok_or(EditError::NothingBefore)?;
        let config = self.store.config(to)?;
        let change = Change::between(&self.config, &config);
        let source = format!("generation {to}");
        let plan = self.plan_of(&config, &change, &source);
        let size = names_of(&config);
        drop(config);
        if change.is_empty() {
            return Ok(self.applied(plan, false));
        }
        let entry =
            Entry::new(who, Kind::Rollback, vec![format!("roll back to {source}: {}", plan.summary())]);
        self.make_room(size)?;
        self.make(&change, &entry).await?;
        self.life.notes.clear();
        Ok(self.applied(plan, true))
    }

    fn applied(&mut self, plan: Plan, changed: bool) -> Applied {
        if plan.source == self.life.config_file {
            self.note_applied_file();
        }
        let confirm_until = self.unconfirmed.as_ref().map(Unconfirmed::until_text);
        Applied { generation: self.generation, changed, plan, confirm_until }
    }

    /// What of the live edits a change would undo, a sentence each.
    fn undone_edits(&self, change: &Change) -> Vec<String> {
        if change.is_empty() || self.life.live_edits == 0 {
            return Vec::new();
        }
        let whole =
            self.store.history().iter().find(|header| !matches!(header.kind, Kind::Edit | Kind::Switch));
        let applied = match whole.map(|header| self.store.config(header.generation)) {
            Some(Ok(applied)) => applied,
            Some(Err(error)) => return vec![format!("what they changed is not known any more: {error}")],
            None => return Vec::new(),
        };
        let edits = Change::between(&applied, &self.config);
        let pools = edits.pools.keys().filter(|name| change.pools.contains_key(*name));
        let routes = edits.routes.keys().filter(|pattern| change.routes.contains_key(*pattern));
        let pools = pools.map(|name| format!("pool {name}"));
        pools.chain(routes.map(|pattern| format!("route {pattern}"))).collect()
    }
}

/// The records of the live edits since the configuration was last whole, the newest first.
pub(super) fn live_edits(store: &Store) -> impl Iterator<Item = &Header> {
    store.history().iter().take_while(|header| matches!(header.kind, Kind::Edit | Kind::Switch))
}
