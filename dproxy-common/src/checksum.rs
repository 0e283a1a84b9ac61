//! The Internet checksum (RFC 1071) and its incremental update (RFC 1624, equation 3).
//!
//! One's complement addition does not care about byte order as long as all words have the same
//! (RFC 1071 §2 B), so everything here adds up words as they stand in memory.

use crate::wire::{Address, Family, Ipv4Header};

/// A running one's complement sum, not yet folded to 16 bits.
///
/// Sixty-four bits hold more 32-bit additions than any packet has words.
#[derive(Clone, Copy, Default)]
pub struct Sum(u64);

impl Sum {
    /// The sum that a header's checksum field stands for, to be updated.
    #[inline(always)]
    pub const fn of_checksum(raw: u16) -> Self {
        Self(!raw as u64)
    }

    /// Adds a word of 16 or 32 bits, or one half of an address.
    #[inline(always)]
    #[must_use]
    pub const fn add(self, word: u32) -> Self {
        Self(self.0 + word as u64)
    }

    /// Takes back a word that was added before.
    #[inline(always)]
    #[must_use]
    pub const fn remove(self, word: u32) -> Self {
        self.add(!word)
    }

    /// Adds the words of an address.
    #[inline(always)]
    #[must_use]
    pub const fn add_address(self, address: Address) -> Self {
        self.add(address.high as u32)
            .add((address.high >> 32) as u32)
            .add(address.low as u32)
            .add((address.low >> 32) as u32)
    }

    /// Takes back the words of an address.
    #[inline(always)]
    #[must_use]
    pub const fn remove_address(self, address: Address) -> Self {
        self.remove(address.high as u32)
            .remove((address.high >> 32) as u32)
            .remove(address.low as u32)
            .remove((address.low >> 32) as u32)
    }

    /// Adds another sum.
    #[inline(always)]
    #[must_use]
    pub const fn add_sum(self, Self(other): Self) -> Self {
        Self(self.0 + other)
    }

    /// What a checksum over addresses changes by, when a pair of them takes another one's place.
    #[inline(always)]
    pub const fn of_change(from: [Address; 2], to: [Address; 2]) -> Self {
        let ([old_source, old_destination], [source, destination]) = (from, to);
        match (old_destination.family(), destination.family()) {
            // The mapped prefix is the same in all of them.
            (Family::V4, Family::V4) => Self(0)
                .remove(old_source.ipv4_raw())
                .remove(old_destination.ipv4_raw())
                .add(source.ipv4_raw())
                .add(destination.ipv4_raw()),
            (Family::V4 | Family::V6, Family::V4 | Family::V6) => Self(0)
                .remove_address(old_source)
                .remove_address(old_destination)
                .add_address(source)
                .add_address(destination),
        }
    }

    /// Folded to 16 bits.
    #[inline(always)]
    const fn fold(self) -> u16 {
        let sum = (self.0 & 0xffff_ffff) + (self.0 >> 32);
        let sum = (sum & 0xffff) + (sum >> 16);
        let sum = (sum & 0xffff) + (sum >> 16);
        let sum = (sum & 0xffff) + (sum >> 16);
        sum as u16
    }

    /// The checksum field of an IPv4 header.
    #[inline(always)]
    pub const fn header_checksum(self) -> u16 {
        !self.fold()
    }

    /// The checksum field of a UDP header: computed zero is sent as all ones, because zero means
    /// "no checksum" (RFC 768).
    #[inline(always)]
    pub const fn udp_checksum(self) -> u16 {
        match !self.fold() {
            0 => 0xffff,
            checksum => checksum,
        }
    }
}

/// The sum over an IPv4 header as it stands. Of an intact header, it folds to all ones.
#[inline(always)]
const fn ipv4_sum(Ipv4Header([a, b, c, d, e]): &Ipv4Header) -> Sum {
    Sum(0).add(*a).add(*b).add(*c).add(*d).add(*e)
}

/// Is the checksum of this header right?
#[inline(always)]
pub const fn ipv4_is_intact(header: &Ipv4Header) -> bool {
    ipv4_sum(header).fold() == 0xffff
}

/// The checksum of a header whose checksum field is 0.
#[inline(always)]
pub const fn ipv4_checksum(header: &Ipv4Header) -> u16 {
    ipv4_sum(header).header_checksum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 1071 §4.1, one 16-bit word at a time.
    fn reference(octets: &[u8]) -> u16 {
        let mut sum = 0u32;
        for pair in octets.chunks(2) {
            sum += u32::from(u16::from_le_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }

    proptest! {
        #[test]
        fn update_equals_recomputation(mut data: [u8; 32], old in 0usize..7, new: [u8; 4]) {
            let before = reference(&data);
            let at = old * 4;
            let word = u32::from_le_bytes(data[at..at + 4].try_into().unwrap());
            data[at..at + 4].copy_from_slice(&new);
            let updated = Sum::of_checksum(before).remove(word).add(u32::from_le_bytes(new)).header_checksum();
            let after = reference(&data);
            // Both representations of zero mean the same.
            prop_assert!(updated == after || (updated ^ after) == 0xffff && (updated == 0 || after == 0));
        }

        #[test]
        fn address_words_are_all_counted(octets: [u8; 16]) {
            let address = Address::from_octets(octets);
            prop_assert_eq!(Sum::default().add_address(address).header_checksum(), reference(&octets));
        }
    }

    #[test]
    fn the_mapped_prefix_adds_nothing() {
        let raw = u32::from_le_bytes([192, 0, 2, 33]);
        let mapped = Sum::default().add_address(Address::from_ipv4_raw(raw)).add(1);
        let plain = Sum::default().add(raw).add(1);
        assert_eq!(mapped.header_checksum(), plain.header_checksum());
    }

    #[test]
    fn udp_never_says_zero() {
        assert_eq!(Sum::default().add(0xffff).udp_checksum(), 0xffff);
        assert_eq!(Sum::default().add(0xffff).header_checksum(), 0);
    }
}
