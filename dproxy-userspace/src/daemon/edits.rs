//! Live edits: those that wait for the engine at the same time share a generation.

use std::collections::BTreeSet;
use std::net::IpAddr;

use tokio::sync::oneshot;

use super::commit::{Entry, Made};
use super::{Edit, EditError, Engine, Who};
use crate::api::{self, Edited};
use crate::config::{Change, Target, WeightedBackend, check_change};
use crate::health::State;
use crate::state::{Header, Kind};

/// An edit that somebody waits for.
#[derive(Debug)]
pub(super) struct EditRequest {
    pub(super) edit: Edit,
    pub(super) who: Who,
    /// The generation that it was made for.
    pub(super) generation: Option<u64>,
    pub(super) answer: oneshot::Sender<Result<EditMade, EditError>>,
}

/// An edit was made.
#[derive(Debug)]
pub(crate) struct EditMade {
    pub(crate) edited: Edited,
    /// Addresses of backends that there were none at before.
    pub(super) new_addresses: BTreeSet<IpAddr>,
}

/// A valid edit, and what it changes of the configuration that those before it lead to.
#[derive(Debug)]
struct Drafted {
    request: EditRequest,
    change: Change,
}

impl Engine {
    /// Makes edits, all in one generation if that is possible, and answers each.
    pub(super) async fn edit_all(&mut self, requests: Vec<EditRequest>) {
        let drafted = self.draft(requests);
        if drafted.len() < 2 {
            for one in drafted {
                let made = self.make_edits(std::slice::from_ref(&one)).await;
                self.answer_edit(one, made);
            }
            return;
        }
        match self.make_edits(&drafted).await {
            Ok(made) => {
                for one in drafted {
                    let made = Made { new_addresses: made.new_addresses.clone(), ..Made::default() };
                    self.answer_edit(one, Ok(made));
                }
            }
            // One of them may be to blame. Alone, each gets an answer of its own.
            Err(_) => {
                for Drafted { request, .. } in drafted {
                    Box::pin(self.edit_all(vec![request])).await;
                }
            }
        }
    }

    /// Those of some edits that are valid, each after the ones before it. The others are answered.
    fn draft(&mut self, requests: Vec<EditRequest>) -> Vec<Drafted> {
        let (mut drafted, mut undos) = (Vec::new(), Vec::new());
        for request in requests {
            let is_first = undos.is_empty();
            match self.draft_one(&request, is_first) {
                Ok(change) => {
                    if !change.is_empty() {
                        undos.push(self.config.make(&change));
                    }
                    drafted.push(Drafted { request, change });
                }
                Err(error) => send(request, Err(error)),
            }
        }
        undos.iter().rev().for_each(|undo| drop(self.config.make(undo)));
        drafted
    }

    fn draft_one(&mut self, request: &EditRequest, is_first: bool) -> Result<Change, EditError> {
        self.take_edits()?;
        if let Some(generation) = request.generation {
            // Behind another edit, it would not be made to what it was made for.
            self.expect_generation(generation, is_first)?;
        }
        let change = self.change_of(&request.edit)?;
        if !change.is_empty() {
            let undo = self.config.make(&change);
            let problems = check_change(&self.config, &change);
            self.config.make(&undo);
            if !problems.is_empty() {
                return Err(EditError::Invalid(problems));
            }
        }
        Ok(change)
    }

    fn change_of(&self, edit: &Edit) -> Result<Change, EditError> {
        if let Edit::Switch { to, force: false, .. } = edit
            && !self.is_up(to)
        {
            return Err(EditError::NotUp(to.clone()));
        }
        match edit.change(&self.config) {
            // All routes were moved: which these were, the history knows.
            Err(EditError::NotOnSwitch { from, to }) => self.moved_back(&from, &to),
            change => change,
        }
    }

    /// Does a pool have a backend that gets queries, can be reached and is not down? (One that does not exist has another problem.)
    fn is_up(&self, name: &str) -> bool {
        let Some(pool) = self.config.pools.get(name) else { return true };
        let mut backends = pool.backends.iter().filter(|backend| backend.share() > 0);
        let is_down = |backend: &WeightedBackend| {
            self.health.portrait(name, backend.address).is_some_and(|it| it.state == State::Down)
        };
        backends.any(|backend| self.way(pool, backend.address).path != api::Path::None && !is_down(backend))
    }

    /// What takes back the last move of all routes from a pool to another.
    fn moved_back(&self, from: &str, to: &str) -> Result<Change, EditError> {
        let not_moved = || EditError::NotOnSwitch { from: from.to_owned(), to: to.to_owned() };
        let edit = Edit::Switch { from: from.to_owned(), to: to.to_owned(), percent: None, force: false };
        let moves = |header: &&Header| header.what.iter().any(|what| what.starts_with(&edit.to_string()));
        let moved = self.store.history().iter().find(moves).ok_or_else(not_moved)?;
        // Not its base: its record may have been made a whole one.
        let older = |header: &&Header| header.generation < moved.generation;
        let before = self.store.history().iter().find(older).ok_or_else(not_moved)?.generation;
        let (before, after) = (self.store.config(before)?, self.store.config(moved.generation)?);
        let led_to = |target: Option<&Target>, pool: &str| matches!(target, Some(Target::Pool(name)) if **name == *pool);
        let mut change = Change::between(&after, &before);
        change.routes.retain(|pattern, target| {
            led_to(target.as_ref(), from) && led_to(self.config.routes.get(pattern), to)
        });
        if change.routes.is_empty() {
            Err(not_moved())
        } else {
            Ok(Change { routes: change.routes, ..Change::default() })
        }
    }

    async fn make_edits(&mut self, drafted: &[Drafted]) -> Result<Made, EditError> {
        let mut change = Change::default();
        drafted.iter().for_each(|one| change.followed_by(one.change.clone()));
        if change.is_empty() {
            return Ok(Made::default());
        }
        let changing = || drafted.iter().filter(|one| !one.change.is_empty());
        let first = changing().map(|one| &one.request).next();
        let is_one = changing().all(|one| Some(&one.request.who) == first.map(|first| &first.who));
        let sentence = |one: &Drafted| match is_one {
            true => one.request.edit.to_string(),
            false => format!("{}, by {}", one.request.edit, one.request.who),
        };
        let by = first.map_or(Who::Daemon, |first| first.who.clone());
        let is_switch = changing().all(|one| one.request.edit.is_switch());
        let kind = if is_switch { Kind::Switch } else { Kind::Edit };
        let entry = Entry::new(by, kind, changing().map(sentence).collect());
        self.make(&change, &entry).await
    }

    fn answer_edit(&self, Drafted { request, change }: Drafted, made: Result<Made, EditError>) {
        let edited = Edited { generation: self.generation, changed: !change.is_empty() };
        send(request, made.map(|made| EditMade { edited, new_addresses: made.new_addresses }));
    }

    /// May edits be made now?
    pub(super) fn take_edits(&self) -> Result<(), EditError> {
        match &self.unconfirmed {
            None => Ok(()),
            Some(unconfirmed) => {
                Err(EditError::Unconfirmed { generation: self.generation, until: unconfirmed.until_text() })
            }
        }
    }

    /// Is a generation the one in force, and was nothing changed since?
    pub(super) fn expect_generation(&self, generation: u64, is_unchanged: bool) -> Result<(), EditError> {
        if generation == self.generation && is_unchanged {
            return Ok(());
        }
        let newer = self.store.history().iter().take_while(|header| header.generation > generation);
        let since =
            newer.flat_map(|header| header.what.iter().map(|what| format!("{what}, by {}", header.by)));
        Err(EditError::Stale {
            made_for: generation,
            in_force: self.generation,
            since: since.take(SHOWN).collect(),
        })
    }
}

/// Edits since the generation that another was made for, shown at most.
const SHOWN: usize = 5;

fn send(request: EditRequest, answer: Result<EditMade, EditError>) {
    // Whoever asked may have gone away since. The edit is made all the same.
    let _ = request.answer.send(answer);
}
