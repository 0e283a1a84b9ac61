//! Who has answered, or who may.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

/// A set of those who answer; of a query that is answered, it has one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Who(u8);

impl Who {
    /// Nobody: the query is lost.
    pub const NOBODY: Self = Self(0);
    /// The first backend.
    pub const A: Self = Self(1);
    /// The second.
    pub const B: Self = Self(1 << 1);
    /// The third.
    pub const C: Self = Self(1 << 2);
    /// The server that takes its time.
    pub const SLOW: Self = Self(1 << 3);
    /// dproxy itself: REFUSED.
    pub const REFUSED: Self = Self(1 << 4);
    /// None of these, or not with what was asked.
    pub const STRANGER: Self = Self(1 << 5);

    const NAMES: [&str; 6] = ["a", "b", "c", "slow", "refused", "a stranger"];

    /// What a server sets in the flags word: QR, and AA and TC as its number. No response of dproxy's own has AA.
    pub(super) const fn mark(self) -> u16 {
        match self {
            Self::A => 0x8400,
            Self::B => 0x8200,
            Self::C => 0x8600,
            _ => 0x8000,
        }
    }

    /// Who has made this response to a query.
    pub(super) fn of(query: &[u8], response: &[u8]) -> Self {
        let (Some(flags), Some(rest)) = (response.get(2..4), response.get(4..)) else {
            return Self::STRANGER;
        };
        // dproxy removes what is behind the question, of which our queries have nothing.
        if rest != &query[4..] {
            return Self::STRANGER;
        }
        let flags = u16::from_be_bytes([flags[0], flags[1]]);
        let all = [Self::A, Self::B, Self::C, Self::SLOW];
        // As the query, which asks for recursion, with the mark.
        let server = all.into_iter().find(|server| flags == server.mark() | super::pace::FLAGS);
        let refused = flags & 0x8600 == 0x8000 && flags & 0xf == 5;
        server.unwrap_or(if refused { Self::REFUSED } else { Self::STRANGER })
    }

    /// Are all of these among those?
    pub const fn is_subset(self, others: Self) -> bool {
        self.0 & !others.0 == 0
    }
}

impl BitOr for Who {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Who {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Self::NAMES.iter().enumerate().filter(|(bit, _)| self.0 & 1 << bit != 0);
        let names: Vec<&str> = names.map(|(_, name)| *name).collect();
        f.write_str(if names.is_empty() { "nobody".to_owned() } else { names.join(" or ") }.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_answers_is_told_by_the_flags_if_all_else_is_as_asked() {
        let query = [&[0, 7, 1, 0][..], b"the rest"].concat();
        let response = |flags: u16| [&[0, 7][..], &flags.to_be_bytes(), b"the rest"].concat();
        for (flags, who) in [
            (0x8500, Who::A),
            (0x8300, Who::B),
            (0x8700, Who::C),
            (0x8100, Who::SLOW),
            (0x8105, Who::REFUSED),
            (0x8102, Who::STRANGER),
            (0x0100, Who::STRANGER),
        ] {
            assert_eq!(Who::of(&query, &response(flags)), who, "{flags:#x}");
        }
        assert_eq!(Who::of(&query, &response(0x8500)[..11]), Who::STRANGER);
        assert_eq!(Who::of(&query, &[]), Who::STRANGER);
    }
}
