//! What has happened: a ring for `dproxy events`, and whoever wants to know at once.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tokio::sync::{mpsc, watch};

use crate::api;
use crate::time::rfc3339;

/// Events that are kept.
const KEPT: usize = 1000;
/// Events that may wait for commands to be run.
const WAITING: usize = 256;

/// Declares the kinds: word, and whether it is bad news.
macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $name:ident = $word:literal, $is_bad:literal;)+) => {
        /// What happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum EventKind { $($(#[doc = $doc])+ $name),+ }

        impl EventKind {
            /// The word for it.
            pub(super) const fn word(self) -> &'static str {
                match self { $(Self::$name => $word),+ }
            }

            /// Is something wrong from now on?
            pub(super) const fn is_bad(self) -> bool {
                match self { $(Self::$name => $is_bad),+ }
            }
        }
    };
}

kinds! {
    /// A backend has come up.
    BackendUp = "backend-up", false;
    /// A backend has gone down.
    BackendDown = "backend-down", true;
    /// Too few of a pool's backends are up, so that health is ignored.
    PoolFailOpen = "pool-fail-open", true;
    /// None of a pool's backends can be used.
    PoolDown = "pool-down", true;
    /// Enough of them are up again.
    PoolNormal = "pool-normal", false;
    /// Another tier of a pool is in use.
    PoolTier = "pool-tier", true;
    /// The data plane does not do its job.
    DataPlaneFailed = "data-plane-failed", true;
    /// It does again.
    DataPlaneRecovered = "data-plane-recovered", false;
}

/// All events. Clones are handles to one.
#[derive(Clone)]
pub struct Events(Arc<Shared>);

struct Shared {
    ring: Mutex<VecDeque<api::Event>>,
    last: watch::Sender<u64>,
    listener: Mutex<Option<mpsc::Sender<api::Event>>>,
}

impl Default for Events {
    fn default() -> Self {
        let shared =
            Shared { ring: Mutex::default(), last: watch::Sender::new(0), listener: Mutex::default() };
        Self(Arc::new(shared))
    }
}

impl Events {
    /// Adds one.
    pub(super) fn note(
        &self,
        kind: EventKind,
        pool: Option<&str>,
        backend: Option<SocketAddr>,
        text: String,
    ) -> api::Event {
        let mut ring = self.0.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let event = api::Event {
            id: *self.0.last.borrow() + 1,
            at: rfc3339(SystemTime::now()),
            kind: kind.word().to_owned(),
            pool: pool.map(str::to_owned),
            backend,
            text,
        };
        if ring.len() == KEPT {
            ring.pop_front();
        }
        ring.push_back(event.clone());
        drop(ring);
        self.0.last.send_replace(event.id);
        let listener = self.0.listener.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listener) = &*listener
            && listener.try_send(event.clone()).is_err()
        {
            tracing::error!("commands of health.on_change take too long: none is run for event {}", event.id);
        }
        event
    }

    /// Gets all events from now on, as many as may wait.
    pub(super) fn listen(&self) -> mpsc::Receiver<api::Event> {
        let (sender, receiver) = mpsc::channel(WAITING);
        *self.0.listener.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        receiver
    }

    /// Those behind the one with this number, of those that are kept. A number that is to come is that of a daemon
    /// before: then it is all.
    pub fn after(&self, id: u64) -> api::Events {
        let ring = self.0.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let last = *self.0.last.borrow();
        let id = if id > last { 0 } else { id };
        api::Events { last, events: ring.iter().filter(|event| event.id > id).cloned().collect() }
    }

    /// Waits until there is one behind the one with this number.
    pub async fn wait(&self, id: u64) {
        let mut last = self.0.last.subscribe();
        // The sender lives as long as this.
        let _ = last.wait_for(|last| *last != id).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_thousand_are_kept() {
        let events = Events::default();
        let mut heard = events.listen();
        for number in 0..1500 {
            events.note(EventKind::BackendUp, Some("a"), None, number.to_string());
        }
        let kept = events.after(0);
        assert_eq!((kept.last, kept.events.len(), kept.events[0].id), (1500, 1000, 501));
        assert_eq!(events.after(1499).events[0].text, "1499");
        assert_eq!(events.after(1500).events, []);
        assert_eq!(events.after(9999).events.len(), 1000, "those of another daemon");
        events.wait(1499).await;
        assert_eq!(heard.recv().await.unwrap().id, 1);
        assert_eq!(heard.len(), 255, "nobody waits for who does not listen");
    }
}
