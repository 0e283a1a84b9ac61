//! A line about each packet, for whoever debugs. Userspace switches it on before it loads the program; what
//! is off, the verifier removes.

use aya_ebpf::{macros::map, maps::PerCpuArray};
use aya_log_ebpf::{
    macro_support::{Level, level_enabled},
    trace,
};
use dproxy_common::{
    abi::{NO_ID, Subject},
    log::LineBudget,
    packet::Packet,
    reason::Reason,
    wire::{Address, Be16},
};

use crate::maps;

#[map]
static LINES: PerCpuArray<LineBudget> = PerCpuArray::with_max_entries(1, 0);

/// Tells how a packet ended. `from`, its source, is asked for only if there is a listener: then the headers have
/// been read.
#[inline(always)]
pub fn ended(
    packet: &impl Packet,
    reason: Reason,
    subject: &Subject,
    from: impl FnOnce() -> (Address, Be16),
) {
    // The macro asks as well, but there is more to be saved than what it makes.
    if level_enabled(Level::Trace) && reason.is_logged() {
        let from = if subject.listener == NO_ID { (Address::default(), Be16::default()) } else { from() };
        line(reason as u32, subject, &from, packet.interface(), packet.length() as u32);
    }
}

/// Writes the line. Userspace takes the numbers apart again (`datapath::packet_log`).
#[inline(never)]
fn line(reason: u32, subject: &Subject, from: &(Address, Be16), interface: u32, length: u32) {
    // SAFETY: the element is this processor's.
    let Some(budget) = LINES.get_ptr_mut(0).map(|budget| unsafe { &mut *budget }) else { return };
    let Some(suppressed) = budget.take(maps::ticks()) else { return };
    let Subject { route, listener, pool, backend, rcode: _ } = *subject;
    let (Address { high, low }, port) = *from;
    trace!(
        (),
        target: "packets",
        "{} {} {} {} {} {} {} {} {} {} {}",
        reason, interface, length, listener, route, pool, backend, high, low, port.raw(), suppressed
    );
}
