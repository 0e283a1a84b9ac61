//! What a thread of the slow path works with.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::LocalSet;
use tokio::time::sleep;
use tracing::error;

use super::counters::{WorkerCounters, add};
use super::limits::Connections;
use super::sockets::Listening;
use super::tcp::Tcp;
use super::{Decider, Limits, Reason, View};

/// How often a thread that serves TCP shows that it runs.
const TURN: Duration = Duration::from_millis(500);

/// What a [`Worker`] is made of, in its thread.
pub(super) struct Parts {
    pub(super) view: watch::Receiver<Option<Arc<View>>>,
    pub(super) counters: Arc<WorkerCounters>,
    pub(super) limits: Limits,
    pub(super) connections: Arc<Connections>,
    pub(super) end: Arc<OnceLock<Instant>>,
}

/// What everything in a thread shares.
pub(super) struct Worker {
    view: watch::Receiver<Option<Arc<View>>>,
    pub(super) decider: RefCell<Decider>,
    pub(super) counters: Arc<WorkerCounters>,
    pub(super) limits: Limits,
    pub(super) connections: Arc<Connections>,
    end: Arc<OnceLock<Instant>>,
}

impl Worker {
    /// The generation in force. Taken once for a query.
    pub(super) fn view(&self) -> Option<Arc<View>> {
        self.view.borrow().clone()
    }

    pub(super) fn count(&self, reason: Reason) {
        self.counters.count(reason);
    }

    /// Set when it is time to end: nothing new is taken, and what is under way may take until then.
    pub(super) fn end(&self) -> Option<Instant> {
        self.end.get().copied()
    }

    /// Returns when it is time to end.
    pub(super) async fn until_over(&self) {
        let mut view = self.view.clone();
        while view.changed().await.is_ok() {}
    }
}

impl Worker {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { view, counters, limits, connections, end } = parts;
        Self { view, decider: RefCell::new(Decider::new(seed())), counters, limits, connections, end }
    }

    /// Serves TCP in this thread until nobody publishes any more, and answers what is under way then.
    pub(super) fn serve_tcp(self, runtime: &Runtime, sockets: Vec<Listening>) {
        let mut view = self.view.clone();
        LocalSet::new().block_on(runtime, async {
            // Until there is something to answer with, connections wait to be accepted.
            if view.wait_for(Option::is_some).await.is_err() {
                return;
            }
            let counters = Arc::clone(&self.counters);
            let turns = async {
                loop {
                    add(&counters.turns, 1);
                    sleep(TURN).await;
                }
            };
            let this = Rc::new(self);
            tokio::select! {
                served = Tcp::serve(&this, sockets) => if let Err(problem) = served {
                    error!("a worker of the slow path cannot serve TCP: {problem}");
                },
                () = turns => {}
            }
        });
    }
}

/// An event loop for one thread.
pub(super) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_io().enable_time().build()
}

/// Different for each worker and start; policies that draw at random need no more.
fn seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
    let place = Box::new(0u8);
    now ^ (&raw const *place as u64).rotate_left(32)
}
