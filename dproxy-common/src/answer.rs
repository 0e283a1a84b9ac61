//! Responses that dproxy makes itself.
//!
//! ID and question are echoed, everything behind the question is gone but a fresh OPT record when the
//! query had one: the response is never larger than the query.

use crate::{
    abi::Answer,
    checksum::Sum,
    packet::Packet,
    plan::Plan,
    query::Query,
    reason::Reason,
    wire::{Be16, DnsHeader, Opt, flags, rcode},
    work::Work,
};

/// UDP payload size in a fresh OPT record: what fits into any IPv6 path without fragments
/// (DNS Flag Day 2020).
pub const OPT_UDP_SIZE: u16 = 1232;

/// A response, ready to be written over its query.
#[derive(Clone, Copy)]
pub struct AnswerPlan {
    /// Why.
    pub reason: Reason,
    /// Interface to send it from: that of the query.
    pub interface: u32,
    /// Its DNS header.
    pub dns: DnsHeader,
    /// Where the DNS header begins in the frame.
    pub dns_offset: u32,
    /// Octets of the question.
    pub question_length: u32,
    /// One's complement sum of the question.
    pub question_sum: Sum,
    /// The OPT record to write behind the question.
    pub opt: Option<FreshOpt>,
}

/// What varies in a fresh OPT record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreshOpt {
    /// Upper eight bits of the response code.
    pub extended_rcode: u8,
    /// DNSSEC OK, copied from the query (RFC 3225 §3).
    pub dnssec_ok: bool,
}

/// The reason that goes with an answer. For [`Answer::Drop`] it is the verdict itself.
#[inline(always)]
pub const fn reason(answer: Answer) -> Result<Reason, Reason> {
    match answer {
        Answer::Refused => Ok(Reason::AnsweredRefused),
        Answer::Nxdomain => Ok(Reason::AnsweredNxdomain),
        Answer::Servfail => Ok(Reason::AnsweredServfail),
        Answer::Truncate => Ok(Reason::AnsweredTruncate),
        Answer::Drop => Err(Reason::RouteDrop),
    }
}

/// Plans a response to a query.
#[inline(never)]
pub fn plan<P: Packet>(
    packet: &P,
    query: &Query,
    answer: Answer,
    reason: Reason,
    work: &mut Work,
) -> Result<(), Reason> {
    // RFC 6891 §6.1.3: whoever does not know the version says so, whatever else there is to say.
    let bad_version = query.opt.is_some() && query.opt.version != 0;
    let (reason, rcode, extended_rcode) = if bad_version {
        (Reason::AnsweredBadvers, rcode::NOERROR, 1)
    } else {
        (reason, response_code(answer), 0)
    };
    let truncated = if matches!(answer, Answer::Truncate) && !bad_version { flags::TC } else { 0 };
    let opt = query.opt.is_some().then_some(FreshOpt { extended_rcode, dnssec_ok: query.opt.dnssec_ok });
    let dns = DnsHeader {
        id: query.dns.id,
        flags_high: flags::QR | truncated | query.dns.flags_high & (flags::OPCODE | flags::RD),
        flags_low: query.dns.flags_low & flags::CD | rcode,
        questions: Be16::new(1),
        answers: Be16::default(),
        authorities: Be16::default(),
        additionals: Be16::new(opt.is_some() as u16),
    };
    let question_sum = sum_question(packet, query)?;
    let Query { dns_offset, question_length, .. } = *query;
    let interface = packet.interface();
    work.plan =
        Plan::Answer(AnswerPlan { reason, interface, dns, dns_offset, question_length, question_sum, opt });
    Ok(())
}

const fn response_code(answer: Answer) -> u8 {
    match answer {
        Answer::Refused => rcode::REFUSED,
        Answer::Nxdomain => rcode::NXDOMAIN,
        Answer::Servfail => rcode::SERVFAIL,
        Answer::Truncate | Answer::Drop => rcode::NOERROR,
    }
}

/// Adds up the question, which begins at an even offset from the UDP header.
#[inline(always)]
fn sum_question<P: Packet>(packet: &P, query: &Query) -> Result<Sum, Reason> {
    let begin = query.dns_offset as usize + 12;
    let length = query.question_length as usize;
    let mut sum = Sum::default();
    for pair in 0..QUESTION_MAX / 2 {
        let at = 2 * pair;
        if at + 2 > length {
            if at < length {
                let last: u8 = packet.load(begin + at).ok_or(Reason::Internal)?;
                sum = sum.add(last as u32);
            }
            break;
        }
        let word: u16 = packet.load(begin + at).ok_or(Reason::Internal)?;
        sum = sum.add(word as u32);
    }
    Ok(sum)
}

/// A question is at most a name of 255 octets, type and class; rounded up.
const QUESTION_MAX: usize = 260;

impl FreshOpt {
    /// The record without its first octet, as words to store and to add up.
    ///
    /// ```text
    /// root 0 | type 41 | udp size | extended rcode, version 0 | DO, Z | rdlength 0
    /// ```
    #[inline(always)]
    pub const fn words(self) -> [Be16; 5] {
        [
            Be16::new(crate::wire::TYPE_OPT),
            Be16::new(OPT_UDP_SIZE),
            Be16::new((self.extended_rcode as u16) << 8),
            Be16::new((self.dnssec_ok as u16) << 15),
            Be16::new(0),
        ]
    }
}

impl AnswerPlan {
    /// Octets of the DNS message.
    #[inline(always)]
    pub const fn message_length(&self) -> u32 {
        12 + self.question_length + if self.opt.is_some() { Opt::LENGTH } else { 0 }
    }

    /// One's complement sum of the DNS message.
    #[inline(always)]
    pub fn message_sum(&self) -> Sum {
        let DnsHeader { id, flags_high, flags_low, questions, answers, authorities, additionals } = self.dns;
        let mut sum = self
            .question_sum
            .add(id as u32)
            .add(u16::from_le_bytes([flags_high, flags_low]) as u32)
            .add(questions.raw() as u32)
            .add(answers.raw() as u32)
            .add(authorities.raw() as u32)
            .add(additionals.raw() as u32);
        if let Some(opt) = self.opt {
            // Behind the OPT record's root octet, an odd question leaves words at even offsets, an
            // even one at odd offsets, where they count swapped.
            let swapped = self.question_length.is_multiple_of(2);
            for word in opt.words() {
                sum = sum.add(if swapped { word.raw().swap_bytes() } else { word.raw() } as u32);
            }
        }
        sum
    }
}
