//! A program that makes its packet anew and hands it to the program that is measured, run after run:
//! `BPF_PROG_TEST_RUN` gives each run what the one before has left.
//!
//! What has just been written in pieces waits in the processor's store buffer, and a read across pieces would have to
//! wait for it, which no read of a packet from a network card does. So the store buffer is emptied first.

use core::intrinsics::{AtomicOrdering, atomic_xadd};

use aya_ebpf::{
    bindings::xdp_action::{XDP_ABORTED, XDP_PASS},
    macros::{map, xdp},
    maps::{Array, ProgramArray},
    programs::XdpContext,
};
use dproxy_common::wire::{Be16, DnsHeader, Ipv4Header, Macs, UdpHeader};

/// The headers of each run's packet, in an order that leaves no gaps.
#[repr(C)]
#[derive(Clone, Copy)]
struct Template {
    udp: UdpHeader,
    ip: Ipv4Header,
    dns: DnsHeader,
    macs: Macs,
    ethertype: Be16,
    reserved: u16,
}

/// Where headers are in a packet over IPv4 without tags.
const ETHERTYPE: usize = 12;
const IP: usize = 14;
const UDP: usize = IP + 20;
const DNS: usize = UDP + 8;
const QUESTION: usize = DNS + 12;

/// What varies from run to run.
#[repr(C)]
#[derive(Clone, Copy)]
struct Variation {
    /// Runs so far.
    runs: u64,
    /// The number of names, a power of two, less one; 0: the name stays.
    names_mask: u32,
    /// Every other packet is what the program under test has sent, turned around: a reply.
    turns: u32,
}

#[map]
static TEMPLATE: Array<Template> = Array::with_max_entries(1, 0);
#[map]
static VARIATION: Array<Variation> = Array::with_max_entries(1, 0);
/// What an atomic exchange is made with.
#[map]
static BARRIER: Array<u64> = Array::with_max_entries(1, 0);
/// The program that is measured.
#[map]
static MEASURED: ProgramArray = ProgramArray::with_max_entries(1, 0);

/// Where the eight letters are that tell names apart: behind `3www` and their own length.
const LETTERS: usize = QUESTION + 5;

/// Makes the packet anew, then runs the program that is measured.
#[xdp]
pub fn repeat(ctx: XdpContext) -> u32 {
    if renew(&ctx).is_some()
        && let Some(barrier) = BARRIER.get_ptr_mut(0)
    {
        // SAFETY: a map element is valid for atomic access; the context is this program's.
        unsafe {
            atomic_xadd::<u64, u64, { AtomicOrdering::SeqCst }>(barrier, 1);
            MEASURED.tail_call(&ctx, 0)
        };
    }
    XDP_ABORTED
}

/// The program that does nothing: what is to be subtracted.
#[xdp]
pub fn nothing(_ctx: XdpContext) -> u32 {
    XDP_PASS
}

#[inline(always)]
fn renew(ctx: &XdpContext) -> Option<()> {
    // SAFETY: the element is used by one run at a time.
    let variation = unsafe { &mut *VARIATION.get_ptr_mut(0)? };
    let start = ctx.data();
    if start + LETTERS + 8 > ctx.data_end() {
        return None;
    }
    variation.runs += 1;
    if variation.turns != 0 && variation.runs % 2 == 0 {
        // SAFETY: inside of the packet, see above.
        unsafe { turn(start) };
        return Some(());
    }
    let template = TEMPLATE.get(0)?;
    // SAFETY: as above.
    unsafe {
        *(start as *mut Macs) = template.macs;
        *((start + ETHERTYPE) as *mut Be16) = template.ethertype;
        *((start + IP) as *mut Ipv4Header) = template.ip;
        *((start + UDP) as *mut UdpHeader) = template.udp;
        *((start + DNS) as *mut DnsHeader) = template.dns;
    }
    if variation.names_mask != 0 {
        // An order that no cache foresees.
        let mixed = variation.runs.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ mixed >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93) >> 32;
        let number = mixed as u32 & variation.names_mask;
        // SAFETY: as above.
        unsafe { *((start + LETTERS) as *mut u64) = letters(number) };
    }
    Some(())
}

/// Makes a reply of a query.
///
/// # Safety
/// The pointer is to a packet that holds all headers.
#[inline(always)]
unsafe fn turn(start: usize) {
    // SAFETY: as the caller promises.
    unsafe {
        let macs = &mut *(start as *mut Macs);
        let ip = &mut *((start + IP) as *mut Ipv4Header);
        let udp = &mut *((start + UDP) as *mut UdpHeader);
        let dns = &mut *((start + DNS) as *mut DnsHeader);
        *macs = macs.swapped();
        ip.0.swap(3, 4);
        *udp = UdpHeader::new(udp.destination(), udp.source(), udp.length(), udp.checksum());
        dns.flags_high |= 0x80;
    }
}

/// Eight letters for a number, a to p.
#[inline(always)]
fn letters(number: u32) -> u64 {
    let word = u64::from(number);
    let word = (word | word << 16) & 0x0000_ffff_0000_ffff;
    let word = (word | word << 8) & 0x00ff_00ff_00ff_00ff;
    let word = (word | word << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    word + 0x6161_6161_6161_6161
}
