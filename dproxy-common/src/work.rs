//! Room for what is known about one packet while it is handled.

use crate::{
    abi::{BackendLive, Subject},
    frame::Frame,
    name::Name,
    plan::Plan,
    tables::Half,
};

/// Everything that one step finds out and another needs.
///
/// VERIFIER: in the kernel it lies in a per-CPU map. It would not fit on the stack of 512 octets, and
/// what is read back from a map is unknown to the verifier: the paths through one step become one
/// state in front of the next. Steps are inlined: a return costs 5 to 10 ns where the kernel guards returns against
/// speculation. (On AMD Zen 4, a query took 206 ns with seven functions, and 144 ns without.)
pub struct Work {
    /// Is the packet only to be explained?
    pub is_explained: bool,
    /// Half of the tables that the packet uses throughout.
    pub half: Half,
    /// Its headers.
    pub frame: Frame,
    /// Its question name.
    pub name: Name,
    /// Whom it concerns.
    pub subject: Subject,
    /// The live word of the backend chosen.
    pub live: BackendLive,
    /// What is to become of it.
    pub plan: Plan,
    /// See [`crate::verifier::forget`].
    pub memory: u32,
}

impl Work {
    /// Nothing known yet.
    pub const EMPTY: Self = Self {
        is_explained: false,
        half: Half::of_generation(0),
        frame: Frame::EMPTY,
        name: Name::EMPTY,
        subject: Subject::UNKNOWN,
        live: BackendLive::UNRESOLVED,
        plan: Plan::None,
        memory: 0,
    };
}
