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

use super::cause::Void;
use super::checks::{Change, Checks, Id, Picture, PoolSpec, Task};
use super::kept::Kept;
use super::member::Now;
use super::passive::Counts;
use super::probe::{self, Ended};
use super::udp::{Answer, Udp};
use crate::config::Transport;

/// How often the engine gets a picture when nothing changes.
const PICTURES: Duration = Duration::from_secs(1);

/// Who is due within so short a time is asked together with who is due now: fewer times to wake up.
const TOGETHER: Duration = Duration::from_millis(5);

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
                udp: Udp::new(),
                tcp: JoinSet::new(),
                tcp_tasks: HashMap::new(),
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
    udp: Udp,
    tcp: JoinSet<(Ended, Duration)>,
    /// Whom each task asks.
    tcp_tasks: HashMap<TaskId, Id>,
    /// Who is being asked.
    asked: HashMap<Id, Asked>,
    news: mpsc::UnboundedSender<News>,
    folder: Option<PathBuf>,
    kept: Kept,
}

/// A check that has not ended.
#[derive(Default)]
struct Asked {
    /// How many transports have not answered.
    waits: usize,
    udp: Option<(Ended, Duration)>,
    tcp: Option<(Ended, Duration)>,
}

impl Worker {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let mut pictures = interval(PICTURES);
        pictures.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let changes = self.ask_who_is_due();
            self.tell_changes(changes);
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
                Some(ended) = self.tcp.join_next_with_id() => self.note_tcp(ended),
                () = self.udp.ready() => {
                    let answers = self.udp.receive();
                    self.note_udp(answers)
                }
                () = waiting => continue,
                _ = pictures.tick() => {
                    self.tell(Vec::new());
                    continue;
                }
            };
            self.tell_changes(changes);
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

    fn ask_who_is_due(&mut self) -> Vec<Change> {
        let now = Now::read().instant;
        let tasks = self.checks.due(now + TOGETHER);
        if tasks.is_empty() {
            return Vec::new();
        }
        let mut failed = Vec::new();
        for task in tasks {
            let [over_udp, over_tcp] =
                [Transport::Udp, Transport::Tcp].map(|transport| task.is_over(transport));
            let Task { id, question, .. } = task;
            let source = self.sources.get(&id.1).copied();
            let asked = Asked { waits: usize::from(over_udp) + usize::from(over_tcp), ..Asked::default() };
            self.asked.insert(id.clone(), asked);
            if over_tcp {
                let (target, question) = (id.1, Arc::clone(&question));
                let task = self.tcp.spawn(async move { probe::over_tcp(target, source, &question).await });
                self.tcp_tasks.insert(task.id(), id.clone());
            }
            if over_udp {
                failed.extend(self.udp.ask(id, source, question, now));
            }
        }
        failed.extend(self.udp.flush());
        self.note_udp(failed)
    }

    fn note_udp(&mut self, answers: Vec<Answer>) -> Vec<Change> {
        let now = Now::read();
        let note = |Answer { id, ended, took }| {
            let asked = self.asked.get_mut(&id)?;
            asked.udp = Some((ended, took));
            self.note(&id, now)
        };
        answers.into_iter().filter_map(note).collect()
    }

    /// Takes note of a task that has ended, and of all others that have.
    fn note_tcp(&mut self, first: Result<(TaskId, (Ended, Duration)), JoinError>) -> Vec<Change> {
        let now = Now::read();
        let mut changes = Vec::new();
        let mut next = Some(first);
        while let Some(result) = next {
            let (task, ended) = match result {
                Ok((task, ended)) => (task, ended),
                Err(error) => {
                    // A bug of ours must not leave a member unasked for good.
                    warn!("a check over TCP broke off: {error}");
                    (error.id(), (Ended::Void(Void::Local(error.to_string())), Duration::ZERO))
                }
            };
            if let Some(id) = self.tcp_tasks.remove(&task)
                && let Some(asked) = self.asked.get_mut(&id)
            {
                asked.tcp = Some(ended);
                changes.extend(self.note(&id, now));
            }
            next = self.tcp.try_join_next_with_id();
        }
        changes
    }

    /// Another transport of a check has ended; with the last one, the check has.
    fn note(&mut self, id: &Id, now: Now) -> Option<Change> {
        let asked = self.asked.get_mut(id)?;
        asked.waits = asked.waits.saturating_sub(1);
        if asked.waits > 0 {
            return None;
        }
        let Asked { udp, tcp, .. } = self.asked.remove(id)?;
        self.checks.note(id, &probe::report(id.1, udp, tcp), now)
    }

    fn tell_changes(&mut self, changes: Vec<Change>) {
        if !changes.is_empty() {
            self.tell(changes);
        }
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
