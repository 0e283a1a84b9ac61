//! The longest route that applies to a name.

use crate::{
    abi::{Generation, INLINE_NAME_WORDS, MAX_DEPTHS, Route, RouteTarget},
    name::{Name, Suffix, fold_word},
    packet::Packet,
    reason::Reason,
    tables::{Half, Tables},
    verifier::forget,
};

/// Where a name hash lives in the route index: in one of two buckets.
///
/// Which two these are follows from either of them and the tag. So an entry can be moved to its other bucket
/// without its name, and whoever looks into a bucket and meets their own tag there has that entry's other bucket
/// too: two names get into each other's way if tag and buckets are the same, wherever their entries are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexKey {
    /// One of the buckets, before the mask.
    bucket: u32,
    /// Upper half of the slot. The tag of a name with routes is not 0, as a free slot's seems to be.
    pub tag: u32,
}

impl IndexKey {
    /// Mixes a name hash: the low bits of a polynomial modulo a power of two are weak.
    #[inline(always)]
    pub const fn of_hash(hash: u64) -> Self {
        let mixed = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = mixed ^ (mixed >> 29);
        Self { bucket: mixed as u32, tag: (mixed >> 32) as u32 }
    }

    /// The buckets of an index with `mask + 1` of them.
    #[inline(always)]
    pub const fn buckets(self, mask: u32) -> [u32; 2] {
        [self.bucket & mask, Self::other_bucket(self.bucket, self.tag, mask)]
    }

    /// The other bucket of an entry that has this tag and is in `bucket`. If there is more than one bucket, it is
    /// another one.
    #[inline(always)]
    pub const fn other_bucket(bucket: u32, tag: u32, mask: u32) -> u32 {
        (bucket ^ (tag | 1)) & mask
    }
}

/// How many hits on a tag and a length the kernel compares in full. All but one are collisions that somebody
/// crafted, or an accident of one in billions.
pub const HITS_COMPARED: usize = 2;

/// Finds the route for a name: the longest configured name that is the name itself or above it and
/// has something that applies, down to the root. It is left in [`Name::route`]; nothing found is a target
/// of nothing.
///
/// After `HITS` hits that were none, the name is left to others ([`Reason::HashCollision`]). There is one hit
/// for each depth at the most: with more `HITS` than [`MAX_DEPTHS`], the answer is always found.
///
/// VERIFIER: looking for the next hit and comparing it come one after the other, with what they share
/// kept in map memory. Compared inside the loop over depths, all is well for the packet but not for the
/// verifier ("The sequence of 8193 jumps is too complex").
#[inline(always)]
pub fn longest_match<const HITS: usize, P: Packet, T: Tables>(
    packet: &P,
    tables: &T,
    half: Half,
    generation: &Generation,
    name: &mut Name,
) -> Result<(), Reason> {
    let mut step = 0;
    for _ in 0..HITS {
        let Some(hit) = next_hit(tables, half, generation, name, step) else {
            name.route = if name.labels == 0 { generation.root_at } else { generation.root_below };
            return Ok(());
        };
        let index = forget(&mut name.memory, hit.route);
        step = forget(&mut name.memory, hit.step) as usize;
        let depth = generation.depths.get(step).copied().unwrap_or(0) as u32;
        let suffix = name.suffix(depth, generation);
        let route = tables.route(half, index).ok_or(Reason::Internal)?;
        if same_name(packet, tables, half, route, &suffix) {
            name.route = applicable(route, depth, name);
            return Ok(());
        }
        step += 1;
    }
    Err(Reason::HashCollision)
}

/// What of a route applies to a name of which it is the last `depth` labels.
#[inline(always)]
fn applicable(route: &Route, depth: u32, name: &Name) -> RouteTarget {
    if depth == name.labels { route.at } else { route.below }
}

/// A route that has the tag and the length of one of the name's suffixes.
#[derive(Clone, Copy)]
struct Hit {
    step: u32,
    route: u32,
}

/// The next hit that would apply, looking from `step` on in the generation's list of depths.
#[inline(always)]
fn next_hit<T: Tables>(
    tables: &T,
    half: Half,
    generation: &Generation,
    name: &Name,
    mut step: usize,
) -> Option<Hit> {
    while step < MAX_DEPTHS {
        let depth = generation.depths[step] as u32;
        if depth == 0 {
            return None;
        }
        if depth <= name.labels {
            let suffix = name.suffix(depth, generation);
            if let Some(index) = probe(tables, half, generation, IndexKey::of_hash(suffix.hash))
                && let Some(route) = foreseen(tables, half, index)
                && route.name_length == suffix.length
                && applicable(route, depth, name).target.is_some()
            {
                return Some(Hit { step: step as u32, route: index });
            }
        }
        step += 1;
    }
    None
}

/// A route that will be counted if it is of the name.
#[inline(always)]
fn foreseen<T: Tables>(tables: &T, half: Half, index: u32) -> Option<&Route> {
    tables.foresee_count(index);
    tables.route(half, index)
}

/// The index of the route whose tag agrees; the builder makes sure that there is at most one. It is in the first bucket
/// six times of seven, and a processor that expects it there goes on without the second one.
///
/// A free slot looks like tag 0, and gives an index that no table has.
#[inline(always)]
fn probe<T: Tables>(tables: &T, half: Half, generation: &Generation, key: IndexKey) -> Option<u32> {
    for bucket in key.buckets(generation.bucket_mask) {
        for slot in tables.route_bucket(half, bucket)?.0 {
            if (slot >> 32) as u32 == key.tag {
                return Some((slot as u32).wrapping_sub(1));
            }
        }
    }
    None
}

/// Compares the full name, so that equal hashes never route.
#[inline(always)]
fn same_name<P: Packet, T: Tables>(
    packet: &P,
    tables: &T,
    half: Half,
    route: &Route,
    suffix: &Suffix,
) -> bool {
    if suffix.length <= 8 * INLINE_NAME_WORDS as u32 {
        same_words(packet, suffix.end, suffix.length, &route.name)
    } else {
        let Some(name) = tables.long_name(half, route.long_name) else { return false };
        same_words(packet, suffix.end, suffix.length, &name.0)
    }
}

/// Compares a suffix in the packet with a name set flush right in `words`, from the end.
///
/// The last word may begin in front of the suffix: what is there, at least the DNS header, is in the
/// packet too, and is shifted out.
///
#[inline(always)]
fn same_words<P: Packet, const N: usize>(packet: &P, mut end: u32, length: u32, words: &[u64; N]) -> bool {
    let mut left = length as i32;
    for word in words.iter().rev() {
        if left <= 0 {
            return true;
        }
        end = end.wrapping_sub(8);
        let Some(octets) = packet.load::<u64>(end as usize) else { return false };
        let mut difference = fold_word(octets) ^ word;
        if left < 8 {
            difference >>= 64 - 8 * left;
        }
        if difference != 0 {
            return false;
        }
        left -= 8;
    }
    left <= 0
}
