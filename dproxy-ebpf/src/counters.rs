//! Counters: per processor, by reason and by id. Nothing here changes what happens to a packet.

use aya_ebpf::{macros::map, maps::PerCpuArray};
use dproxy_common::{
    abi::{BackendCounters, ListenerCounters, NO_ID, NO_ROUTE, Subject},
    reason::{Reason, Verdict},
    wire::rcode,
};

#[map]
static REASONS: PerCpuArray<u64> = PerCpuArray::with_max_entries(Reason::COUNT as u32, 0);
#[map]
static RECEIVED: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);
#[map]
static OVERWRITTEN: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);
#[map]
static LISTENER_COUNTERS: PerCpuArray<ListenerCounters> = PerCpuArray::with_max_entries(1, 0);
#[map]
static ROUTE_COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);
#[map]
static POOL_COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);
#[map]
static BACKEND_COUNTERS: PerCpuArray<BackendCounters> = PerCpuArray::with_max_entries(1, 0);

/// Counts a packet that came in.
#[inline(always)]
pub fn received() {
    add(&RECEIVED, 0);
}

/// Counts a slot that was taken while its query still waited.
#[inline(always)]
pub fn overwritten() {
    add(&OVERWRITTEN, 0);
}

/// Counts how a packet ended.
#[inline(always)]
pub fn ended(reason: Reason, subject: &Subject) {
    add(&REASONS, reason as u32);
    match reason.verdict() {
        Verdict::Forward if matches!(reason, Reason::ReplyForwarded) => count_reply(subject),
        Verdict::Deliver if matches!(reason, Reason::ReplyDelivered) => count_reply(subject),
        Verdict::Forward | Verdict::Deliver => count_query(subject, false),
        Verdict::Answer => count_query(subject, true),
        Verdict::Drop if matches!(reason, Reason::RouteDrop) => count_query(subject, false),
        Verdict::Pass | Verdict::Drop | Verdict::Abort => {}
    }
}

/// Adds one. An index out of range counts nothing.
#[inline(always)]
fn add(counters: &PerCpuArray<u64>, index: u32) {
    if let Some(counter) = counters.get_ptr_mut(index) {
        // SAFETY: the element is this processor's.
        unsafe { *counter += 1 }
    }
}

#[inline(always)]
fn count_query(subject: &Subject, answered: bool) {
    if subject.route != NO_ROUTE {
        add(&ROUTE_COUNTERS, subject.route);
    }
    if let Some(listener) = LISTENER_COUNTERS.get_ptr_mut(u32::from(subject.listener)) {
        // SAFETY: as in `add`.
        let listener = unsafe { &mut *listener };
        listener.queries += 1;
        listener.responses += u64::from(answered);
    }
    if subject.pool != NO_ID {
        add(&POOL_COUNTERS, u32::from(subject.pool));
    }
    if let Some(backend) = backend_counters(subject) {
        backend.queries += 1;
    }
}

#[inline(always)]
fn count_reply(subject: &Subject) {
    if let Some(listener) = LISTENER_COUNTERS.get_ptr_mut(u32::from(subject.listener)) {
        // SAFETY: as in `add`.
        unsafe { (*listener).responses += 1 }
    }
    let Some(backend) = backend_counters(subject) else { return };
    backend.replies += 1;
    let by_rcode = match subject.rcode as u8 {
        rcode::NOERROR => &mut backend.noerror,
        rcode::NXDOMAIN => &mut backend.nxdomain,
        rcode::SERVFAIL => &mut backend.servfail,
        rcode::REFUSED => &mut backend.refused,
        _ => &mut backend.other,
    };
    *by_rcode += 1;
}

#[inline(always)]
fn backend_counters(subject: &Subject) -> Option<&'static mut BackendCounters> {
    if subject.backend == NO_ID {
        return None;
    }
    // SAFETY: as in `add`.
    BACKEND_COUNTERS.get_ptr_mut(u32::from(subject.backend)).map(|counters| unsafe { &mut *counters })
}
