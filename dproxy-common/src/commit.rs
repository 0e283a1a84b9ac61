//! The one place that changes packets and slots.
//!
//! Making room for the new headers comes first, because it is the one step that can fail for a cause
//! outside of dproxy; then the packet is as it was and passes on. Claiming the slot comes second, then
//! the writes. That these find their octets has been established by reading the same octets before;
//! the checks that remain are for the verifier, and their failure is [`Reason::Internal`].

use crate::{
    abi::{NatSettings, SlotWord, Subject},
    checksum::Sum,
    frame::{Frame, Network},
    headers, latency, nat,
    packet::Packet,
    plan::{AnswerPlan, Forward, FreshOpt, Headers, Plan, SlotChange},
    reason::Reason,
    reply::LATE,
    tables::State,
    verifier::forget,
    wire::{Be16, Fragmentation, Opt, PROTOCOL_UDP, UdpHeader},
    work::Work,
};

/// Carries out the plan.
#[inline(always)]
pub fn commit<P: Packet, S: State>(
    packet: &mut P,
    state: &mut S,
    settings: &NatSettings,
    work: &mut Work,
) -> Result<(), Reason> {
    let Work { frame, plan, subject, memory, .. } = work;
    match plan {
        Plan::None => Err(Reason::Internal),
        Plan::Forward(plan) => forward(packet, state, settings, Task { frame, plan, subject, memory }),
        Plan::Answer(plan) => answer(packet, frame, plan, memory),
        Plan::Note(query) => {
            state.note_direct(query);
            Ok(())
        }
    }
}

/// What forwarding a packet needs to know.
struct Task<'a> {
    frame: &'a Frame,
    plan: &'a mut Forward,
    subject: &'a Subject,
    memory: &'a mut u32,
}

/// Sends a packet on with new headers.
#[inline(always)]
fn forward<P: Packet, S: State>(
    packet: &mut P,
    state: &mut S,
    settings: &NatSettings,
    task: Task<'_>,
) -> Result<(), Reason> {
    let Task { frame, plan, subject, memory } = task;
    let stay = headers::stay(frame, &plan.headers);
    let growth = if stay { 0 } else { make_room(packet, frame, plan, memory)? };
    match plan.slot {
        // The next packet draws another random number, as it does when a slot is taken.
        SlotChange::None => nat::skip(state),
        SlotChange::Take => {
            let ticket = take_slot(packet, state, settings, frame, plan, subject).ok_or(Reason::Internal)?;
            plan.headers.source_port = ticket.port;
            plan.headers.id = ticket.id;
        }
        SlotChange::Close { slot, word, sent } => {
            if !state.exchange(slot, word, word.closed()) {
                return Err(Reason::ReplyDuplicate);
            }
            if latency::is_sampled(plan.old_id) {
                let time = state.units().wrapping_sub(sent);
                state.count_latency(subject.backend, latency::bucket(time));
            }
        }
    }
    write_forwarded(packet, frame, plan, stay, growth, memory).ok_or(Reason::Internal)
}

/// Makes the frame as much longer at its front as the new headers are; says by how many octets.
#[inline(always)]
fn make_room<P: Packet>(
    packet: &mut P,
    frame: &Frame,
    plan: &Forward,
    memory: &mut u32,
) -> Result<isize, Reason> {
    let growth = headers::length(plan.headers.tags, plan.headers.destination) as i32
        - headers::length(frame.link.tags, frame.network.destination) as i32;
    // VERIFIER: there are 36 ways to come to a number here, which from now on are one.
    let growth = forget(memory, growth as u32) as i32 as isize;
    if growth != 0 {
        packet.grow_head(growth).map_err(|_| Reason::NoRoom)?;
    }
    Ok(growth)
}

/// Writes all that changes in a forwarded packet.
#[inline(always)]
fn write_forwarded<P: Packet>(
    packet: &mut P,
    frame: &Frame,
    plan: &Forward,
    stay: bool,
    growth: isize,
    memory: &mut u32,
) -> Option<()> {
    let new = &plan.headers;
    let network = &frame.network;
    let addresses = Sum::of_change([network.source, network.destination], [new.source, new.destination]);
    let udp = UdpHeader::new(
        new.source_port,
        new.destination_port,
        frame.udp.length(),
        forwarded_checksum(frame, plan, addresses),
    );
    let hops = !plan.is_local() as u8;
    let udp_offset = if stay {
        headers::overwrite(packet, frame, new, (udp, addresses), hops)?;
        frame.transport_offset as usize
    } else {
        let network = Network {
            source: new.source,
            destination: new.destination,
            hop_limit: frame.network.hop_limit - hops,
            ..headers::translated(&frame.network, new.destination.family())
        };
        headers::write(packet, new, &network, udp, memory)?
    };
    packet.store(udp_offset + 8, new.id)?;
    let size = plan.udp_size;
    if size.is_some() {
        packet.store((size.offset as usize).wrapping_add_signed(growth), Be16::new(size.new))?;
    }
    Some(())
}

/// Takes a slot and remembers the client in it.
#[inline(always)]
fn take_slot<P: Packet, S: State>(
    packet: &P,
    state: &mut S,
    settings: &NatSettings,
    frame: &Frame,
    plan: &Forward,
    subject: &Subject,
) -> Option<nat::Ticket> {
    let ticket = nat::take(settings, state)?;
    let now = state.ticks();
    let sent = if latency::is_sampled(ticket.id) { state.units() } else { 0 };
    let slot = state.slot(ticket.slot)?;
    let before = slot.word;
    S::publish(&mut slot.word, SlotWord::EMPTY);
    slot.client = frame.network.source;
    slot.tags = frame.link.tags;
    slot.macs = frame.link.macs.copied();
    slot.client_interface = packet.interface();
    slot.backend_interface = plan.headers.interface;
    slot.client_port = frame.udp.source();
    slot.id = plan.old_id;
    slot.backend = subject.backend;
    slot.listener = subject.listener;
    slot.sent = sent;
    S::publish(&mut slot.word, SlotWord::waiting(ticket.token, now));
    // One that is older than a reply may be was never answered, and does not tell that the ring is small.
    if before != SlotWord::EMPTY && !before.is_closed() && before.age(now) <= LATE {
        state.count_overwritten();
    }
    Some(ticket)
}

/// The UDP checksum after the change of addresses, by which it changes as given, ports, ID and EDNS size. Absent stays absent.
#[inline(always)]
fn forwarded_checksum(frame: &Frame, plan: &Forward, addresses: Sum) -> u16 {
    let headers = &plan.headers;
    if frame.udp.checksum() == 0 {
        return 0;
    }
    let mut sum = Sum::of_checksum(frame.udp.checksum())
        .add_sum(addresses)
        .remove(frame.udp.ports())
        .remove(plan.old_id as u32)
        .add(headers.source_port.raw() as u32)
        .add(headers.destination_port.raw() as u32)
        .add(headers.id as u32);
    let size = plan.udp_size;
    if size.is_some() {
        // At an odd offset the two octets belong to two words of the sum: they count swapped.
        let is_odd = (size.offset - frame.transport_offset) % 2 == 1;
        let raw = |size: u16| if is_odd { size } else { size.to_be() } as u32;
        sum = sum.remove(raw(size.old)).add(raw(size.new));
    }
    sum.udp_checksum()
}

/// Hop limit of packets that dproxy makes itself (RFC 1700, "Default TTL").
const HOP_LIMIT: u8 = 64;

/// Turns a query into the response to it and cuts off what is left over.
#[inline(never)]
fn answer<P: Packet>(
    packet: &mut P,
    frame: &Frame,
    plan: &AnswerPlan,
    memory: &mut u32,
) -> Result<(), Reason> {
    let message_length = plan.message_length();
    packet.truncate((plan.dns_offset + message_length) as usize).map_err(|_| Reason::NoRoom)?;
    let udp_length = Be16::new(8 + message_length as u16);
    let new = Headers {
        interface: plan.interface,
        tags: frame.link.tags,
        macs: frame.link.macs.swapped(),
        source: frame.network.destination,
        destination: frame.network.source,
        source_port: frame.udp.destination(),
        destination_port: frame.udp.source(),
        id: plan.dns.id,
    };
    let checksum = plan
        .message_sum()
        .add_address(new.source)
        .add_address(new.destination)
        .add(new.source_port.raw() as u32)
        .add(new.destination_port.raw() as u32)
        // The pseudo-header has the length once more, and the protocol.
        .add(udp_length.raw() as u32)
        .add(udp_length.raw() as u32)
        .add(Be16::new(PROTOCOL_UDP as u16).raw() as u32)
        .udp_checksum();
    let udp = UdpHeader::new(new.source_port, new.destination_port, udp_length, checksum);
    let network = Network {
        source: new.source,
        destination: new.destination,
        hop_limit: HOP_LIMIT,
        traffic_class: 0,
        ttl_protocol_checksum: 0,
        fragmentation: Fragmentation::NEVER,
        flow_label: 0,
    };
    if let Some(opt) = plan.opt {
        write_opt(packet, plan.dns_offset + 12 + plan.question_length, opt).ok_or(Reason::Internal)?;
    }
    packet.store(plan.dns_offset as usize, plan.dns).ok_or(Reason::Internal)?;
    headers::write(packet, &new, &network, udp, memory).ok_or(Reason::Internal)?;
    Ok(())
}

#[inline(always)]
fn write_opt<P: Packet>(packet: &mut P, offset: u32, opt: FreshOpt) -> Option<()> {
    let offset = offset as usize;
    const { assert!(Opt::LENGTH == 1 + 2 * 5) };
    packet.store(offset, 0u8)?;
    let [rr_type, udp_size, rcode_version, flags, length] = opt.words();
    packet.store(offset + 1, rr_type)?;
    packet.store(offset + 3, udp_size)?;
    packet.store(offset + 5, rcode_version)?;
    packet.store(offset + 7, flags)?;
    packet.store(offset + 9, length)
}
