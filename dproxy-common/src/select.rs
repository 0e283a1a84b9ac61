//! From a pool to one of its backends.

use crate::{
    abi::{CANDIDATES_PER_LINE, HashInput, NextHop, Pool},
    reason::Reason,
    tables::{Half, Tables},
    wire::{Address, Be16},
};

/// How many candidates are tried before a pool counts as unreachable.
pub const ATTEMPTS: u32 = 4;

/// A backend that can be reached.
#[derive(Clone, Copy, Debug)]
pub struct Chosen<'t> {
    /// Its id.
    pub id: u16,
    /// Its address.
    pub address: Address,
    /// Its port.
    pub port: Be16,
    /// How to reach it.
    pub next_hop: &'t NextHop,
}

/// Chooses by the pool's policy, skipping backends that cannot be reached.
#[inline(always)]
pub fn select<'t, T: Tables>(
    tables: &'t T,
    half: Half,
    pool: &Pool,
    name_hash: u64,
    client: Address,
    random: u32,
) -> Result<Chosen<'t>, Reason> {
    let mut selector = selector(pool, name_hash, client, random);
    for _ in 0..ATTEMPTS {
        let candidate = scale(selector, pool.candidates);
        let line = pool.first_line + candidate / CANDIDATES_PER_LINE as u32;
        let line = tables.candidate_line(half, line).ok_or(Reason::Internal)?;
        let id = line.0[candidate as usize % CANDIDATES_PER_LINE];
        let backend = tables.backend(id).ok_or(Reason::Internal)?;
        if let Some(next_hop) = backend.live.next_hop() {
            let next_hop = tables.next_hop(next_hop).ok_or(Reason::Internal)?;
            return Ok(Chosen { id, address: backend.address, port: backend.port, next_hop });
        }
        selector = mix(selector);
    }
    Err(Reason::BackendUnresolved)
}

/// The number that picks the candidate.
#[inline(always)]
fn selector(pool: &Pool, name_hash: u64, client: Address, random: u32) -> u64 {
    match HashInput::from_code(pool.hash) {
        HashInput::Qname => mix(name_hash),
        HashInput::Client => mix(client_hash(client)),
        HashInput::QnameClient => mix(name_hash ^ client_hash(client)),
        HashInput::Random => mix(random as u64),
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
