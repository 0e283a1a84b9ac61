//! What is to become of a packet, decided before anything is changed.

use crate::{
    abi::SlotWord,
    answer::AnswerPlan,
    reason::Reason,
    wire::{Address, Be16, Mac, VlanTags},
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
}

impl Plan {
    /// Why.
    #[inline(always)]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::None => Reason::Internal,
            Self::Forward(plan) => plan.reason,
            Self::Answer(plan) => plan.reason,
        }
    }

    /// Interface to send it from.
    #[inline(always)]
    pub const fn interface(&self) -> u32 {
        match self {
            Self::None => 0,
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
    /// Receiver on the link.
    pub destination_mac: Mac,
    /// Sender on the link.
    pub source_mac: Mac,
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
    /// Takes the next one.
    Take,
    /// Closes this one, if its word still is this.
    Close(u32, SlotWord),
}
