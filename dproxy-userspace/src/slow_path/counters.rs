//! What the slow path counts.
//!
//! Each worker has counters of its own, which nobody else writes: counting takes no locked instruction.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use dproxy_common::abi::{BackendCounters, ListenerCounters, NO_ID, NO_ROUTE, Subject};
use dproxy_common::wire::rcode;

use super::Reason;
use super::by_route::ByRoute;
use crate::control::Capacity;
use crate::datapath::CounterId;

/// All counters, added up over the workers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// By reason, in the order of [`Reason::ALL`].
    pub reasons: Vec<u64>,
    /// By listener id.
    pub listeners: Vec<ListenerCounters>,
    /// Queries by route id.
    pub routes: Vec<u64>,
    /// Queries by pool id.
    pub pools: Vec<u64>,
    /// By backend id.
    pub backends: Vec<BackendCounters>,
    /// TCP connections of clients, now.
    pub tcp_connections: u64,
    /// TCP connections to backends, now.
    pub backend_connections: u64,
    /// Queries in flight, now.
    pub queries_in_flight: u64,
}

/// One worker's counters.
#[derive(Debug)]
pub(super) struct WorkerCounters {
    reasons: [AtomicU64; Reason::COUNT],
    listeners: Box<[[AtomicU64; 2]]>,
    routes: ByRoute,
    pools: Box<[AtomicU64]>,
    /// In the order of the fields of [`BackendCounters`].
    backends: Box<[[AtomicU64; 7]]>,
    pub(super) tcp_connections: AtomicU64,
    pub(super) backend_connections: AtomicU64,
    pub(super) queries_in_flight: AtomicU64,
    /// How often the thread has come round: it stands still if the thread does.
    pub(super) turns: AtomicU64,
}

/// Adds to a counter that only this thread writes.
pub(super) fn add(counter: &AtomicU64, number: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(number), Relaxed);
}

/// Takes one from a counter that only this thread writes.
pub(super) fn take_one(counter: &AtomicU64) {
    counter.store(counter.load(Relaxed).wrapping_sub(1), Relaxed);
}

impl WorkerCounters {
    pub(super) fn new(capacity: &Capacity) -> Self {
        fn zeros<T: Default>(count: u32) -> Box<[T]> {
            (0..count).map(|_| T::default()).collect()
        }
        Self {
            reasons: std::array::from_fn(|_| AtomicU64::new(0)),
            listeners: zeros(capacity.listener_ids),
            routes: ByRoute::new(),
            pools: zeros(capacity.pool_ids()),
            backends: zeros(capacity.backend_ids),
            tcp_connections: AtomicU64::new(0),
            backend_connections: AtomicU64::new(0),
            queries_in_flight: AtomicU64::new(0),
            turns: AtomicU64::new(0),
        }
    }

    /// Counts that something happened.
    pub(super) fn count(&self, reason: Reason) {
        add(&self.reasons[reason as usize], 1);
    }

    /// Counts a query that was forwarded to `subject`, or answered.
    pub(super) fn count_query(&self, reason: Reason, subject: &Subject) {
        self.count(reason);
        if subject.listener != NO_ID
            && let Some([queries, _]) = self.listeners.get(usize::from(subject.listener))
        {
            add(queries, 1);
        }
        if subject.route != NO_ROUTE
            && let Some(queries) = self.routes.get_or_make(subject.route)
        {
            add(queries, 1);
        }
        if subject.pool != NO_ID
            && let Some(queries) = self.pools.get(usize::from(subject.pool))
        {
            add(queries, 1);
        }
        self.count_backend_query(subject.backend);
    }

    /// Counts a query sent to a backend: also the second one, if it is sent again.
    pub(super) fn count_backend_query(&self, backend: u16) {
        if backend != NO_ID
            && let Some([queries, ..]) = self.backends.get(usize::from(backend))
        {
            add(queries, 1);
        }
    }

    /// Counts a response sent to a client that asked `listener`.
    pub(super) fn count_response(&self, listener: u16) {
        if let Some([_, responses]) = self.listeners.get(usize::from(listener)) {
            add(responses, 1);
        }
    }

    /// Counts a backend's reply.
    pub(super) fn count_reply(&self, reason: Reason, subject: &Subject, response_code: u8) {
        self.count(reason);
        self.count_response(subject.listener);
        let Some([_, replies, noerror, nxdomain, servfail, refused, other]) =
            self.backends.get(usize::from(subject.backend))
        else {
            return;
        };
        add(replies, 1);
        let by_code = match response_code {
            rcode::NOERROR => noerror,
            rcode::NXDOMAIN => nxdomain,
            rcode::SERVFAIL => servfail,
            rcode::REFUSED => refused,
            _ => other,
        };
        add(by_code, 1);
    }

    /// The counters of an id, in the order of their fields.
    fn of(&self, id: CounterId) -> &[AtomicU64] {
        match id {
            CounterId::Listener(id) => self.listeners.get(usize::from(id)).map_or(&[], |all| all),
            CounterId::Route(id) => self.routes.get(id).map_or(&[], std::slice::from_ref),
            CounterId::Pool(id) => self.pools.get(usize::from(id)).map_or(&[], std::slice::from_ref),
            CounterId::Backend(id) => self.backends.get(usize::from(id)).map_or(&[], |all| all),
        }
    }

    /// Adds these to a sum.
    pub(super) fn add_to(&self, sum: &mut Counters) {
        fn grow<T: Clone + Default>(sum: &mut Vec<T>, length: usize) {
            if sum.len() < length {
                sum.resize(length, T::default());
            }
        }
        let value = |counter: &AtomicU64| counter.load(Relaxed);
        grow(&mut sum.reasons, self.reasons.len());
        grow(&mut sum.listeners, self.listeners.len());
        grow(&mut sum.pools, self.pools.len());
        grow(&mut sum.backends, self.backends.len());
        let pairs = |sum: &mut [u64], counters: &[AtomicU64]| {
            sum.iter_mut().zip(counters).for_each(|(sum, counter)| *sum = sum.wrapping_add(value(counter)));
        };
        pairs(&mut sum.reasons, &self.reasons);
        for (first, counters) in self.routes.made() {
            grow(&mut sum.routes, first + counters.len());
            pairs(&mut sum.routes[first..], counters);
        }
        pairs(&mut sum.pools, &self.pools);
        for (sum, counters) in sum.listeners.iter_mut().zip(&self.listeners) {
            fields_of_listener(sum).into_iter().zip(counters).for_each(|(sum, counter)| {
                *sum = sum.wrapping_add(value(counter));
            });
        }
        for (sum, counters) in sum.backends.iter_mut().zip(&self.backends) {
            fields_of_backend(sum).into_iter().zip(counters).for_each(|(sum, counter)| {
                *sum = sum.wrapping_add(value(counter));
            });
        }
        sum.tcp_connections += value(&self.tcp_connections);
        sum.backend_connections += value(&self.backend_connections);
        sum.queries_in_flight += value(&self.queries_in_flight);
    }
}

fn fields_of_listener(counters: &mut ListenerCounters) -> [&mut u64; 2] {
    let ListenerCounters { queries, responses } = counters;
    [queries, responses]
}

fn fields_of_backend(counters: &mut BackendCounters) -> [&mut u64; 7] {
    let BackendCounters { queries, replies, noerror, nxdomain, servfail, refused, other, late: _ } = counters;
    [queries, replies, noerror, nxdomain, servfail, refused, other]
}

/// The counters of all workers, and from where each id's began.
///
/// Only its worker writes a counter. So when an id is about to mean somebody else, what it has counted
/// until then is noted here, and subtracted.
#[derive(Debug, Default)]
pub(super) struct AllCounters {
    workers: Vec<Arc<WorkerCounters>>,
    began: Mutex<BTreeMap<CounterId, Vec<u64>>>,
}

impl AllCounters {
    /// Adds a worker's.
    pub(super) fn push(&mut self, worker: Arc<WorkerCounters>) {
        self.workers.push(worker);
    }

    /// How often each worker has come round, in the order in which they were added.
    pub(super) fn turns(&self) -> impl Iterator<Item = u64> {
        self.workers.iter().map(|worker| worker.turns.load(Relaxed))
    }

    /// Lets an id's counters begin at zero.
    pub(super) fn clear(&self, id: CounterId) {
        let mut sums = Vec::new();
        for worker in &self.workers {
            let counters = worker.of(id);
            sums.resize(counters.len(), 0u64);
            sums.iter_mut().zip(counters).for_each(|(sum, counter)| *sum += counter.load(Relaxed));
        }
        let mut began = self.began.lock().unwrap_or_else(PoisonError::into_inner);
        if sums.iter().any(|sum| *sum != 0) {
            began.insert(id, sums);
        }
    }

    /// Those of the first `count` backends, added up: read often, and there may be ids for thousands.
    pub(super) fn of_backends(&self, count: usize) -> Vec<BackendCounters> {
        let mut sums = vec![BackendCounters::default(); count];
        for worker in &self.workers {
            for (sum, counters) in sums.iter_mut().zip(&worker.backends) {
                fields_of_backend(sum).into_iter().zip(counters).for_each(|(sum, counter)| {
                    *sum = sum.wrapping_add(counter.load(Relaxed));
                });
            }
        }
        let began = self.began.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, before) in &*began {
            if let CounterId::Backend(id) = id
                && let Some(sum) = sums.get_mut(usize::from(*id))
            {
                fields_of_backend(sum).into_iter().zip(before).for_each(|(sum, before)| {
                    *sum = sum.wrapping_sub(*before);
                });
            }
        }
        sums
    }

    /// All of them, added up.
    pub(super) fn sum(&self) -> Counters {
        let mut sum = Counters::default();
        self.workers.iter().for_each(|worker| worker.add_to(&mut sum));
        let began = self.began.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, before) in &*began {
            let subtract = |fields: &mut [&mut u64]| {
                fields
                    .iter_mut()
                    .zip(before)
                    .for_each(|(field, before)| **field = field.wrapping_sub(*before));
            };
            match *id {
                CounterId::Listener(id) => {
                    sum.listeners.get_mut(usize::from(id)).map(|one| subtract(&mut fields_of_listener(one)))
                }
                CounterId::Route(id) => sum.routes.get_mut(id as usize).map(|one| subtract(&mut [one])),
                CounterId::Pool(id) => sum.pools.get_mut(usize::from(id)).map(|one| subtract(&mut [one])),
                CounterId::Backend(id) => {
                    sum.backends.get_mut(usize::from(id)).map(|one| subtract(&mut fields_of_backend(one)))
                }
            };
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_means_somebody_else_counts_from_zero() {
        let worker = Arc::new(WorkerCounters::new(&Capacity::for_routes(10, 10)));
        let mut all = AllCounters::default();
        all.push(Arc::clone(&worker));
        let subject = Subject { route: 3, listener: 1, pool: 2, backend: 4, rcode: 0 };
        let count = || {
            worker.count_query(Reason::UdpForwarded, &subject);
            worker.count_reply(Reason::UdpReplied, &subject, 2);
        };
        count();
        for id in [CounterId::Listener(1), CounterId::Route(3), CounterId::Pool(2), CounterId::Backend(4)] {
            all.clear(id);
        }
        let sum = all.sum();
        assert_eq!((sum.listeners[1].queries, sum.routes[3], sum.pools[2]), (0, 0, 0));
        assert_eq!(sum.backends[4], BackendCounters::default());
        count();
        let sum = all.sum();
        assert_eq!((sum.listeners[1].queries, sum.listeners[1].responses), (1, 1));
        assert_eq!((sum.routes[3], sum.pools[2]), (1, 1));
        assert_eq!((sum.backends[4].queries, sum.backends[4].servfail), (1, 1));
        assert_eq!(all.of_backends(6), sum.backends[..6]);
        assert_eq!(sum.reasons[Reason::UdpForwarded as usize], 2, "these have no id");
    }
}
