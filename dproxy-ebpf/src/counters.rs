//! Counters: per processor, by reason and by id. Nothing here changes what happens to a packet.

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    macros::map,
    maps::{Array, PerCpuArray},
};
use dproxy_common::{
    abi::{BackendCounters, ListenerCounters, NO_ID, NO_ROUTE, Processor, Subject},
    reason::{Reason, Verdict},
    wire::rcode,
};

use crate::{maps::setting, packet::opaque};

#[map]
static LISTENER_COUNTERS: PerCpuArray<ListenerCounters> = PerCpuArray::with_max_entries(1, 0);
/// A run of counters for each processor. Not a per-CPU array: there, each counter of a million is behind a pointer
/// of its own, and both would have to come from memory.
#[map]
static ROUTE_COUNTERS: Array<u64> = Array::with_max_entries(1, BPF_F_MMAPABLE);
#[map]
static POOL_COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);
#[map]
static BACKEND_COUNTERS: PerCpuArray<BackendCounters> = PerCpuArray::with_max_entries(1, 0);

/// Counts how a packet ended.
#[inline(always)]
pub fn ended(processor: &mut Processor, reason: Reason, subject: &Subject) {
    // VERIFIER: a reason may have been in map memory, and LLVM knows of a bound that the verifier does not
    // ("unbounded memory access").
    if let Some(count) = processor.reasons.get_mut(opaque(reason as usize)) {
        *count += 1;
    }
    match reason.verdict() {
        Verdict::Forward if matches!(reason, Reason::ReplyForwarded) => count_reply(subject),
        Verdict::Deliver if matches!(reason, Reason::ReplyDelivered) => count_reply(subject),
        Verdict::Forward | Verdict::Deliver => count_query(processor, subject, false),
        Verdict::Answer => count_query(processor, subject, true),
        Verdict::Drop if matches!(reason, Reason::RouteDrop) => count_query(processor, subject, false),
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
fn count_query(processor: &Processor, subject: &Subject, answered: bool) {
    if subject.route != NO_ROUTE {
        let index = processor.number as u32 * setting!(route_ids) + subject.route;
        if let Some(counter) = ROUTE_COUNTERS.get_ptr_mut(index) {
            // SAFETY: the element is this processor's.
            unsafe { *counter += 1 }
        }
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
