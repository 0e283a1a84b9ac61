//! The hosts around the balancers that are compared side by side: a generator that sends queries, a receiver that
//! verifies the answers, and a backend that turns queries around.

use aya_ebpf::{
    bindings::xdp_action::{XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_TX},
    helpers::{bpf_ktime_get_ns, bpf_redirect},
    macros::{map, xdp},
    maps::{Array, PerCpuArray},
    programs::XdpContext,
};
use dproxy_common::wire::Macs;

use crate::frame::{
    COUNTS, Counts, Crossing, DESTINATION, DESTINATION_PORT, DIGITS, DNS, ETHERTYPE, FLAGS, IP, IP_CHECKSUM,
    LENGTH, NAMES, PROTOCOL, QUESTION, Query, SOURCE, Settings, TIMED_CLIENTS, Template, UDP, UDP_CHECKSUM,
    checksum, sum_of_address, udp_checksum,
};

/// Buckets of durations, as the histogram in user space has them: sixteen to each power of two.
const BUCKETS: u32 = 1024;
/// Lets user space write to a map by itself (linux/bpf.h).
const BPF_F_MMAPABLE: u32 = 1 << 10;

#[map]
static QUERY: Array<Template> = Array::with_max_entries(1, 0);
#[map]
static SETTINGS: Array<Settings> = Array::with_max_entries(1, 0);
#[map]
static SEEN: PerCpuArray<Counts> = PerCpuArray::with_max_entries(1, 0);
/// Queries made so far.
#[map]
static NUMBER: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);
/// When each client's last query was sent, nanoseconds; 0: it was answered.
#[map]
static SENT_AT: Array<u64> = Array::with_max_entries(TIMED_CLIENTS, BPF_F_MMAPABLE);
#[map]
static LATENCY: PerCpuArray<u64> = PerCpuArray::with_max_entries(BUCKETS, 0);

/// Reads a field.
///
/// # Safety
/// The frame is that long.
#[inline(always)]
unsafe fn read<T: Copy>(start: usize, offset: usize) -> T {
    // SAFETY: as the caller promises.
    unsafe { *((start + offset) as *const T) }
}

/// Writes a field.
///
/// # Safety
/// The frame is that long.
#[inline(always)]
unsafe fn write<T>(start: usize, offset: usize, value: T) {
    // SAFETY: as the caller promises.
    unsafe { *((start + offset) as *mut T) = value }
}

/// Sends a query: it is run by `BPF_PROG_TEST_RUN`, on live frames.
#[xdp]
pub fn generate(ctx: XdpContext) -> u32 {
    make(&ctx).unwrap_or(XDP_ABORTED)
}

#[inline(always)]
fn make(ctx: &XdpContext) -> Option<u32> {
    let settings = SETTINGS.get(0)?;
    if settings.stop != 0 {
        return Some(XDP_DROP);
    }
    let (template, number, seen) = (QUERY.get(0)?, NUMBER.get_ptr_mut(0)?, SEEN.get_ptr_mut(0)?);
    let start = ctx.data();
    if start + LENGTH > ctx.data_end() {
        return None;
    }
    // SAFETY: the elements are this processor's, and the frame is long enough.
    unsafe {
        *number += 1;
        (*seen).sent += 1;
        template.write(start as *mut u8, Query::random(*number, settings.clients));
    }
    Some(XDP_TX)
}

/// IPv4 without options, and UDP.
///
/// # Safety
/// The frame has a whole DNS header.
#[inline(always)]
unsafe fn is_udp(start: usize) -> bool {
    // SAFETY: as the caller promises.
    unsafe {
        read::<u16>(start, ETHERTYPE) == 0x0800_u16.to_be()
            && read::<u8>(start, IP) == 0x45
            && read::<u8>(start, PROTOCOL) == 17
    }
}

/// DNS (RFC 1035 §4.2).
const PORT: u16 = 53_u16.to_be();
/// QR, in the upper half of the flags word.
const QR: u8 = 0x80;
/// RD, as every query has it.
const RD: u16 = 0x0100;
/// QR and AA, the mark of a backend that is right.
const MARK: u16 = 0x8400;

/// Verifies an answer.
#[xdp]
pub fn receive(ctx: XdpContext) -> u32 {
    let (start, end) = (ctx.data(), ctx.data_end());
    if start + QUESTION > end {
        return XDP_PASS;
    }
    // SAFETY: the frame has a whole DNS header.
    let (udp, source_port, address, port) = unsafe {
        let address = read::<u32>(start, DESTINATION);
        (is_udp(start), read::<u16>(start, UDP), address, read::<u16>(start, DESTINATION_PORT))
    };
    let Some(client) = Query::client_of(address, port) else { return XDP_PASS };
    if !udp || source_port != PORT {
        return XDP_PASS;
    }
    let (Some(seen), Some(template), Some(settings)) = (SEEN.get_ptr_mut(0), QUERY.get(0), SETTINGS.get(0))
    else {
        return XDP_ABORTED;
    };
    // SAFETY: the element is this processor's.
    let seen = unsafe { &mut *seen };
    // A REFUSED may be shorter than the query; it is still wrong.
    if start + LENGTH > end {
        seen.wrong_question += 1;
        return XDP_DROP;
    }
    // SAFETY: the frame is long enough.
    let count = unsafe {
        let digits = [read::<u16>(start, DIGITS), read::<u16>(start, DIGITS + 2)];
        let query = Query { client, name: Query::name_of(digits) };
        let sum = template.udp_sum;
        let template = core::ptr::from_ref(&template.words) as usize;
        let same = |offset| read::<u64>(start, offset) == read::<u64>(template, offset);
        if read::<u16>(start, FLAGS) != (RD | MARK).to_be() {
            &mut seen.wrong_flags
        } else if query.name >= NAMES
            || digits != query.digits()
            || !(same(COUNTS) && same(64) && same(72) && same(80))
            || read::<u32>(start, QUESTION) != read::<u32>(template, QUESTION)
            || read::<u32>(start, SOURCE) != read::<u32>(template, DESTINATION)
        {
            &mut seen.wrong_question
        } else if read::<u16>(start, DNS) != query.id() {
            &mut seen.wrong_id
        } else if read::<u16>(start, UDP_CHECKSUM)
            != udp_checksum(sum + query.sum() + u32::from(MARK.to_be()))
        {
            &mut seen.wrong_checksum
        } else if settings.timed != 0 && !time(client) {
            &mut seen.unexpected
        } else {
            &mut seen.right
        }
    };
    *count += 1;
    XDP_DROP
}

/// Counts how long a client's query took; `false` if it has none under way.
#[inline(always)]
fn time(client: u32) -> bool {
    let Some(sent_at) = SENT_AT.get_ptr_mut(client) else { return false };
    // SAFETY: a client has one query under way, and one answer.
    let sent = unsafe { sent_at.read_volatile() };
    if sent == 0 {
        return false;
    }
    // SAFETY: as above; the helper needs nothing.
    let took = unsafe {
        sent_at.write_volatile(0);
        bpf_ktime_get_ns().saturating_sub(sent)
    };
    if let Some(bucket) = LATENCY.get_ptr_mut(bucket(took)) {
        // SAFETY: the element is this processor's.
        unsafe { *bucket += 1 };
    }
    true
}

/// Below 16 ns each has its own; from there on, the highest five bits decide.
#[inline(always)]
fn bucket(nanoseconds: u64) -> u32 {
    let shift = (nanoseconds | 1).ilog2().saturating_sub(4);
    shift * 16 + (nanoseconds >> shift) as u32
}

/// The backend: turns a query around.
#[xdp]
pub fn reflect(ctx: XdpContext) -> u32 {
    let start = ctx.data();
    if start + QUESTION > ctx.data_end() {
        return XDP_PASS;
    }
    let Some(settings) = SETTINGS.get(0) else { return XDP_ABORTED };
    // SAFETY: the frame has a whole DNS header.
    unsafe {
        let port = read::<u16>(start, DESTINATION_PORT);
        if !is_udp(start) || port != PORT || read::<u8>(start, FLAGS) & QR != 0 {
            return XDP_PASS;
        }
        write(start, 0, read::<Macs>(start, 0).swapped());
        let source = read::<u32>(start, SOURCE);
        write(start, SOURCE, read::<u32>(start, DESTINATION));
        write(start, DESTINATION, source);
        write(start, DESTINATION_PORT, read::<u16>(start, UDP));
        write(start, UDP, port);
        // The mark's bits are not set in a query; what is swapped leaves the sum as it is.
        let (mark, id) = (settings.mark.to_be(), settings.id);
        write(start, FLAGS, read::<u16>(start, FLAGS) | mark);
        let before = read::<u16>(start, DNS);
        let after = before.wrapping_add(id);
        write(start, DNS, after);
        let sum = u32::from(!read::<u16>(start, UDP_CHECKSUM));
        let sum = sum + u32::from(mark) + u32::from(!before) + u32::from(after);
        if read::<u16>(start, UDP_CHECKSUM) != 0 {
            write(start, UDP_CHECKSUM, udp_checksum(sum));
        }
    }
    // Not XDP_TX, which leaves the veth only if its other end has a program.
    // SAFETY: the helper takes any interface.
    unsafe { bpf_redirect(ctx.ingress_ifindex() as u32, 0) as u32 }
}

/// To the backend, and back to the client.
#[map]
static CROSSINGS: Array<Crossing> = Array::with_max_entries(2, 0);

/// The bare balancer, on the client's side: sends every query to the one backend.
#[xdp]
pub fn cross(ctx: XdpContext) -> u32 {
    cross_by::<0, DESTINATION, DESTINATION_PORT>(&ctx)
}

/// The same on the backend's side.
#[xdp]
pub fn cross_back(ctx: XdpContext) -> u32 {
    cross_by::<1, SOURCE, UDP>(&ctx)
}

#[inline(always)]
fn cross_by<const WAY: u32, const ADDRESS: usize, const PORT_AT: usize>(ctx: &XdpContext) -> u32 {
    let start = ctx.data();
    if start + QUESTION > ctx.data_end() {
        return XDP_PASS;
    }
    let Some(crossing) = CROSSINGS.get(WAY) else { return XDP_ABORTED };
    // SAFETY: the frame has a whole DNS header.
    unsafe {
        if !is_udp(start) || read::<u16>(start, PORT_AT) != PORT {
            return XDP_PASS;
        }
        let before = read::<u32>(start, ADDRESS);
        write(start, ADDRESS, crossing.address);
        write(start, 0, crossing.macs);
        // RFC 1624, equation 3.
        let change = sum_of_address(!before) + sum_of_address(crossing.address);
        write(start, IP_CHECKSUM, checksum(u32::from(!read::<u16>(start, IP_CHECKSUM)) + change));
        let udp = u32::from(!read::<u16>(start, UDP_CHECKSUM));
        write(start, UDP_CHECKSUM, udp_checksum(udp + change));
        bpf_redirect(crossing.interface, 0) as u32
    }
}
