//! A query: from the DNS header to a plan.

use crate::{
    abi::{Answer, Generation},
    answer,
    frame::Frame,
    name, nat,
    packet::Packet,
    plan::{Forward, Headers, Plan, SlotChange, UdpSize},
    reason::Reason,
    route, select,
    tables::{State, Tables},
    wire::{Be16, DnsHeader, Family, Opt, TYPE_OPT},
    work::Work,
};

/// A well-formed query with one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    /// Its DNS header.
    pub dns: DnsHeader,
    /// Where the DNS header begins in the frame.
    pub dns_offset: u32,
    /// Octets of the question: name, type and class.
    pub question_length: u32,
    /// Its OPT record, if that is the first additional record.
    pub opt: Opt,
}

/// Decides what to do with a query.
#[inline(never)]
pub fn plan<P: Packet, T: Tables, S: State>(
    packet: &P,
    tables: &T,
    state: &mut S,
    work: &mut Work,
    generation: &Generation,
) -> Result<(), Reason> {
    let dns = header(packet, &work.frame)?;
    let dns_offset = work.frame.transport_offset + UDP_HEADER;
    let udp_end = work.frame.transport_offset + work.frame.udp.length.get() as u32;
    name::walk(packet, dns_offset + DNS_HEADER, udp_end, generation, &mut work.name)?;
    let question_length = work.name.length + 1 + TYPE_AND_CLASS;
    let question_end = dns_offset + DNS_HEADER + question_length;
    if question_end > udp_end {
        return Err(Reason::QuestionCut);
    }
    route::longest_match(packet, tables, work.half, generation, &mut work.name)?;
    let opt = find_opt(packet, &dns, question_end, udp_end);
    let query = Query { dns, dns_offset, question_length, opt };
    let target = work.name.route;
    if !target.target.is_some() {
        return answer::plan(packet, &query, Answer::Refused, Reason::NoRoute, work);
    }
    work.subject.route = target.route;
    match target.target.decode() {
        Ok(pool) => forward(tables, state, generation, &query, pool, work),
        Err(answer) => answer::plan(packet, &query, answer, answer::reason(answer)?, work),
    }
}

const UDP_HEADER: u32 = 8;
const DNS_HEADER: u32 = 12;
const TYPE_AND_CLASS: u32 = 4;

/// Checks everything in front of the question, in the order in which a stack would.
#[inline(always)]
fn header<P: Packet>(packet: &P, frame: &Frame) -> Result<DnsHeader, Reason> {
    let udp_length = transport(frame)?;
    if frame.udp.source == Be16::default()
        || !frame.network.source.can_be_answered()
        || frame.network.source == frame.network.destination
    {
        return Err(Reason::BadSource);
    }
    if udp_length < UDP_HEADER + DNS_HEADER {
        return Err(Reason::NotDns);
    }
    let dns_offset = frame.transport_offset + UDP_HEADER;
    let dns: DnsHeader = packet.load(dns_offset as usize).ok_or(Reason::NotDns)?;
    if dns.is_response() {
        return Err(Reason::UnexpectedResponse);
    }
    if dns.opcode() != 0 {
        return Err(Reason::Opcode);
    }
    if dns.questions != Be16::new(1) {
        return Err(Reason::QuestionCount);
    }
    Ok(dns)
}

/// Checks IP and UDP of a packet that is ours; returns the UDP length.
#[inline(always)]
pub fn transport(frame: &Frame) -> Result<u32, Reason> {
    if let Some(fault) = frame.header_fault {
        return Err(fault);
    }
    if frame.has_options {
        return Err(Reason::IpOptions);
    }
    if frame.network.hop_limit <= 1 {
        return Err(Reason::TtlExpired);
    }
    let udp_length = frame.udp.length.get() as u32;
    if udp_length < UDP_HEADER || udp_length > frame.payload_length {
        return Err(Reason::BadLength);
    }
    if udp_length < frame.payload_length {
        return Err(Reason::UdpSurplus);
    }
    if frame.udp.checksum == 0 && frame.network.destination.family() == Family::V6 {
        return Err(Reason::UdpChecksumZero);
    }
    Ok(udp_length)
}

/// The OPT record, if it is what follows the question; else [`Opt::NONE`].
///
/// RFC 6891 §6.1.1 allows it anywhere among the additional records; queries have it first, or behind
/// nothing but what a signature brings. Elsewhere it is not looked for.
///
/// VERIFIER: not an `Option`, see [`Opt::NONE`].
#[inline(always)]
fn find_opt<P: Packet>(packet: &P, dns: &DnsHeader, offset: u32, udp_end: u32) -> Opt {
    let none = Be16::default();
    let may_be = dns.additionals != none && dns.answers == none && dns.authorities == none;
    if !may_be || offset + Opt::LENGTH > udp_end {
        return Opt::NONE;
    }
    let at = offset as usize;
    let root: u8 = packet.load(at).unwrap_or(u8::MAX);
    let rr_type: Be16 = packet.load(at + 1).unwrap_or_default();
    if root != 0 || rr_type.get() != TYPE_OPT {
        return Opt::NONE;
    }
    let udp_size: Be16 = packet.load((offset + Opt::UDP_SIZE) as usize).unwrap_or_default();
    let version: u8 = packet.load(at + 6).unwrap_or_default();
    let flags: u8 = packet.load(at + 7).unwrap_or_default();
    Opt { offset, udp_size: udp_size.get(), version, dnssec_ok: flags & 0x80 != 0 }
}

/// Chooses a backend.
#[inline(always)]
fn forward<T: Tables, S: State>(
    tables: &T,
    state: &mut S,
    generation: &Generation,
    query: &Query,
    pool: u16,
    work: &mut Work,
) -> Result<(), Reason> {
    let pool = tables.pool(work.half, pool as u32).ok_or(Reason::Internal)?;
    work.subject.pool = pool.id;
    let random = nat::peek_random(state.cursor().ok_or(Reason::Internal)?);
    select::select(tables, pool, random, work)?;
    let backend = tables.backend(work.subject.backend).ok_or(Reason::Internal)?;
    let next_hop = tables.next_hop(work.next_hop).ok_or(Reason::Internal)?;
    if work.frame.udp.checksum == 0 && next_hop.source.family() == Family::V6 {
        return Err(Reason::ChecksumAbsent);
    }
    let headers = Headers {
        interface: next_hop.interface,
        tags: next_hop.tags,
        destination_mac: next_hop.destination_mac,
        source_mac: next_hop.source_mac,
        source: next_hop.source,
        destination: backend.address,
        source_port: Be16::default(),
        destination_port: backend.port,
        id: 0,
    };
    work.plan = Plan::Forward(Forward {
        headers,
        old_id: query.dns.id,
        udp_size: clamp(generation, query),
        slot: SlotChange::Take,
        reason: Reason::QueryForwarded,
    });
    Ok(())
}

/// The OPT record's UDP size, if it is to be lowered.
///
/// Only where OPT is the only additional record: one that follows may be a signature (TSIG, RFC 8945;
/// SIG(0), RFC 2931), and a signed message must not change.
#[inline(always)]
fn clamp(generation: &Generation, query: &Query) -> UdpSize {
    let limit = generation.edns_udp_size;
    let opt = query.opt;
    if opt.is_some() && limit != 0 && opt.udp_size > limit && query.dns.additionals == Be16::new(1) {
        UdpSize { offset: opt.offset + Opt::UDP_SIZE, old: opt.udp_size, new: limit }
    } else {
        UdpSize::NONE
    }
}
