//! DNS messages in memory, outside of any frame.

use dproxy_common::{
    message::TYPE_AND_CLASS,
    packet::{Packet, ResizeRefused},
    plan::FreshOpt,
    wire::{Be16, DnsHeader, Opt, Wire, flags, rcode},
};

use super::Reason;

/// Octets of a DNS header (RFC 1035 §4.1.1).
pub(super) const HEADER: usize = 12;
/// The opcode of NOTIFY (RFC 1996 §3.1).
pub(super) const NOTIFY: u8 = 4;
/// The opcode of UPDATE (RFC 2136 §1.3).
pub(super) const UPDATE: u8 = 5;
/// The opcode of DNS stateful operations (RFC 8490 §5.1).
pub(super) const STATEFUL: u8 = 6;
/// The query types of zone transfers: IXFR (RFC 1995) and AXFR (RFC 5936).
pub(super) const TRANSFERS: [u16; 2] = [251, 252];

/// A message, for the code that finds names in packets.
pub(super) struct MessageView<'m>(pub(super) &'m [u8]);

impl Packet for MessageView<'_> {
    fn load<T: Wire>(&self, offset: usize) -> Option<T> {
        let octets = self.0.get(offset..offset.checked_add(size_of::<T>())?)?;
        // SAFETY: the slice has as many octets as a `T`, and any bit pattern is one.
        Some(unsafe { octets.as_ptr().cast::<T>().read_unaligned() })
    }

    fn store<T: Wire>(&mut self, _offset: usize, _value: T) -> Option<()> {
        None
    }

    fn length(&self) -> usize {
        self.0.len()
    }

    fn grow_head(&mut self, _octets: isize) -> Result<(), ResizeRefused> {
        Err(ResizeRefused)
    }

    fn truncate(&mut self, _length: usize) -> Result<(), ResizeRefused> {
        Err(ResizeRefused)
    }

    fn interface(&self) -> u32 {
        0
    }
}

/// The header of a message.
pub(super) fn header(message: &[u8]) -> Option<DnsHeader> {
    MessageView(message).load(0)
}

/// Overwrites a message's ID, raw.
pub(super) fn set_id(message: &mut [u8], id: u16) {
    if let Some(place) = message.get_mut(..2) {
        place.copy_from_slice(&id.to_ne_bytes());
    }
}

/// A message's ID, raw.
pub(super) fn id(message: &[u8]) -> Option<u16> {
    Some(u16::from_ne_bytes([*message.first()?, *message.get(1)?]))
}

/// A message's response code, its lower four bits.
pub(super) fn response_code(message: &[u8]) -> u8 {
    message.get(3).map_or(0, |flags| flags & 0x0f)
}

/// Response codes beyond those that the fast path makes (RFC 1035 §4.1.1).
pub(super) const FORMERR: u8 = 1;
/// RCODE 4.
pub(super) const NOTIMP: u8 = 4;

/// What a response made here says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Made {
    /// The response code, of up to 12 bits with EDNS.
    pub(super) rcode: u16,
    /// TC=1.
    pub(super) truncated: bool,
}

impl Made {
    pub(super) const fn rcode(rcode: u8) -> Self {
        Self { rcode: rcode as u16, truncated: false }
    }

    pub(super) const SERVFAIL: Self = Self::rcode(rcode::SERVFAIL);
}

/// Appends the response to a query whose question section, as far as it was understood, has
/// `question_length` octets.
///
/// As in the kernel: ID and question are echoed, everything behind the question is gone but a fresh OPT
/// record when the query had one.
pub(super) fn respond(query: &[u8], question_length: usize, opt: Opt, made: Made, out: &mut Vec<u8>) {
    let Some(dns) = header(query) else { return };
    let question = query.get(HEADER..HEADER + question_length).unwrap_or_default();
    let has_question = !question.is_empty();
    let tc = if made.truncated { flags::TC } else { 0 };
    out.extend_from_slice(&dns.id.to_ne_bytes());
    out.push(flags::QR | tc | dns.flags_high & (flags::OPCODE | flags::RD));
    out.push(dns.flags_low & flags::CD | (made.rcode & 0x0f) as u8);
    for count in [has_question as u16, 0, 0, opt.is_some() as u16] {
        out.extend_from_slice(&count.to_be_bytes());
    }
    out.extend_from_slice(question);
    if opt.is_some() {
        let fresh = FreshOpt { extended_rcode: (made.rcode >> 4) as u8, dnssec_ok: opt.dnssec_ok };
        out.push(0);
        out.extend(fresh.words().iter().flat_map(|word: &Be16| word.get().to_be_bytes()));
    }
}

/// Is this the question section that was asked? Names are equal whatever their case (RFC 4343).
pub(super) fn same_question(asked: &[u8], replied: &[u8]) -> bool {
    let Some(name) = asked.len().checked_sub(TYPE_AND_CLASS as usize) else { return asked == replied };
    asked.len() == replied.len()
        && asked[name..] == replied[name..]
        && asked[..name].eq_ignore_ascii_case(&replied[..name])
}

/// Is `reply` a response to `query`, whose question section has `question_length` octets? The ID is not
/// compared.
pub(super) fn is_reply_to(query: &[u8], question_length: usize, reply: &[u8]) -> Result<(), Reason> {
    let (Some(asked), Some(dns)) = (header(query), header(reply)) else { return Err(Reason::ReplyNotDns) };
    if !dns.is_response() || dns.opcode() != asked.opcode() {
        return Err(Reason::ReplyNotDns);
    }
    // A server that cannot read a message, or does not want to, may leave the question out; to an UPDATE, it may
    // do so in any case (RFC 2136 §3.8).
    let may_be_absent = dns.rcode() != rcode::NOERROR || question_length == 0 || asked.opcode() == UPDATE;
    if dns.questions == Be16::new(0) && may_be_absent {
        return Ok(());
    }
    let end = HEADER + question_length;
    let (asked, replied) = (query.get(HEADER..end), reply.get(HEADER..end));
    match (asked, replied) {
        (Some(asked), Some(replied)) if same_question(asked, replied) => Ok(()),
        _ => Err(Reason::ReplyWrongQuestion),
    }
}
