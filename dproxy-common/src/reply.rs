//! A backend's reply: back to the client whose query it answers.

use crate::{
    message::{self, DNS_HEADER, UDP_HEADER},
    nat,
    packet::Packet,
    plan::{Forward, Headers, Plan, SlotChange, UdpSize},
    reason::Reason,
    tables::{State, Tables},
    wire::DnsHeader,
    work::Work,
};

/// A reply that took longer is dropped, in ticks. The kernel's tick is 1 to 10 ms (`CONFIG_HZ`), so this is 5
/// to 50 s: longer than any client waits, short enough for ids to be given out again.
pub const LATE: u32 = 5000;

/// Decides what to do with a packet to the NAT range.
#[inline(always)]
pub fn plan<P: Packet, T: Tables, S: State>(
    packet: &P,
    tables: &T,
    state: &mut S,
    work: &mut Work,
) -> Result<(), Reason> {
    let frame = &work.frame;
    let settings = &tables.nat();
    let dns: DnsHeader = packet.load(frame.transport_offset as usize + 8).ok_or(Reason::ReplyUnknown)?;
    if !dns.is_response() {
        return Err(Reason::ReplyUnknown);
    }
    let (index, token) = nat::decode(settings, frame.udp.destination(), dns.id);
    let ticks = state.ticks();
    let slot = state.slot(index).ok_or(Reason::ReplyUnknown)?;
    // Once: this very word is what closing the slot compares with.
    // SAFETY: a reference is valid for reads.
    let word = unsafe { core::ptr::read_volatile(&raw const slot.word) };
    if word.token() != token {
        return Err(Reason::ReplyUnknown);
    }
    work.subject.listener = slot.listener;
    work.subject.backend = slot.backend;
    work.subject.rcode = dns.rcode() as u16;
    let backend = tables.backend(slot.backend).ok_or(Reason::Internal)?;
    if backend.address != frame.network.source || backend.port != frame.udp.source() {
        return Err(Reason::ReplyWrongBackend);
    }
    if slot.backend_interface != packet.interface() {
        return Err(Reason::ReplyWrongInterface);
    }
    if word.is_closed() {
        return Err(Reason::ReplyDuplicate);
    }
    if word.age(ticks) > LATE {
        return Err(Reason::ReplyLate);
    }
    if message::transport(frame)? < UDP_HEADER + DNS_HEADER {
        return Err(Reason::NotDns);
    }
    let listener = tables.listener(slot.listener).ok_or(Reason::Internal)?;
    if frame.udp.checksum() == 0 && slot.client.family() != frame.network.source.family() {
        return Err(Reason::ChecksumAbsent);
    }
    let headers = Headers {
        interface: slot.client_interface,
        tags: slot.tags,
        macs: slot.macs.swapped(),
        source: listener.address,
        destination: slot.client,
        source_port: listener.port,
        destination_port: slot.client_port,
        id: slot.id,
    };
    work.plan = Plan::Forward(Forward {
        headers,
        old_id: dns.id,
        udp_size: UdpSize::NONE,
        slot: SlotChange::Close { slot: index, word, sent: slot.sent },
        reason: Reason::ReplyForwarded,
    });
    Ok(())
}
