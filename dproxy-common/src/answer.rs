//! Responses that dproxy makes itself.
//!
//! ID and question are echoed, everything behind the question is gone but a fresh OPT record when the
//! query had one: the response is never larger than the query.

use crate::{
    abi::{Answer, Target},
    checksum::Sum,
    message::Query,
    packet::Packet,
    plan::{AnswerPlan, FreshOpt, Plan},
    reason::Reason,
    wire::{Be16, DnsHeader, flags, rcode},
    work::Work,
};

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

/// Plans the response to a query whose route leads to `target`, no pool: to an answer, or nowhere.
#[inline(always)]
pub fn plan<P: Packet>(packet: &P, query: &Query, target: Target, work: &mut Work) -> Result<(), Reason> {
    // VERIFIER: first of all, while every query is like another.
    let question_sum = sum_question(packet, query)?;
    let (answer, reason) = match target.decode() {
        Ok(_) => return Err(Reason::Internal),
        Err(answer) if target.is_some() => (answer, reason(answer)?),
        Err(answer) => (answer, Reason::NoRoute),
    };
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
    let Query { dns_offset, question_length, .. } = *query;
    let interface = packet.interface();
    work.plan =
        Plan::Answer(AnswerPlan { reason, interface, dns, dns_offset, question_length, question_sum, opt });
    Ok(())
}

/// The response code that goes with an answer.
pub const fn response_code(answer: Answer) -> u8 {
    match answer {
        Answer::Refused => rcode::REFUSED,
        Answer::Nxdomain => rcode::NXDOMAIN,
        Answer::Servfail => rcode::SERVFAIL,
        Answer::Truncate | Answer::Drop => rcode::NOERROR,
    }
}

/// Adds up the question, which begins at an even offset from the UDP header.
///
/// Of a last, incomplete word, those octets are shifted out that stand in front of the question's end: there is at
/// least the DNS header.
#[inline(always)]
fn sum_question<P: Packet>(packet: &P, query: &Query) -> Result<Sum, Reason> {
    let (begin, length) = (query.dns_offset as usize + 12, query.question_length as usize);
    let mut sum = Sum::default();
    for word in 0..QUESTION_MAX / 8 {
        let at = 8 * word;
        if at >= length {
            break;
        }
        let left = length - at;
        let octets = if left >= 8 {
            packet.load::<u64>(begin + at).ok_or(Reason::Internal)?
        } else {
            packet.load::<u64>(begin + length - 8).ok_or(Reason::Internal)? >> (8 * (8 - left))
        };
        sum = sum.add(octets as u32).add((octets >> 32) as u32);
    }
    Ok(sum)
}

/// A question is at most a name of 255 octets, type and class; rounded up to words.
const QUESTION_MAX: usize = 264;
