//! What the two halves of dproxy must agree on: the tables that cross the kernel boundary ([`abi`]),
//! the wire formats ([`wire`]) and the packet path itself ([`pipeline`]).
//!
//! The crate is compiled for BPF into the XDP program and for the host into everything else, so
//! that host tests run the code that runs in the kernel. It sees packets through
//! [`packet::Packet`], tables through [`tables::Tables`] and what changes per packet through
//! [`tables::State`].
//!
//! Byte order: whatever also stands in a packet is kept as it stands there, in network order, in
//! types that say so ([`wire::Be16`], [`wire::Address`], [`wire::Mac`]). Numbers that never cross
//! the wire are native.

#![no_std]

pub mod abi;
pub mod answer;
pub mod checksum;
pub mod classify;
pub mod commit;
pub mod direct;
pub mod egress;
pub mod explain;
pub mod frame;
pub mod headers;
#[cfg(not(target_arch = "bpf"))]
pub mod host;
pub mod latency;
pub mod log;
pub mod message;
pub mod name;
pub mod nat;
pub mod packet;
pub mod pipeline;
pub mod plan;
pub mod query;
pub mod reason;
pub mod reply;
pub mod route;
pub mod select;
pub mod tables;
pub mod verifier;
pub mod wire;
pub mod work;

#[cfg(test)]
extern crate std;
