//! The thread that makes checks, and tells the engine who changes. It has its own event loop, so that a large edit does
//! not keep it from asking.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime;
use tokio::sync::mpsc;
use tokio::task::{Id as TaskId, JoinError, JoinSet};
use tokio::time::{MissedTickBehavior, interval, sleep_until};
use tracing::warn;

use super::checks::{Change, Checks, Id, Picture, PoolSpec, Report};
use super::kept::Kept;
use super::member::{Now, Outcome};
use super::passive::Counts;
use super::probe;
use super::question::Said;

/// How often the engine gets a picture when nothing changes.
const PICTURES: Duration = Duration::from_secs(1);

/// What the engine tells the thread.
enum Order {
    Configure(Vec<PoolSpec>),
    /// Which address of ours queries to each backend come from.
    Sources(BTreeMap<SocketAddr, IpAddr>),
    Counts(BTreeMap<SocketAddr, Counts>),
}

/// What the thread tells the engine.
#[derive(Clone, Debug)]
pub struct News {
    /// Who has changed.
    pub changes: Vec<Change>,
    /// All members.
    pub picture: Arc<Picture>,
}

/// The thread. It ends when this is dropped.
#[derive(Debug)]
pub struct Checker {
    orders: Option<mpsc::UnboundedSender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl Checker {
    /// Starts it with a file in the state folder, if there is a folder; also returns what it will tell.
    pub fn start(folder: Option<PathBuf>) -> io::Result<(Self, mpsc::UnboundedReceiver<News>)> {
        let (orders, receiver) = mpsc::unbounded_channel();
        let (sender, news) = mpsc::unbounded_channel();
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let body = move || {
            let kept = folder.as_deref().map(Kept::read).transpose().unwrap_or_else(|error| {
                warn!("who was down before is not known: {error}");
                None
            });
            let kept = kept.unwrap_or_default();
            let worker = Worker {
                checks: Checks::new(kept.clone(), Now::read()),
                sources: BTreeMap::new(),
                running: JoinSet::new(),
                asked: HashMap::new(),
                news: sender,
                folder,
                kept,
            };
            runtime.block_on(worker.run(receiver));
        };
        let thread = thread::Builder::new().name("health".to_owned()).spawn(body)?;
        Ok((Self { orders: Some(orders), thread: Some(thread) }, news))
    }

    /// Sets who is to be checked, and how.
    pub fn configure(&self, specs: Vec<PoolSpec>) {
        self.order(Order::Configure(specs));
    }

    /// Sets which address of ours queries come from.
    pub fn set_sources(&self, sources: BTreeMap<SocketAddr, IpAddr>) {
        self.order(Order::Sources(sources));
    }

    /// Tells what was counted by now.
    pub fn tell_counts(&self, counts: BTreeMap<SocketAddr, Counts>) {
        self.order(Order::Counts(counts));
    }

    fn order(&self, order: Order) {
        if let Some(orders) = &self.orders {
            // It ends with this process alone.
            let _ = orders.send(order);
        }
    }
}

impl Drop for Checker {
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(thread) = self.thread.take() {
            // A panic in it has been printed by itself.
            let _ = thread.join();
        }
    }
}

struct Worker {
    checks: Checks,
    sources: BTreeMap<SocketAddr, IpAddr>,
    running: JoinSet<(Id, Report)>,
    /// Whom each task asks.
    asked: HashMap<TaskId, Id>,
    news: mpsc::UnboundedSender<News>,
    folder: Option<PathBuf>,
    kept: Kept,
}

impl Worker {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let mut pictures = interval(PICTURES);
        pictures.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.ask_who_is_due();
            let due = self.checks.next_due();
            let waiting = async {
                match due {
                    Some(due) => sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            let changes = tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => self.follow(order),
                    None => return,
                },
                Some(ended) = self.running.join_next_with_id() => self.note(ended),
                () = waiting => continue,
                _ = pictures.tick() => {
                    self.tell(Vec::new());
                    continue;
                }
            };
            if !changes.is_empty() {
                self.tell(changes);
            }
        }
    }

    fn follow(&mut self, order: Order) -> Vec<Change> {
        let now = Now::read();
        match order {
            Order::Configure(specs) => {
                self.checks.configure(specs, now);
                self.tell(Vec::new());
                Vec::new()
            }
            Order::Sources(sources) => {
                self.sources = sources;
                Vec::new()
            }
            Order::Counts(counts) => self.checks.read(&counts, now),
        }
    }

    fn ask_who_is_due(&mut self) {
        for task in self.checks.due(Now::read().instant) {
            let (id, target) = (task.id.clone(), task.id.1);
            let source = self.sources.get(&target).copied();
            let running = self.running.spawn(async move {
                let report = probe::ask(target, source, &task.question, task.with_tcp).await;
                (task.id, report)
            });
            self.asked.insert(running.id(), id);
        }
    }

    /// Takes note of a check that has ended, and of all others that have.
    fn note(&mut self, first: Result<(TaskId, (Id, Report)), JoinError>) -> Vec<Change> {
        let now = Now::read();
        let mut changes = Vec::new();
        let mut next = Some(first);
        while let Some(ended) = next {
            let (id, report) = match ended {
                Ok((task, (id, report))) => {
                    self.asked.remove(&task);
                    (id, report)
                }
                Err(error) => {
                    // A bug of ours must not leave a member unasked for good.
                    let Some(id) = self.asked.remove(&error.id()) else { break };
                    warn!("the check of {} of pool {} broke off: {error}", id.1, id.0);
                    (id, Report { outcome: Outcome::Void, said: Said::default() })
                }
            };
            changes.extend(self.checks.note(&id, &report, now));
            next = self.running.try_join_next_with_id();
        }
        changes
    }

    fn tell(&mut self, changes: Vec<Change>) {
        let picture = Arc::new(self.checks.picture(Now::read().instant));
        if let Some(folder) = &self.folder {
            keep(&mut self.kept, &picture, folder);
        }
        // The engine may be about to end.
        let _ = self.news.send(News { changes, picture });
    }
}

/// Writes down who is down, if that has changed.
fn keep(kept: &mut Kept, picture: &Picture, folder: &Path) {
    let now = Kept::of(picture);
    // Before the first configuration, nobody is known.
    if now == *kept || picture.is_empty() {
        return;
    }
    match now.write(folder) {
        Ok(()) => *kept = now,
        Err(error) => warn!("cannot write down who is down: {error}"),
    }
}
