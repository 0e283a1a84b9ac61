//! A packet as TC sees it: octets that may lie anywhere, and a checksum that may still have to be made.
//!
//! So all access is through helpers, which know both.

use aya_ebpf::{
    bindings::{BPF_F_MARK_MANGLED_0, BPF_F_PSEUDO_HDR},
    programs::TcContext,
};
use dproxy_common::{
    egress::Restoration,
    packet::{Packet, ResizeRefused},
    wire::{Address, Family, Wire},
};

/// The packet of one program run.
pub struct Skb {
    ctx: TcContext,
}

/// Where things stand in headers.
const IPV4_CHECKSUM: usize = 10;
const IPV4_SOURCE: usize = 12;
const IPV6_SOURCE: usize = 8;
const UDP_CHECKSUM: usize = 6;

impl Skb {
    /// The packet of this run.
    pub fn new(ctx: TcContext) -> Self {
        Self { ctx }
    }

    /// Gives a reply its listener's source. `None`: it is half done, because there was no memory.
    #[inline(always)]
    pub fn restore(&mut self, restoration: &Restoration) -> Option<()> {
        let Restoration { network_offset, udp_offset, address, port, listener, .. } = *restoration;
        let checksum = udp_offset + UDP_CHECKSUM;
        let (old, new) = (u64::from(port.raw()), u64::from(listener.port.raw()));
        self.ctx.l4_csum_replace(checksum, old, new, u64::from(BPF_F_MARK_MANGLED_0) | 2).ok()?;
        self.store(udp_offset, listener.port)?;
        if address == listener.address {
            return Some(());
        }
        let pairs = words(address).into_iter().zip(words(listener.address));
        for (old, new) in pairs {
            // The mapped prefix of IPv4 is no part of the pseudo-header, and the same in both.
            if old != new {
                let flags = BPF_F_MARK_MANGLED_0 | BPF_F_PSEUDO_HDR;
                self.ctx
                    .l4_csum_replace(checksum, u64::from(old), u64::from(new), u64::from(flags) | 4)
                    .ok()?;
            }
        }
        match address.family() {
            Family::V4 => {
                let (old, new) = (address.ipv4_raw(), listener.address.ipv4_raw());
                let at = network_offset + IPV4_CHECKSUM;
                self.ctx.l3_csum_replace(at, u64::from(old), u64::from(new), 4).ok()?;
                self.store(network_offset + IPV4_SOURCE, new)
            }
            Family::V6 => self.store(network_offset + IPV6_SOURCE, listener.address),
        }
    }
}

/// An address in pieces that the checksum helpers take.
#[inline(always)]
const fn words(address: Address) -> [u32; 4] {
    let Address { high, low } = address;
    [high as u32, (high >> 32) as u32, low as u32, (low >> 32) as u32]
}

impl Packet for Skb {
    #[inline(always)]
    fn load<T: Wire>(&self, offset: usize) -> Option<T> {
        self.ctx.load(offset).ok()
    }

    #[inline(always)]
    fn store<T: Wire>(&mut self, offset: usize, value: T) -> Option<()> {
        // Checksums are the caller's.
        self.ctx.store(offset, &value, 0).ok()
    }

    #[inline(always)]
    fn length(&self) -> usize {
        self.ctx.len() as usize
    }

    fn grow_head(&mut self, _octets: isize) -> Result<(), ResizeRefused> {
        Err(ResizeRefused)
    }

    fn truncate(&mut self, _length: usize) -> Result<(), ResizeRefused> {
        Err(ResizeRefused)
    }

    #[inline(always)]
    fn interface(&self) -> u32 {
        // SAFETY: the context is valid as long as the program runs.
        unsafe { (*self.ctx.skb.skb).ifindex }
    }
}
