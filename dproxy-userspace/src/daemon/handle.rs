//! How others talk to the engine.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::edit::{Edit, EditError};
use super::engine::{Engine, Made};
use crate::api::{ApiError, Code, Edited};

/// What the engine is asked to do.
pub(super) enum Request {
    /// Look at something.
    Look(Box<dyn FnOnce(&Engine) + Send>),
    /// Make an edit.
    Edit(Edit, oneshot::Sender<Result<Made, EditError>>),
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
    pub async fn edit(&self, edit: Edit) -> Result<Edited, ApiError> {
        let (sender, made) = oneshot::channel();
        self.requests.send(Request::Edit(edit, sender)).await.map_err(|_| Stopped)?;
        let Made { edited, new_addresses } = made.await.map_err(|_| Stopped)??;
        let mut asking = self.asking.clone();
        let settled = asking.wait_for(|asking| asking.is_disjoint(&new_addresses));
        // If they do not answer, `status` says so; the edit is made all the same.
        let _ = timeout(PATIENCE, settled).await;
        Ok(edited)
    }
}

impl From<Stopped> for ApiError {
    fn from(stopped: Stopped) -> Self {
        Self::new(Code::Unavailable, stopped.to_string())
    }
}
