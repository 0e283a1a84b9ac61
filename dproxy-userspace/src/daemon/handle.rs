//! How others talk to the engine.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::edits::{EditMade, EditRequest};
use super::engine::Engine;
use super::whole::Wanted;
use super::{Edit, Events, Who};
use crate::api::{ApiError, Applied, Code, Edited, Plan};
use crate::config::{Config, Files};

/// What the engine is asked to do.
pub(super) enum Request {
    /// Look at something.
    Look(Box<dyn FnOnce(&Engine) + Send>),
    /// Do something.
    Act(Box<Act>),
    /// Make an edit.
    Edit(Box<EditRequest>),
}

/// Something to be done by the engine.
type Act = dyn for<'e> FnOnce(&'e mut Engine) -> LocalBoxFuture<'e, ()> + Send;

/// How long an edit waits for the neighbours of new backends. One that is there answers within
/// milliseconds.
const PATIENCE: Duration = Duration::from_secs(1);

/// Talks to the engine, which does what it is asked in the order in which it is asked.
#[derive(Clone)]
pub struct Handle {
    pub(super) requests: mpsc::Sender<Request>,
    pub(super) asking: watch::Receiver<BTreeSet<IpAddr>>,
    /// What has happened.
    pub events: Events,
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

    /// Makes an edit. When it is answered, it is in the datapath and on the disk, and the neighbours of new backends
    /// have been asked for: a query that comes now finds its way. `generation`: the one that it was made for.
    pub async fn edit(&self, edit: Edit, who: Who, generation: Option<u64>) -> Result<Edited, ApiError> {
        let (answer, made) = oneshot::channel();
        let request = EditRequest { edit, who, generation, answer };
        self.requests.send(Request::Edit(Box::new(request))).await.map_err(|_| Stopped)?;
        let EditMade { edited, new_addresses } = made.await.map_err(|_| Stopped)??;
        let mut asking = self.asking.clone();
        let settled = asking.wait_for(|asking| asking.is_disjoint(&new_addresses));
        // If they do not answer, `status` says so; the edit is made all the same.
        let _ = timeout(PATIENCE, settled).await;
        Ok(edited)
    }

    /// What would change if a configuration were applied; without one, the daemon's own file.
    pub async fn plan(&self, config: Option<Config>) -> Result<Plan, ApiError> {
        let (config, source, _) = self.wanted(config).await?;
        Ok(self.look(move |engine| engine.plan(&config, &source)).await?)
    }

    /// Makes what runs like a configuration; without one, like the daemon's own file.
    pub async fn apply(&self, config: Option<Config>, how: Apply) -> Result<Applied, ApiError> {
        let (config, source, files) = self.wanted(config).await?;
        let is_another = files.is_none();
        let Apply { who, generation, confirm, discard_edits } = how;
        let wanted = Wanted { config, source, who, generation, confirm, discard_edits };
        let applied = self
            .act(move |engine, answer| {
                Box::pin(async move {
                    let applied = engine.apply(wanted).await;
                    if let (Ok(_), Some(files)) = (&applied, files) {
                        engine.note_applied_file(files);
                    }
                    let _ = answer.send(applied);
                })
            })
            .await?;
        if is_another {
            self.compare_file_again();
        }
        Ok(applied)
    }

    /// Keeps the generation that waits for its confirmation. `generation`: the one that is meant, if somebody says so.
    pub async fn confirm(&self, who: Who, generation: Option<u64>) -> Result<Edited, ApiError> {
        self.act(move |engine, answer| {
            Box::pin(async move {
                let _ = answer.send(engine.confirm(&who, generation));
            })
        })
        .await
    }

    /// Goes back to an earlier generation; without a number, to the one before.
    pub async fn rollback(
        &self,
        to: Option<u64>,
        who: Who,
        generation: Option<u64>,
    ) -> Result<Applied, ApiError> {
        let applied = self
            .act(move |engine, answer| {
                Box::pin(async move {
                    let _ = answer.send(engine.roll_back(to, who, generation).await);
                })
            })
            .await?;
        self.compare_file_again();
        Ok(applied)
    }

    /// Lets somebody change something about the engine that is no part of the configuration.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Engine) -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        self.act(move |engine, answer| {
            Box::pin(async move {
                let _ = answer.send(Ok::<_, Stopped>(change(engine)));
            })
        })
        .await
    }

    /// Lets the engine do something, and tells what came of it.
    async fn act<T: Send + 'static, E: Into<ApiError> + Send + 'static>(
        &self,
        act: impl for<'e> FnOnce(&'e mut Engine, oneshot::Sender<Result<T, E>>) -> LocalBoxFuture<'e, ()>
        + Send
        + 'static,
    ) -> Result<T, ApiError> {
        let (answer, done) = oneshot::channel();
        let act = Request::Act(Box::new(move |engine| act(engine, answer)));
        self.requests.send(act).await.map_err(|_| Stopped)?;
        done.await.map_err(|_| Stopped)?.map_err(Into::into)
    }

    /// The configuration that somebody wants, where it comes from, and the files if it is the daemon's own.
    async fn wanted(&self, config: Option<Config>) -> Result<(Config, String, Option<Files>), ApiError> {
        if let Some(config) = config {
            return Ok((config, "the configuration in the request".to_owned(), None));
        }
        let file = self.look(|engine| engine.life.config_file.clone()).await?;
        let path = PathBuf::from(&file);
        let loading = spawn_blocking(move || Config::load_with_files(&path));
        let (loaded, files) = loading.await.map_err(|_| Stopped)?;
        Ok((loaded?, file, Some(files)))
    }
}

/// What has been asked through a [`Handle`].
pub struct Requests(pub(super) mpsc::Receiver<Request>);

/// Edits that share a generation, at most.
const BATCH: usize = 256;

impl Requests {
    /// Edits that wait behind one, and then what is no edit.
    pub(super) fn more_edits(&mut self, first: EditRequest) -> (Vec<EditRequest>, Option<Request>) {
        let mut edits = vec![first];
        while edits.len() < BATCH {
            match self.0.try_recv() {
                Ok(Request::Edit(edit)) => edits.push(*edit),
                Ok(other) => return (edits, Some(other)),
                Err(_) => break,
            }
        }
        (edits, None)
    }
}

/// How a configuration is applied.
#[derive(Clone, Debug)]
pub struct Apply {
    /// Who wants it.
    pub who: Who,
    /// The generation that it was made for.
    pub generation: Option<u64>,
    /// How long to wait for a confirmation, if one is needed.
    pub confirm: Option<Duration>,
    /// May live edits be lost that it knows nothing of?
    pub discard_edits: bool,
}

impl From<Stopped> for ApiError {
    fn from(stopped: Stopped) -> Self {
        Self::new(Code::Unavailable, stopped.to_string())
    }
}
