//! One pass over a question name that leaves the hash of every suffix.
//!
//! The hash of octets `c₀ … cₙ₋₁` is `Σ (cᵢ+1)·xⁿ⁻¹⁻ⁱ` mod 2⁶⁴ over the lower-cased wire form without
//! the root octet. With `h_o` the hash of the first `o` octets, the suffix that begins at `o` has
//! the hash `h_n − h_o·xⁿ⁻ᵒ`: a multiplication, whatever its length.

use crate::{
    abi::{Generation, NAME_POWERS, RouteTarget},
    packet::Packet,
    reason::Reason,
    verifier,
};

/// RFC 1035 §2.3.4: a name has at most 255 octets, its root octet included.
pub const NAME_MAX: usize = 255;
/// RFC 1035 §2.3.4: a label has at most 63 octets.
pub const LABEL_MAX: u8 = 63;
/// So many labels, besides the root, fit into 255 octets.
pub const LABELS_MAX: usize = 127;

/// A question name and the hash of each of its suffixes. In the kernel it lies in a per-CPU map: it is
/// larger than the stack.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Name {
    /// Where it begins in the frame.
    pub offset: u32,
    /// Octets without the root octet.
    pub length: u32,
    /// Labels without the root.
    pub labels: u32,
    /// See [`crate::verifier::forget`].
    pub memory: u32,
    /// Where in the frame no label may begin any more.
    limit: u32,
    /// Hash of the whole name.
    pub hash: u64,
    /// The route found for it; see [`crate::route`].
    pub route: RouteTarget,
    /// Hash of what is in front of each label.
    hash_before: [u64; LABELS_MAX + 1],
    /// Where each label begins, counted from the name's first octet.
    label_offset: [u8; LABELS_MAX + 1],
}

/// The last labels of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suffix {
    /// Where it ends in the frame: at the root octet.
    pub end: u32,
    /// Octets without the root octet.
    pub length: u32,
    /// Its hash.
    pub hash: u64,
}

/// ASCII upper case to lower case (RFC 4343), without a branch. Label lengths stay as they are: they
/// are smaller than `A`.
#[inline(always)]
pub const fn fold_octet(octet: u8) -> u8 {
    octet | (((octet.wrapping_sub(b'A') < 26) as u8) << 5)
}

/// [`fold_octet`] for eight octets at once.
///
/// For octets below 0x80, adding `0x80 - 'A'` sets the top bit from `A` up, adding `0x80 - '[' `
/// from beyond `Z` up; octets from 0x80 up are left alone.
#[inline(always)]
pub const fn fold_word(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const LOW7: u64 = 0x7f * ONES;
    let low = word & LOW7;
    let from_a = low + (0x80 - b'A' as u64) * ONES;
    let beyond_z = low + (0x80 - b'Z' as u64 - 1) * ONES;
    let upper = from_a & !beyond_z & !word & !LOW7;
    word | (upper >> 2)
}

/// Adds one octet of the lower-cased wire form to a hash with base `base`.
#[inline(always)]
pub const fn hash_octet(hash: u64, base: u64, folded: u8) -> u64 {
    hash.wrapping_mul(base).wrapping_add(folded as u64 + 1)
}

/// Walks the name at `offset` in the frame, up to its root octet.
///
/// No label begins at or behind `limit`, an offset in the frame: the end of the UDP datagram. (That
/// the last one ends in front of it, the caller checks with the rest of the question.)
///
/// Octets are read and folded eight at a time. Within these, the hash is built up from nothing and put behind what came
/// before, so that the processor need not have finished one word to begin with the next.
///
/// VERIFIER: the length is left in map memory and read back from there. The loop has an exit for each; in a
/// register it would be known, and all that follows would be verified once for each.
#[inline(always)]
pub fn walk<P: Packet>(
    packet: &P,
    offset: u32,
    limit: u32,
    generation: &Generation,
    name: &mut Name,
) -> Result<(), Reason> {
    let powers = &generation.powers;
    let mut hash_before_word = 0u64;
    let mut remaining = 0u8;
    name.offset = offset;
    verifier::store(&mut name.limit, limit);
    // VERIFIER: the label count lives in map memory. In a register its value would be known on each
    // path, and each way to place labels would be a state of its own ("processed 1000001 insns").
    verifier::store(&mut name.labels, 0);
    for word in 0..NAME_MAX.div_ceil(8) {
        let octets = fold_word(load_word(packet, offset + 8 * word as u32, &name.limit)?);
        let mut hash = 0u64;
        for place in 0..8 {
            let octet = (octets >> (8 * place)) as u8;
            if remaining == 0 {
                let at = 8 * word + place;
                // VERIFIER: from a register, each comparison would leave a better bound of the limit than the one before,
                // and no way out of the loop would be like another.
                if offset + at as u32 >= verifier::load(&name.limit) {
                    return Err(Reason::QuestionCut);
                }
                let hash_before = hash_before_word.wrapping_mul(powers[place]).wrapping_add(hash);
                if octet == 0 && at < NAME_MAX {
                    verifier::store(&mut name.length, at as u32);
                    name.hash = hash_before;
                    return Ok(());
                }
                if octet == 0 || octet > LABEL_MAX {
                    return Err(Reason::BadName);
                }
                let label = verifier::load(&name.labels);
                name.label_offset[Name::index(label)] = at as u8;
                name.hash_before[Name::index(label)] = hash_before;
                verifier::store(&mut name.labels, label + 1);
                remaining = octet;
            } else {
                remaining -= 1;
            }
            hash = hash_octet(hash, powers[1], octet);
        }
        hash_before_word = hash_before_word.wrapping_mul(powers[8]).wrapping_add(hash);
    }
    Err(Reason::BadName)
}

/// Eight octets; those behind the end of the frame are 0.
#[inline(always)]
fn load_word<P: Packet>(packet: &P, offset: u32, limit: &u32) -> Result<u64, Reason> {
    if let Some(word) = packet.load(offset as usize) {
        return Ok(word);
    }
    let end = verifier::load(limit);
    let left = end.wrapping_sub(offset);
    if left == 0 || left >= 8 {
        return Err(Reason::QuestionCut);
    }
    // In front of a name is at least the DNS header.
    let word: u64 = packet.load(end.wrapping_sub(8) as usize).ok_or(Reason::QuestionCut)?;
    Ok(word >> (8 * (8 - left)))
}

impl Name {
    /// Room for a name.
    pub const EMPTY: Self = Self {
        offset: 0,
        length: 0,
        labels: 0,
        memory: 0,
        limit: 0,
        hash: 0,
        route: RouteTarget::NONE,
        hash_before: [0; LABELS_MAX + 1],
        label_offset: [0; LABELS_MAX + 1],
    };

    const fn index(label: u32) -> usize {
        label as usize & LABELS_MAX
    }

    /// The suffix of `depth` labels, 1 to `labels`.
    #[inline(always)]
    pub fn suffix(&self, depth: u32, generation: &Generation) -> Suffix {
        let label = Self::index(self.labels.wrapping_sub(depth));
        let begin = self.label_offset[label] as u32;
        let length = self.length.wrapping_sub(begin);
        let power = generation.powers[length as usize & (NAME_POWERS - 1)];
        let hash = self.hash.wrapping_sub(self.hash_before[label].wrapping_mul(power));
        Suffix { end: self.offset + self.length, length, hash }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_fold_like_octets() {
        for octet in 0..=255u8 {
            let word = u64::from_le_bytes([octet, 0, octet, 0x7f, octet, 0xff, octet, b'Z']);
            let expected =
                u64::from_le_bytes([octet, 0, octet, 0x7f, octet, 0xff, octet, b'Z'].map(fold_octet));
            assert_eq!(fold_word(word), expected, "{octet:#x}");
            assert_eq!(fold_octet(octet), octet.to_ascii_lowercase());
        }
    }

    proptest! {
        #[test]
        fn any_word_folds_like_its_octets(octets: [u8; 8]) {
            prop_assert_eq!(fold_word(u64::from_le_bytes(octets)), u64::from_le_bytes(octets.map(fold_octet)));
        }
    }
}
