//! Access to the octets of one packet.

use crate::wire::Wire;

/// No access beyond this offset, so that the verifier sees a bound on every offset.
///
/// Ethernet with two tags (22), IPv6 (40), UDP (8), DNS header (12), a name (255), type and class
/// (4) and OPT (11) make 352.
pub const MAX_OFFSET: usize = 0x1ff;

/// The packet could not be resized; it is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResizeRefused;

/// One frame, from the first octet of its Ethernet header.
pub trait Packet {
    /// Reads a value, or nothing when it does not lie wholly inside the frame.
    fn load<T: Wire>(&self, offset: usize) -> Option<T>;

    /// Writes a value, or nothing when it would not lie wholly inside the frame.
    fn store<T: Wire>(&mut self, offset: usize, value: T) -> Option<()>;

    /// Octets of the frame.
    fn length(&self) -> usize;

    /// Makes the frame `octets` longer (or shorter, when negative) at its head.
    fn grow_head(&mut self, octets: isize) -> Result<(), ResizeRefused>;

    /// Cuts the frame at its tail to `length` octets.
    fn truncate(&mut self, length: usize) -> Result<(), ResizeRefused>;

    /// Index of the interface that received the frame.
    fn interface(&self) -> u32;
}
