//! A slow path in memory.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::daemon::Proxy;
use crate::datapath::CounterId;
use crate::slow_path::{Counters, Options, Pulse, Reason, SlowPathError, View};

/// A slow path in memory. Clones are handles to one.
#[derive(Clone)]
pub(crate) struct FakeSlowPath(Arc<Mutex<Seen>>);

pub(crate) struct Seen {
    /// All that was published.
    pub(crate) views: Vec<View>,
    pub(crate) cleared: Vec<CounterId>,
    /// The listeners of those that took its place.
    pub(crate) renewed: Vec<Vec<SocketAddr>>,
    pub(crate) counters: Counters,
    pub(crate) pulses: Vec<Pulse>,
    /// Where generations are kept.
    pub(crate) state: tempfile::TempDir,
}

impl FakeSlowPath {
    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap()
    }
}

impl Default for FakeSlowPath {
    fn default() -> Self {
        let counters = Counters { reasons: vec![0; Reason::COUNT], ..Counters::default() };
        Self(Arc::new(Mutex::new(Seen {
            views: Vec::new(),
            cleared: Vec::new(),
            renewed: Vec::new(),
            counters,
            pulses: Vec::new(),
            state: tempfile::tempdir().unwrap(),
        })))
    }
}

impl Proxy for FakeSlowPath {
    fn publish(&self, view: View) {
        self.seen().views.push(view);
    }

    fn renew(&self, options: &Options) -> Result<Box<dyn Proxy>, SlowPathError> {
        self.seen().renewed.push(options.listeners.clone());
        Ok(Box::new(self.clone()))
    }

    fn retire(self: Box<Self>) {}

    fn counters(&self) -> Counters {
        self.seen().counters.clone()
    }

    fn backend_counters(&self, _count: usize) -> Vec<dproxy_common::abi::BackendCounters> {
        self.seen().counters.backends.clone()
    }

    fn pulses(&self) -> Vec<Pulse> {
        self.seen().pulses.clone()
    }

    fn clear(&self, counter: CounterId) {
        self.seen().cleared.push(counter);
    }
}
