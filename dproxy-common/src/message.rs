//! A DNS message in a UDP datagram, but for its question's name.

use crate::{
    frame::Frame,
    packet::Packet,
    reason::Reason,
    wire::{Be16, DnsHeader, Family, Opt, TYPE_OPT},
};

/// Octets of a UDP header.
pub const UDP_HEADER: u32 = 8;
/// Octets of a DNS header.
pub const DNS_HEADER: u32 = 12;
/// Octets of type and class of a question.
pub const TYPE_AND_CLASS: u32 = 4;

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

/// Checks everything in front of the question, in the order in which a stack would.
#[inline(always)]
pub fn header<P: Packet>(packet: &P, frame: &Frame) -> Result<DnsHeader, Reason> {
    let udp_length = transport(frame)?;
    if frame.udp.source() == Be16::default()
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
    let udp_length = frame.udp.length().get() as u32;
    if udp_length < UDP_HEADER || udp_length > frame.payload_length {
        return Err(Reason::BadLength);
    }
    if udp_length < frame.payload_length {
        return Err(Reason::UdpSurplus);
    }
    if frame.udp.checksum() == 0 && frame.network.destination.family() == Family::V6 {
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
pub fn find_opt<P: Packet>(packet: &P, dns: &DnsHeader, offset: u32, udp_end: u32) -> Opt {
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
