//! A generation that goes away by itself unless somebody confirms it.

use std::time::{Duration, Instant, SystemTime};

use tracing::{error, info, warn};

use super::commit::Entry;
use super::file::Compared;
use super::run::End;
use super::whole::live_edits;
use super::{EditError, Engine, Who};
use crate::api::{self, Edited};
use crate::config::{Change, duration_text};
use crate::time::rfc3339;

/// A generation that waits for its confirmation. The one before it is what the disk has.
#[derive(Debug)]
pub(super) struct Unconfirmed {
    generation: u64,
    back_to: u64,
    undo: Change,
    /// What was known of the file.
    compared: Option<Compared>,
    patience: Duration,
    until: Instant,
    until_time: SystemTime,
}

impl Unconfirmed {
    /// From now on, for so long.
    pub(super) fn new(
        generation: u64,
        back_to: u64,
        undo: Change,
        compared: Option<Compared>,
        patience: Duration,
    ) -> Self {
        let (until, until_time) = (Instant::now() + patience, SystemTime::now() + patience);
        Self { generation, back_to, undo, compared, patience, until, until_time }
    }

    /// As the API shows it.
    pub(super) fn view(&self, generation: u64) -> api::Unconfirmed {
        let seconds_left = self.until.saturating_duration_since(Instant::now()).as_secs();
        api::Unconfirmed { generation, until: self.until_text(), seconds_left, back_to: self.back_to }
    }

    /// When it goes away.
    pub(super) fn until(&self) -> Instant {
        self.until
    }

    /// The same for people (RFC 3339).
    pub(super) fn until_text(&self) -> String {
        rfc3339(self.until_time)
    }

    /// The generation that comes back then.
    pub(super) fn back_to(&self) -> u64 {
        self.back_to
    }
}

impl Engine {
    /// Keeps the generation that waits for it, if it is the one that is meant.
    pub(super) fn confirm(&mut self, who: &Who, generation: Option<u64>) -> Result<Edited, EditError> {
        if let Some(generation) = generation {
            self.expect_generation(generation, true)?;
        }
        let waiting = self.unconfirmed.as_ref().ok_or(EditError::NothingToConfirm)?;
        let generation = waiting.generation;
        self.store.confirm(generation)?;
        self.unconfirmed = None;
        self.recorded = Some(generation);
        info!(generation, by = %who, "confirmed");
        Ok(Edited { generation: self.generation, changed: true })
    }

    /// The end of the daemon. Nothing that is unconfirmed is left behind.
    pub(super) async fn end(&mut self, end: End) {
        if let Err(problem) = self.take_back(Who::Daemon, ended_before).await {
            error!("cannot go back to the generation before: {problem}");
        }
        match end {
            End::Stay if self.datapath.absence().is_none() => {
                info!("the fast path goes on without updates until the next start, or `dproxy detach`");
                self.datapath.stay();
            }
            End::Stay => {}
            End::Detach => {}
        }
    }

    /// Nobody has confirmed in time.
    pub(super) async fn take_back_unconfirmed(&mut self) {
        let Some(patience) = self.unconfirmed.as_ref().map(|waiting| waiting.patience) else { return };
        let why = |generation| {
            format!("nobody confirmed generation {generation} within {}", duration_text(patience))
        };
        if let Err(problem) = self.take_back(Who::Daemon, why).await {
            error!("cannot go back to the generation before: {problem}");
        }
    }

    /// Puts the generation in force again that was before the one that waits for its confirmation.
    pub(super) async fn take_back(
        &mut self,
        by: Who,
        why: impl FnOnce(u64) -> String,
    ) -> Result<(), EditError> {
        let Some(waiting) = self.unconfirmed.take() else { return Ok(()) };
        let Unconfirmed { generation, back_to, ref undo, ref compared, .. } = waiting;
        let what = taken_back(back_to, &why(generation));
        let entry = Entry::taken_back(by, back_to, what.clone());
        // What is written down: as the generation before, which is what the disk still has.
        let compared = compared.clone();
        if let Err(problem) = self.go_back(undo, &entry, back_to).await {
            self.unconfirmed = Some(waiting.later());
            return Err(problem);
        }
        if let Err(problem) = self.store.discard(generation) {
            warn!("{problem}");
        }
        self.life.compared = compared;
        self.life.live_edits = live_edits(&self.store);
        self.life.notes.push(what);
        Ok(())
    }

    /// As [`make`](Self::make), but for the record: relative to the generation on the disk, nothing changes.
    async fn go_back(&mut self, undo: &Change, entry: &Entry, to: u64) -> Result<(), EditError> {
        let redo = self.config.make(undo);
        let addresses = self.addresses();
        self.resolve(&addresses).await.unwrap_or_else(|problem| error!("{problem}"));
        let back = match self.put_in_force(Some(undo), Some(entry)) {
            // The disk has what is wanted. Only who looks into the history will miss it.
            Err(EditError::State(problem)) => {
                warn!("{problem}");
                let unconfirmed = std::mem::replace(&mut self.generation, to);
                let back = self.put_in_force(Some(undo), None);
                match &back {
                    Ok(()) => {
                        entry.what.iter().for_each(|what| info!(generation = to, by = %entry.by, "{what}"))
                    }
                    Err(_) => self.generation = unconfirmed,
                }
                back
            }
            other => other,
        };
        back.inspect_err(|_| drop(self.config.make(&redo)))
    }
}

/// That a generation that nobody has confirmed is taken back, and why.
pub(super) fn taken_back(back_to: u64, why: &str) -> String {
    format!("back to generation {back_to}, since {why}")
}

/// A reason to take a generation back.
pub(super) fn ended_before(generation: u64) -> String {
    format!("dproxy ended before generation {generation} was confirmed")
}

impl Unconfirmed {
    /// The same, to be tried again after a while.
    fn later(self) -> Self {
        const AGAIN: Duration = Duration::from_secs(5);
        Self { until: Instant::now() + AGAIN, ..self }
    }
}
