//! From a pool to one of its backends.

use crate::{
    abi::{CANDIDATES_PER_LINE, HashInput, Pool},
    reason::Reason,
    tables::{Half, Tables},
    verifier::forget,
    wire::Address,
    work::Work,
};

/// How many candidates are drawn before members are tried in turn: enough to keep to the weights when
/// one of a few backends cannot be reached.
pub const DRAWS: u32 = 4;

/// How many members are tried in turn. In larger pools, so many neighbours in a row have to be unreachable
/// before a query is not forwarded.
pub const MEMBERS_TRIED: u32 = 32;

/// The pool of an id or, for clients on their way there, the one that it is being switched to.
#[inline(always)]
pub fn pool<T: Tables>(tables: &T, half: Half, id: u16, client: Address) -> Option<&Pool> {
    let pool = tables.pool(half, u32::from(id))?;
    if pool.switch_percent != 0 && scale(switch_hash(client), 100) < u32::from(pool.switch_percent) {
        return tables.pool(half, u32::from(pool.switch_to));
    }
    Some(pool)
}

/// Whose turn it is when a pool is switched: of an IPv6 client, the /64 decides, since the rest of its address
/// changes by itself (RFC 8981). It has nothing to do with [`client_hash`], by which a policy chooses: else
/// those who are switched would all have the same few backends.
#[inline(always)]
const fn switch_hash(client: Address) -> u64 {
    let (of_v4, of_v6) = (client.low, client.high);
    mix(mix(if of_v6 == 0 { of_v4 } else { of_v6 }) ^ 0x0073_7769_7463_6865)
}

/// Chooses by the pool's policy, skipping backends that cannot be reached, and some of the time those that are not to get
/// all of their queries. The backend's id is left in [`Subject`](crate::abi::Subject), the way to it in [`Work::live`].
/// The slow path is a way like others: else the shares of the others would grow.
///
/// `turn` is for policies that go round: how many turns there were before this one.
#[inline(always)]
pub fn select<T: Tables>(
    tables: &T,
    pool: &Pool,
    random: u32,
    turn: impl FnOnce() -> u32,
    work: &mut Work,
) -> Result<(), Reason> {
    let input = HashInput::from_code(pool.hash);
    let mut selector = selector(input, work.name.hash, work.frame.network.source, random);
    let mut candidate = match input {
        HashInput::RoundRobin => turn().checked_rem(pool.candidates).unwrap_or(0),
        HashInput::Qname | HashInput::Client | HashInput::QnameClient | HashInput::Random => {
            scale(selector, pool.candidates)
        }
    };
    let mut chance = random;
    for _ in 0..DRAWS {
        if take(tables, pool.first_line, candidate, chance, work)? {
            return Ok(());
        }
        // Not of itself: the root's hash is 0, and so is what comes of 0.
        selector = mix(!selector);
        candidate = scale(selector, pool.candidates);
        // Each candidate has a chance of its own: else those from which much is withheld would be passed over together.
        chance = chance.wrapping_mul(NEXT_CHANCE);
    }
    let mut member = scale(selector, pool.members);
    for _ in 0..MEMBERS_TRIED {
        if take(tables, pool.member_line(), member, ANY_CHANCE, work)? {
            return Ok(());
        }
        let next = if member + 1 >= pool.members { 0 } else { member + 1 };
        // VERIFIER: else each turn doubles the states, one for 0 and one for the next.
        member = forget(&mut work.memory, next);
    }
    Err(Reason::BackendUnresolved)
}

/// Multiplied by this, a random number becomes another one, as far as its upper bits are concerned.
const NEXT_CHANCE: u32 = 0x9e37_79b9;

/// The chance of whoever is the last resort: nothing is withheld then.
const ANY_CHANCE: u32 = u32::MAX;

/// Takes the backend at a place behind a line, if it can be reached, and its turn is not withheld: a random number
/// decides, since one name may be most of what there is.
#[inline(always)]
fn take<T: Tables>(
    tables: &T,
    first_line: u32,
    place: u32,
    chance: u32,
    work: &mut Work,
) -> Result<bool, Reason> {
    let line = first_line + place / CANDIDATES_PER_LINE as u32;
    let line = tables.candidate_line(work.half, line).ok_or(Reason::Internal)?;
    let id = line.0[place as usize % CANDIDATES_PER_LINE];
    let backend = tables.backend(id).ok_or(Reason::Internal)?;
    let live = backend.live;
    if !live.is_usable() || chance >> 16 < live.withheld() as u32 {
        return Ok(false);
    }
    work.subject.backend = id;
    work.live = live;
    Ok(true)
}

/// The number that picks the candidate.
#[inline(always)]
fn selector(input: HashInput, name_hash: u64, client: Address, random: u32) -> u64 {
    match input {
        HashInput::Qname => mix(name_hash),
        HashInput::Client => mix(client_hash(client)),
        HashInput::QnameClient => mix(name_hash ^ client_hash(client)),
        HashInput::Random | HashInput::RoundRobin => mix(random as u64),
    }
}

#[inline(always)]
const fn client_hash(client: Address) -> u64 {
    mix(client.high).wrapping_add(client.low).wrapping_mul(0xd6e8_feb8_6659_fd93)
}

/// The finalizer of SplitMix64: every input bit reaches every output bit.
#[inline(always)]
pub const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Maps the upper half of a hash to 0 … count-1 without a division.
#[inline(always)]
const fn scale(selector: u64, count: u32) -> u32 {
    (((selector >> 32) * count as u64) >> 32) as u32
}

#[cfg(test)]
mod tests;
