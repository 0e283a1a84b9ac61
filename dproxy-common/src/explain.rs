//! Asking the loaded program what it would do.

use crate::{abi::Subject, reason::Reason};

/// What stands in the metadata area of a packet that is only to be explained: put there by the caller
/// of `BPF_PROG_TEST_RUN`, and overwritten with the explanation.
///
/// 32 octets: all the metadata that kernels before 6.8 allow.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explain {
    /// [`Settings::explain_key`](crate::abi::Settings::explain_key): metadata can be set by other XDP
    /// programs too, and must not let a packet go uncounted.
    pub key: u64,
    /// Asks about this generation rather than the active one, if not 0. Afterwards: the one asked.
    pub generation: u64,
    /// Afterwards: the [`Reason`], as an index into [`Reason::ALL`].
    pub reason: u32,
    /// Afterwards: whom it concerns.
    pub subject: Subject,
}

const _: () = assert!(size_of::<Explain>() == 32);

impl Explain {
    /// A question about the generation in force.
    pub const fn question(key: u64, generation: u64) -> Self {
        Self { key, generation, reason: 0, subject: Subject::UNKNOWN }
    }

    /// The reason, if this is an explanation.
    pub fn reason(&self) -> Option<Reason> {
        Reason::ALL.get(self.reason as usize).copied()
    }
}
