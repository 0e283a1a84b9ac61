//! A query: from its message to a plan.

use crate::{
    abi::{Backend, Generation, NextHop, Pool, RouteTarget},
    answer,
    frame::Frame,
    message::{self, DNS_HEADER, Query, TYPE_AND_CLASS, UDP_HEADER},
    name, nat,
    packet::Packet,
    plan::{Forward, Headers, Plan, SlotChange, UdpSize},
    reason::Reason,
    route, select,
    tables::{State, Tables},
    verifier,
    wire::{Be16, Family, Opt},
    work::Work,
};

/// Decides what to do with a query.
#[inline(always)]
pub fn plan<P: Packet, T: Tables, S: State>(
    packet: &P,
    tables: &T,
    state: &mut S,
    work: &mut Work,
    generation: &Generation,
) -> Result<(), Reason> {
    let dns = message::header(packet, &work.frame)?;
    let dns_offset = work.frame.transport_offset + UDP_HEADER;
    let udp_end = work.frame.transport_offset + work.frame.udp.length().get() as u32;
    let question_length =
        find_route::<{ route::HITS_COMPARED }, _, _>(packet, tables, dns_offset, udp_end, generation, work)?;
    let opt = message::find_opt(packet, &dns, dns_offset + DNS_HEADER + question_length, udp_end);
    let query = Query { dns, dns_offset, question_length, opt };
    let RouteTarget { target, route, .. } = work.name.route;
    work.subject.route = route;
    match target.to_pool() {
        Some(pool) => forward(tables, state, generation, &query, pool, work),
        None => answer::plan(packet, &query, target, work),
    }
}

/// Finds the route for the question of the DNS message that begins at `dns_offset` and ends in front of `end`,
/// both offsets in the packet; returns the octets of the question. The route is left in
/// [`Name::route`](name::Name::route).
///
/// `HITS` names of routes are compared in full at most, see [`route::longest_match`].
#[inline(always)]
pub fn find_route<const HITS: usize, P: Packet, T: Tables>(
    packet: &P,
    tables: &T,
    dns_offset: u32,
    end: u32,
    generation: &Generation,
    work: &mut Work,
) -> Result<u32, Reason> {
    name::walk(packet, dns_offset + DNS_HEADER, end, generation, &mut work.name)?;
    let question_length = verifier::load(&work.name.length) + 1 + TYPE_AND_CLASS;
    if dns_offset + DNS_HEADER + question_length > end {
        return Err(Reason::QuestionCut);
    }
    route::longest_match::<HITS, _, _>(packet, tables, work.half, generation, &mut work.name)?;
    Ok(question_length)
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
    let client = work.frame.network.source;
    let pool = select::pool(tables, work.half, pool, client).ok_or(Reason::Internal)?;
    work.subject.pool = pool.id;
    if pool.flags & Pool::SLOW_PATH != 0 {
        return Err(Reason::PoolSlowPath);
    }
    let udp_size = clamp(generation, query)?;
    let random = nat::peek_random(state.cursor());
    select::select(tables, pool, random, || state.turn(pool.id), work)?;
    let backend = tables.backend(work.subject.backend).ok_or(Reason::Internal)?;
    let (headers, slot, reason) = match work.live.next_hop() {
        Some(next_hop) => {
            let next_hop = tables.next_hop(next_hop).ok_or(Reason::Internal)?;
            if work.frame.udp.checksum() == 0 && next_hop.source.family() == Family::V6 {
                return Err(Reason::ChecksumAbsent);
            }
            (sent(next_hop, backend), SlotChange::Take, Reason::QueryForwarded)
        }
        None if work.live.is_local() => {
            (delivered(&work.frame, query, backend)?, SlotChange::None, Reason::QueryDelivered)
        }
        None => return Err(Reason::BackendSlowPath),
    };
    work.plan = Plan::Forward(Forward { headers, old_id: query.dns.id, udp_size, slot, reason });
    Ok(())
}

/// Headers towards another host. Source port and ID come with the slot.
#[inline(always)]
fn sent(next_hop: &NextHop, backend: &Backend) -> Headers {
    Headers {
        interface: next_hop.interface,
        tags: next_hop.tags,
        macs: next_hop.macs,
        source: next_hop.source,
        destination: backend.address,
        source_port: Be16::default(),
        destination_port: backend.port,
        id: 0,
    }
}

/// The headers that a query came with, but for its destination: for a backend on this host. The backend sees
/// its client.
#[inline(always)]
fn delivered(frame: &Frame, query: &Query, backend: &Backend) -> Result<Headers, Reason> {
    let Frame { link, network, udp, .. } = frame;
    if network.destination.family() != backend.address.family() {
        // The client has no address of the backend's IP version.
        return Err(Reason::BackendSlowPath);
    }
    Ok(Headers {
        interface: 0,
        tags: link.tags,
        macs: link.macs,
        source: network.source,
        destination: backend.address,
        source_port: udp.source(),
        destination_port: backend.port,
        id: query.dns.id,
    })
}

/// A larger message over IPv6 takes more than the 1500 octets that most links carry whole. The fast path
/// cannot hand on a reply in fragments: behind the first, there are no ports.
pub const UNFRAGMENTED: u16 = 1500 - 40 - 8;

/// The OPT record's UDP size, if it is to be lowered. What remains too large is for the slow path.
///
/// Only where OPT is the only additional record: one that follows may be a signature (TSIG, RFC 8945;
/// SIG(0), RFC 2931), and a signed message must not change.
#[inline(always)]
fn clamp(generation: &Generation, query: &Query) -> Result<UdpSize, Reason> {
    let (opt, limit) = (query.opt, generation.edns_udp_size);
    let is_alone = query.dns.additionals == Be16::new(1);
    let is_lowered = opt.is_some() && limit != 0 && opt.udp_size > limit && is_alone;
    let size = if is_lowered { limit } else { opt.udp_size };
    if size > UNFRAGMENTED {
        return Err(Reason::EdnsSize);
    }
    if !is_lowered {
        return Ok(UdpSize::NONE);
    }
    Ok(UdpSize { offset: opt.offset + Opt::UDP_SIZE, old: opt.udp_size, new: limit })
}
