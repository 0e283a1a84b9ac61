//! What the packet path makes of a name.

use dproxy_common::abi::{MAX_DEPTHS, RouteTarget};
use dproxy_common::{host::HostPacket, name, route::longest_match, tables::Half};

use crate::control::Snapshot;

/// Octets of a DNS header.
const HEADER: usize = 12;

/// What applies to a name in wire form, without its root octet.
pub fn found(tables: &Snapshot, wire: &[u8]) -> RouteTarget {
    let question = [&[0; HEADER], wire, &[0; 5]].concat();
    let (packet, end) = (HostPacket::new(&question, 1), question.len() as u32);
    let (half, generation, mut name) = (Half::ALL[0], &tables.generation, name::Name::EMPTY);
    name::walk(&packet, HEADER as u32, end, generation, &mut name).unwrap();
    // With so many hits, none is left to others.
    longest_match::<{ MAX_DEPTHS + 1 }, _, _>(&packet, tables, half, generation, &mut name).unwrap();
    name.route
}
