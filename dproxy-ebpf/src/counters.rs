//! Counters: per processor, by reason and by id. Nothing here changes what happens to a packet.

use dproxy_common::{
    abi::{BackendCounters, ListenerCounters, NO_ID, NO_ROUTE, Processor, Subject},
    reason::{Reason, Verdict},
    wire::rcode,
};

use crate::{
    maps::{BACKEND_COUNTERS, LISTENER_COUNTERS, POOL_COUNTERS, ROUTE_COUNTERS, processor_number, setting},
    packet::opaque,
};

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
        Verdict::Forward | Verdict::Deliver => count_query(subject, false),
        Verdict::Answer => count_query(subject, true),
        Verdict::Drop if matches!(reason, Reason::RouteDrop) => count_query(subject, false),
        Verdict::Drop if matches!(reason, Reason::ReplyLate) => {
            if let Some(backend) = backend_counters(subject) {
                backend.late += 1;
            }
        }
        Verdict::Pass | Verdict::Drop | Verdict::Abort => {}
    }
}

#[inline(always)]
fn count_query(subject: &Subject, answered: bool) {
    if subject.route != NO_ROUTE {
        let index = processor_number() * setting!(route_ids) + subject.route;
        if let Some(counter) = ROUTE_COUNTERS.get_ptr_mut(index) {
            // SAFETY: the element is this processor's.
            unsafe { *counter += 1 }
        }
    }
    if let Some(listener) = listener_counters(subject) {
        listener.queries += 1;
        listener.responses += u64::from(answered);
    }
    if subject.pool != NO_ID
        && let Some(counter) = of_pool(subject.pool)
    {
        *counter += 1;
    }
    if let Some(backend) = backend_counters(subject) {
        backend.queries += 1;
    }
}

#[inline(always)]
fn count_reply(subject: &Subject) {
    if let Some(listener) = listener_counters(subject) {
        listener.responses += 1;
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

/// The queries of a pool, on this processor.
#[inline(always)]
pub fn of_pool(pool: u16) -> Option<&'static mut u64> {
    let (processors, pools) = (setting!(processors), setting!(pools));
    let counter = POOL_COUNTERS.in_run(processor_number(), processors, u32::from(pool), pools)?;
    // SAFETY: the entry is this processor's.
    Some(unsafe { &mut *counter })
}

#[inline(always)]
fn listener_counters(subject: &Subject) -> Option<&'static mut ListenerCounters> {
    let id = u32::from(subject.listener);
    let counters =
        LISTENER_COUNTERS.in_run(processor_number(), setting!(processors), id, setting!(listeners))?;
    // SAFETY: the entry is this processor's.
    Some(unsafe { &mut *counters })
}

#[inline(always)]
fn backend_counters(subject: &Subject) -> Option<&'static mut BackendCounters> {
    if subject.backend == NO_ID {
        return None;
    }
    let id = u32::from(subject.backend);
    let counters =
        BACKEND_COUNTERS.in_run(processor_number(), setting!(processors), id, setting!(backends))?;
    // SAFETY: as above.
    Some(unsafe { &mut *counters })
}
