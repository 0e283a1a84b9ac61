use super::RouteTarget;

/// Distinct label counts that the routes of a generation may have, besides that of the root.
pub const MAX_DEPTHS: usize = 32;

/// Powers of the hash base that are needed: a name without its root octet has at most 254 octets.
pub const NAME_POWERS: usize = 256;

/// What holds for a whole generation.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation {
    /// Twice its number, plus the half of the tables that it is in. Of a generation that was written anew because
    /// the network had changed, only the half differs.
    pub number: u64,
    /// Seed of the destination table's perfect hash.
    pub destination_seed: u64,
    /// The root's route for the root itself.
    pub root_at: RouteTarget,
    /// The root's route for all other names: the default.
    pub root_below: RouteTarget,
    /// Number of route buckets in use, minus one; the number is a power of two.
    pub bucket_mask: u32,
    /// How many of `depths` are in use.
    pub depth_count: u16,
    /// Largest EDNS UDP payload size that a query may announce to a backend, or 0: leave it alone.
    pub edns_udp_size: u16,
    /// Label counts that occur among the routes, largest first.
    pub depths: [u8; MAX_DEPTHS],
    /// The hash base to the power of the index; entry 1 is the base itself.
    pub powers: [u64; NAME_POWERS],
}
