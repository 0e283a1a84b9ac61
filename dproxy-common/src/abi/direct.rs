use crate::wire::{Address, Be16};

/// Notes that are kept at most.
pub const DIRECT_QUERIES: u32 = 16_384;

/// A query that went straight to a backend on this host: what its response has in common with it. No
/// listener was asked, so the response must leave as it is.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirectQuery {
    /// The client's address.
    pub client: Address,
    /// The client's port.
    pub client_port: Be16,
    /// The query ID, raw.
    pub id: u16,
    /// Id of the backend.
    pub backend: u16,
    /// Unused, zero.
    pub reserved: u16,
}
