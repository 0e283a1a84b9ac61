//! What is to become of a packet, decided before anything is changed.

use crate::{
    abi::{DirectQuery, SlotWord},
    checksum::Sum,
    reason::Reason,
    wire::{Address, Be16, DnsHeader, Macs, Opt, TYPE_OPT, VlanTags},
};

/// What is to become of a packet.
#[derive(Clone, Copy)]
pub enum Plan {
    /// Nothing planned.
    None,
    /// It gets new headers and goes on.
    Forward(Forward),
    /// It becomes a response.
    Answer(AnswerPlan),
    /// It passes, and is noted.
    Note(DirectQuery),
}

impl Plan {
    /// Why.
    #[inline(always)]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::None => Reason::Internal,
            Self::Forward(plan) => plan.reason,
            Self::Answer(plan) => plan.reason,
            Self::Note(_) => Reason::NotForListener,
        }
    }

    /// Interface to send it from.
    #[inline(always)]
    pub const fn interface(&self) -> u32 {
        match self {
            Self::None | Self::Note(_) => 0,
            Self::Forward(plan) => plan.headers.interface,
            Self::Answer(plan) => plan.interface,
        }
    }
}

/// Everything about a forwarded packet that differs from the one received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers {
    /// Interface to send from.
    pub interface: u32,
    /// VLAN tags.
    pub tags: VlanTags,
    /// Receiver and sender on the link.
    pub macs: Macs,
    /// Source address.
    pub source: Address,
    /// Destination address.
    pub destination: Address,
    /// Source port.
    pub source_port: Be16,
    /// Destination port.
    pub destination_port: Be16,
    /// DNS ID, raw.
    pub id: u16,
}

/// A packet to forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Its new headers. Source port and ID of a query come from its slot.
    pub headers: Headers,
    /// The DNS ID that it came with, raw.
    pub old_id: u16,
    /// The EDNS UDP size to write.
    pub udp_size: UdpSize,
    /// What happens to a slot.
    pub slot: SlotChange,
    /// Why.
    pub reason: Reason,
}

/// An EDNS UDP payload size to replace.
///
/// VERIFIER: not an `Option`; see [`Opt::NONE`](crate::wire::Opt::NONE).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpSize {
    /// Where it stands in the frame received. 0: nothing is to be replaced.
    pub offset: u32,
    /// What stands there.
    pub old: u16,
    /// What to write.
    pub new: u16,
}

impl Forward {
    /// Is the packet delivered to this host, rather than sent to another one?
    #[inline(always)]
    pub const fn is_local(&self) -> bool {
        matches!(self.slot, SlotChange::None)
    }
}

impl UdpSize {
    /// Nothing to replace.
    pub const NONE: Self = Self { offset: 0, old: 0, new: 0 };

    /// Is there something to replace?
    #[inline(always)]
    pub const fn is_some(self) -> bool {
        self.offset != 0
    }
}

/// What forwarding does to the ring of slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotChange {
    /// Nothing: no reply will need one.
    None,
    /// Takes the next one.
    Take,
    /// Closes this one, if its word still is this.
    Close {
        /// The slot.
        slot: u32,
        /// Its word.
        word: SlotWord,
        /// When its query was forwarded, see [`Slot::sent`](crate::abi::Slot::sent).
        sent: u32,
    },
}

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

impl FreshOpt {
    /// The record without its first octet, as words to store and to add up.
    ///
    /// ```text
    /// root 0 | type 41 | udp size | extended rcode, version 0 | DO, Z | rdlength 0
    /// ```
    #[inline(always)]
    pub const fn words(self) -> [Be16; 5] {
        [
            Be16::new(TYPE_OPT),
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
