//! How others talk to the engine.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use tracing::debug;

use super::edit::{Edit, EditError};
use super::engine::{Engine, Made};
use super::who::Who;
use crate::api::{ApiError, Applied, Code, Edited, Plan};
use crate::config::Config;

/// What the engine is asked to do.
pub(super) enum Request {
    /// Look at something.
    Look(Box<dyn FnOnce(&Engine) + Send>),
    /// Make an edit.
    Edit(Wanted, oneshot::Sender<Result<Made, EditError>>),
}

/// An edit that somebody wants.
pub(super) struct Wanted {
    pub(super) edit: Edit,
    pub(super) who: Who,
    /// The generation that it was made for, if it matters.
    pub(super) generation: Option<u64>,
}

/// How long an edit waits for the neighbours of new backends. One that is there answers within
/// milliseconds.
const PATIENCE: Duration = Duration::from_secs(1);

/// Talks to the engine, which does what it is asked in the order in which it is asked.
#[derive(Clone)]
pub struct Handle {
    pub(super) requests: mpsc::Sender<Request>,
    pub(super) asking: watch::Receiver<BTreeSet<IpAddr>>,
}

/// The engine has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("dproxy is about to end")]
pub struct Stopped;

impl Handle {
    /// Lets somebody look at the engine, and tells what was seen.
    pub async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Engine) -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        let (sender, seen) = oneshot::channel();
        let look = Box::new(|engine: &Engine| {
            // Who wanted to know may have gone away since.
            let _ = sender.send(look(engine));
        });
        self.requests.send(Request::Look(look)).await.map_err(|_| Stopped)?;
        seen.await.map_err(|_| Stopped)
    }

    /// Makes an edit. When it is answered, it is in the datapath, and the neighbours of new backends
    /// have been asked for: a query that comes now finds its way.
    ///
    /// It is refused if another generation is in force than the one that it was made for.
    pub async fn edit(&self, edit: Edit, who: Who, generation: Option<u64>) -> Result<Edited, ApiError> {
        let (sender, made) = oneshot::channel();
        let wanted = Wanted { edit, who, generation };
        self.requests.send(Request::Edit(wanted, sender)).await.map_err(|_| Stopped)?;
        let Made { edited, new_addresses } = made.await.map_err(|_| Stopped)??;
        let mut asking = self.asking.clone();
        let settled = asking.wait_for(|asking| asking.is_disjoint(&new_addresses));
        // If they do not answer, `status` says so; the edit is made all the same.
        let _ = timeout(PATIENCE, settled).await;
        Ok(edited)
    }

    /// What an apply of a configuration would change; without one, of the daemon's own file.
    pub async fn plan(&self, _config: Option<Config>) -> Result<Plan, ApiError> {
        Err(not_built()) // LEAD
    }

    /// Puts a whole configuration in force; without one, that of the daemon's own file. With a time to
    /// confirm it, it is taken back at its end unless somebody does.
    pub async fn apply(
        &self,
        _config: Option<Config>,
        _confirm: Option<Duration>,
        _who: Who,
        _generation: Option<u64>,
    ) -> Result<Applied, ApiError> {
        Err(not_built()) // LEAD
    }

    /// Confirms the generation that waits for it.
    pub async fn confirm(&self, _who: Who) -> Result<Edited, ApiError> {
        Err(not_built()) // LEAD
    }

    /// Puts the configuration of an earlier generation in force again; without a number, of the one before.
    pub async fn rollback(
        &self,
        _to: Option<u64>,
        _who: Who,
        _generation: Option<u64>,
    ) -> Result<Applied, ApiError> {
        Err(not_built()) // LEAD
    }
}

impl Engine {
    /// Makes an edit that somebody wants, unless the generation that it was made for has passed.
    pub(super) async fn make(&mut self, wanted: &Wanted) -> Result<Made, EditError> {
        let Wanted { edit, who, generation } = wanted;
        self.expect(*generation)?;
        debug!("{who} wants to {edit}"); // LEAD: for the log and the history
        self.edit(edit).await
    }
}

fn not_built() -> ApiError {
    ApiError::new(Code::Unavailable, "not built yet")
}

impl From<Stopped> for ApiError {
    fn from(stopped: Stopped) -> Self {
        Self::new(Code::Unavailable, stopped.to_string())
    }
}
