/// A response that dproxy makes itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u16)]
pub enum Answer {
    /// REFUSED.
    Refused = 1,
    /// NXDOMAIN, without the SOA that would make it cacheable.
    Nxdomain = 2,
    /// SERVFAIL.
    Servfail = 3,
    /// TC=1: ask again over TCP.
    Truncate = 4,
    /// No response at all.
    Drop = 5,
}

impl Answer {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 5] = [Self::Refused, Self::Nxdomain, Self::Servfail, Self::Truncate, Self::Drop];

    /// The word for it in configuration, CLI and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Nxdomain => "nxdomain",
            Self::Servfail => "servfail",
            Self::Truncate => "truncate",
            Self::Drop => "drop",
        }
    }
}

/// Where a route leads: the packed form of "nothing, a pool, or an answer".
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Target(u16);

impl Target {
    /// The route does not apply; look at the next shorter name.
    pub const NONE: Self = Self(0);
    const FIRST_POOL: u16 = 16;
    /// Largest pool id that fits.
    pub const MAX_POOL: u16 = u16::MAX - Self::FIRST_POOL;

    /// To an answer.
    pub const fn answer(answer: Answer) -> Self {
        Self(answer as u16)
    }

    /// To a pool, by its id, at most [`Self::MAX_POOL`].
    pub const fn pool(id: u16) -> Self {
        Self(id + Self::FIRST_POOL)
    }

    /// Does it lead anywhere?
    #[inline(always)]
    pub const fn is_some(self) -> bool {
        self.0 != 0
    }

    /// The pool's id, if it leads to one.
    #[inline(always)]
    pub const fn to_pool(self) -> Option<u16> {
        self.0.checked_sub(Self::FIRST_POOL)
    }

    /// The pool's id, or the answer. A code that is neither counts as REFUSED.
    #[inline(always)]
    pub const fn decode(self) -> Result<u16, Answer> {
        match self.0 {
            2 => Err(Answer::Nxdomain),
            3 => Err(Answer::Servfail),
            4 => Err(Answer::Truncate),
            5 => Err(Answer::Drop),
            code if code >= Self::FIRST_POOL => Ok(code - Self::FIRST_POOL),
            _ => Err(Answer::Refused),
        }
    }
}

/// A route's target and the id under which it is counted.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouteTarget {
    /// Id of the route's counter.
    pub route: u32,
    /// Where it leads.
    pub target: Target,
    /// Of which of the name's patterns it is, for userspace: 1 exact, 2 wildcard, 3 subtree; 0 without a route.
    pub kind: u16,
}

impl RouteTarget {
    /// Nothing applies.
    pub const NONE: Self = Self { route: super::NO_ROUTE, target: Target::NONE, kind: 0 };
}

/// Name octets that fit into a [`Route`], in words.
pub const INLINE_NAME_WORDS: usize = 5;
/// Words of a [`LongName`].
pub const LONG_NAME_WORDS: usize = 32;

/// All that is configured for one name: one cache line.
///
/// The name is the lower-cased wire form without the root octet, in little-endian words, set flush
/// right: its last octet is the top octet of the last word. So it is compared word by word from its
/// end, and only the first, incomplete word needs a shift.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// Applies to the name itself: its exact route, else its subtree route.
    pub at: RouteTarget,
    /// Applies to names below: its wildcard route, else its subtree route.
    pub below: RouteTarget,
    /// Octets of the name, 1 to 254.
    pub name_length: u32,
    /// Index among the long names, if the name has more than 40 octets.
    pub long_name: u32,
    /// The name, if it has at most 40 octets.
    pub name: [u64; INLINE_NAME_WORDS],
}

/// A name too long for a [`Route`], in the same form.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongName(pub [u64; LONG_NAME_WORDS]);

/// Slots of a [`RouteBucket`].
pub const BUCKET_SLOTS: usize = 2;

/// A bucket of the index from name hash to route. Each slot holds a tag of 32 bits in its upper half, which says
/// where else the entry may be, and a route index plus one in its lower half; 0 is free. See
/// [`IndexKey`](crate::route::IndexKey).
#[repr(C, align(16))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouteBucket(pub [u64; BUCKET_SLOTS]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_survive_the_round_trip() {
        for answer in Answer::ALL {
            assert_eq!(Target::answer(answer).decode(), Err(answer));
        }
        for pool in [0, 1, 4096, Target::MAX_POOL] {
            assert_eq!(Target::pool(pool).decode(), Ok(pool));
        }
        assert!(!Target::NONE.is_some());
    }
}
