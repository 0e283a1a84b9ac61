//! Packet formats, field by field as they stand in memory.
//!
//! The structs have the natural alignment of their fields rather than alignment 1: LLVM's BPF back
//! end splits every access to an alignment-1 field into single octets, and the kernel allows
//! unaligned packet access wherever the processor does. On the host, [`Packet`] reads them with
//! `read_unaligned`.
//!
//! [`Packet`]: crate::packet::Packet

mod address;
mod dns;
mod ethernet;
mod int;
mod ip;
mod udp;

pub use address::{Address, Family, Mac};
pub use dns::{DnsHeader, Opt, TYPE_OPT, flags, rcode};
pub use ethernet::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, EthernetHeader, Macs, VlanHeader, VlanTags, is_vlan};
pub use int::Be16;
pub use ip::{
    Fragmentation, IPV4_DONT_FRAGMENT, IPV4_FRAGMENT_MASK, Ipv4Header, Ipv4Tail, Ipv6FragmentHeader,
    Ipv6Header, Ipv6Tail, PROTOCOL_FRAGMENT, PROTOCOL_TCP, PROTOCOL_UDP,
};
pub use udp::UdpHeader;

/// A type that may be read from and written to packet memory as it is.
///
/// # Safety
/// Every bit pattern is a valid value and there is no padding.
pub unsafe trait Wire: Copy {}

macro_rules! wire {
    ($($t:ty: $size:literal),* $(,)?) => {$(
        // SAFETY: integers, or `repr(C)` structs of integers whose sizes add up to the size
        // asserted here, so that there is no padding.
        unsafe impl Wire for $t {}
        const _: () = assert!(core::mem::size_of::<$t>() == $size);
    )*};
}

wire! {
    u8: 1, u16: 2, u32: 4, u64: 8,
    Be16: 2, Address: 16, Mac: 6, Macs: 12,
    EthernetHeader: 14, VlanHeader: 4,
    Ipv4Header: 20, Ipv4Tail: 12, Ipv6Header: 40, Ipv6Tail: 32, Ipv6FragmentHeader: 8, UdpHeader: 8, DnsHeader: 12,
}
