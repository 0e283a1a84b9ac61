/// What [`Settings::magic`] is.
pub const MAGIC: u64 = u64::from_le_bytes(*b"dproxy!\x01");

/// What is fixed when the program is loaded: a constant in the program's read-only data.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// [`MAGIC`]: where these settings begin among a program's read-only data. It and the next field stay where
    /// they are, whatever else changes: a later version recognises the program by them.
    pub magic: u64,
    /// [`ABI_VERSION`](super::ABI_VERSION) of whoever set these.
    pub abi_version: u32,
    /// Candidate lines in one half.
    pub candidate_lines: u32,
    /// Must be in an explain request's first word; drawn at random by each load.
    pub explain_key: u64,
    /// How queries in flight are numbered.
    pub nat: NatSettings,
    /// Route buckets in one half.
    pub route_buckets: u32,
    /// Routes in one half.
    pub routes: u32,
    /// Long names in one half.
    pub long_names: u32,
    /// Pool ids: pools in one half.
    pub pools: u32,
    /// Ids of routes: counters that each processor has.
    pub route_ids: u32,
    /// Ids of backends.
    pub backends: u32,
    /// Ids of listeners.
    pub listeners: u32,
    /// Next hops.
    pub next_hops: u32,
    /// Processors: one more than the highest number that one may have.
    pub processors: u32,
    /// Unused, zero.
    pub reserved: u32,
}

impl Settings {
    /// What stands in the object before userspace sets it.
    pub const ZERO: Self = Self {
        magic: 0,
        abi_version: 0,
        candidate_lines: 0,
        explain_key: 0,
        nat: NatSettings {
            token_keys: TokenKeys { multipliers: [0; 2], inverses: [0; 2], mask: 0, token_mask: 0, fold: 0 },
            slot_bits: 0,
            port_first: 0,
            port_bits: 0,
        },
        route_buckets: 0,
        routes: 0,
        long_names: 0,
        pools: 0,
        route_ids: 0,
        backends: 0,
        listeners: 0,
        next_hops: 0,
        processors: 0,
        reserved: 0,
    };
}

/// How port and ID of a forwarded query are made.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NatSettings {
    /// Keys of the mixing of tokens.
    pub token_keys: TokenKeys,
    /// The slot ring has 2 to this power entries.
    pub slot_bits: u32,
    /// First port of the NAT range.
    pub port_first: u32,
    /// The NAT range has 2 to this power ports.
    pub port_bits: u32,
}

/// Keys of the bijection between tokens and what is seen of them, drawn at random, and kept while the slots are.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenKeys {
    /// Two odd multipliers.
    pub multipliers: [u32; 2],
    /// Their inverses modulo 2³².
    pub inverses: [u32; 2],
    /// What is added last: a token.
    pub mask: u32,
    /// The bits that a token has.
    pub token_mask: u32,
    /// The upper half of a token, rounded up, is behind so many bits.
    pub fold: u32,
}

impl TokenKeys {
    /// From 96 random bits, for tokens of so many bits, below 32.
    pub const fn from_random(random: [u32; 3], token_bits: u32) -> Self {
        let multipliers = [random[0] | 1, random[1] | 1];
        let inverses = [inverse(multipliers[0]), inverse(multipliers[1])];
        let (token_mask, fold) = ((1 << token_bits) - 1, token_bits.div_ceil(2));
        Self { multipliers, inverses, mask: random[2] & token_mask, token_mask, fold }
    }
}

/// The inverse of an odd number modulo 2³², by Newton's iteration; each step doubles the right bits,
/// beginning with three.
const fn inverse(odd: u32) -> u32 {
    let mut inverse = odd;
    let mut step = 0;
    while step < 4 {
        inverse = inverse.wrapping_mul(2u32.wrapping_sub(odd.wrapping_mul(inverse)));
        step += 1;
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inverses_undo() {
        for odd in [1, 3, 5, 0xdead_beef, u32::MAX, 0x8000_0001] {
            assert_eq!(odd.wrapping_mul(inverse(odd)), 1, "{odd:#x}");
        }
    }
}
