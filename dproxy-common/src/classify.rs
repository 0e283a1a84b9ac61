//! Is a packet ours, and if so, is it a query or a reply?

use crate::{
    abi::{DESTINATION_SLOTS, Destination, Generation, NatSettings},
    frame::{Frame, Obstacle, Transport},
    reason::Reason,
    tables::{Half, Tables},
    wire::{Address, Be16},
};

/// What a packet that is ours is, by its destination alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// To a listener, by its id.
    Query(u16),
    /// To an address that queries are forwarded from and a port of the NAT range.
    Reply,
    /// Straight to a backend on this host, by its id. Not ours, but its response has to be told from those
    /// that are.
    Direct(u16),
}

/// Decides by destination; everything that is not ours comes back as a reason to pass.
#[inline(always)]
pub fn classify<T: Tables>(
    tables: &T,
    half: Half,
    generation: &Generation,
    settings: &NatSettings,
    frame: &Frame,
) -> Result<Class, Reason> {
    // Not a unicast: its sender's address could not be ours in the response, and the stack would not take
    // it for this host either (RFC 1122 §3.3.6).
    if frame.link.macs.is_to_group() {
        return Err(Reason::NotForListener);
    }
    let address = frame.network.destination;
    let port = frame.udp.destination();
    let is_nat_port = (port.get() as u32).wrapping_sub(settings.port_first) >> settings.port_bits == 0;
    let any_port = is_nat_port || frame.obstacle.is_some();
    let key_port = if any_port { Be16::default() } else { port };
    let destination = look_up(tables, half, generation, address, key_port).ok_or(Reason::NotForListener)?;
    match frame.obstacle {
        Some(Obstacle::Fragment) => return Err(Reason::Fragment),
        Some(Obstacle::ExtensionHeader) => return Err(Reason::ExtensionHeader),
        None => {}
    }
    let is_listener = destination.kind & Destination::LISTENER != 0;
    let is_nat_source = is_nat_port && destination.kind & Destination::NAT_SOURCE != 0;
    match frame.transport {
        Transport::Udp if is_listener => Ok(Class::Query(destination.listener)),
        Transport::Tcp if is_listener => Err(Reason::Tcp),
        Transport::Udp if is_nat_source => Ok(Class::Reply),
        Transport::Udp if destination.kind & Destination::LOCAL_BACKEND != 0 => {
            Ok(Class::Direct(destination.backend))
        }
        Transport::Udp | Transport::Tcp => Err(Reason::NotForListener),
    }
}

/// The entry of an address and port.
#[inline(always)]
pub(crate) fn look_up<'t, T: Tables>(
    tables: &'t T,
    half: Half,
    generation: &Generation,
    address: Address,
    port: Be16,
) -> Option<&'t Destination> {
    let index = Destination::index(generation.destination_seed, address, port) & (DESTINATION_SLOTS - 1);
    let destination = tables.destination(half, index)?;
    (destination.address == address && destination.port == port && destination.kind != 0)
        .then_some(destination)
}
