//! Queries that go straight to a backend on this host.
//!
//! Another balancer may have the same server as a backend, a secondary asks it for its SOA record, or somebody
//! watches over it: they wait for a response from the address that they asked. A response does not tell whom
//! its client asked, so each of these queries is noted, and what is noted leaves as it is.

use crate::{
    abi::DirectQuery,
    message::UDP_HEADER,
    packet::Packet,
    plan::Plan,
    reason::Reason,
    reply::LATE,
    tables::State,
    wire::{Address, Be16, DnsHeader},
    work::Work,
};

/// Plans to note a query to the backend with this id. Whatever it is, it passes.
#[inline(always)]
pub fn plan<P: Packet>(packet: &P, work: &mut Work, backend: u16) -> Result<(), Reason> {
    let offset = (work.frame.transport_offset + UDP_HEADER) as usize;
    let dns: DnsHeader = packet.load(offset).ok_or(Reason::NotForListener)?;
    if dns.is_response() {
        return Err(Reason::NotForListener);
    }
    let (client, client_port) = (work.frame.network.source, work.frame.udp.source());
    work.plan = Plan::Note(DirectQuery { client, client_port, id: dns.id, backend, reserved: 0 });
    Ok(())
}

/// Does this client wait for a response from the backend itself? For one response, which may take as long as
/// any other.
#[inline(always)]
pub fn is_awaited<S: State>(
    state: &mut S,
    client: Address,
    client_port: Be16,
    id: u16,
    backend: u16,
) -> bool {
    let query = DirectQuery { client, client_port, id, backend, reserved: 0 };
    match state.take_direct(&query) {
        Some(noted) => state.ticks().wrapping_sub(noted) <= LATE,
        None => false,
    }
}
