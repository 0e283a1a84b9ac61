//! The slow path as the engine sees it.

use dproxy_common::abi::BackendCounters;

use crate::datapath::CounterId;
use crate::slow_path::{Counters, Options, Pulse, SlowPath, SlowPathError, View};

/// What the engine wants of the slow path.
pub trait Proxy: Send {
    /// Puts a generation in force, or the one in force with other backends to be reached.
    fn publish(&self, view: View);

    /// Another slow path, to take this one's place. It begins with the same view.
    fn renew(&self, options: &Options) -> Result<Box<dyn Proxy>, SlowPathError>;

    /// Ends, beside another that goes on, and answers what it has under way first. Nobody waits for that.
    fn retire(self: Box<Self>);

    /// Reads all counters.
    fn counters(&self) -> Counters;

    /// Reads those of the first `count` backends alone, by id.
    fn backend_counters(&self, count: usize) -> Vec<BackendCounters>;

    /// What its threads have done so far.
    fn pulses(&self) -> Vec<Pulse>;

    /// Sets counters to zero, because their id is about to mean somebody else.
    fn clear(&self, counter: CounterId);
}

impl Proxy for SlowPath {
    fn publish(&self, view: View) {
        self.publish(view);
    }

    fn renew(&self, options: &Options) -> Result<Box<dyn Proxy>, SlowPathError> {
        Ok(Box::new(self.renew(options)?))
    }

    fn retire(self: Box<Self>) {
        (*self).retire();
    }

    fn counters(&self) -> Counters {
        self.counters()
    }

    fn backend_counters(&self, count: usize) -> Vec<BackendCounters> {
        self.backend_counters(count)
    }

    fn pulses(&self) -> Vec<Pulse> {
        self.pulses()
    }

    fn clear(&self, counter: CounterId) {
        self.clear(counter);
    }
}
