//! Tokens: how source port and DNS ID of a forwarded query name its slot.
//!
//! A token has `port_bits + 16` bits: the slot's index at the bottom, a random nonce above it. A keyed
//! bijection turns it into another number of as many bits, whose upper part chooses the port and whose
//! lower 16 bits are the ID. So port and ID look random, although slots are taken in order, and
//! who does not see the traffic between dproxy and its backends can guess neither.

use crate::{
    abi::{CHUNK, Cursor, NatSettings, TokenKeys},
    tables::State,
    wire::Be16,
};

/// Marks a token as set, so that an empty slot matches nothing.
const SET: u32 = 1 << 31;

/// A slot to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The slot.
    pub slot: u32,
    /// Its token.
    pub token: u32,
    /// Source port of the forwarded query.
    pub port: Be16,
    /// DNS ID of the forwarded query, raw.
    pub id: u16,
}

/// Takes the next slot of this processor.
#[inline(always)]
pub fn take<S: State>(settings: &NatSettings, state: &mut S) -> Option<Ticket> {
    // A processor that was idle for long holds the rest of a chunk that others are about to get, or have got, with
    // the next round of the ring: what it took of that would be taken from queries under way.
    let next = state.cursor().next;
    let is_old = state.next_chunk()?.wrapping_sub(next) >> ((settings.slot_bits - 1) & 63) != 0;
    if next.is_multiple_of(CHUNK) || is_old {
        state.cursor().next = state.take_chunk()?;
    }
    let cursor = state.cursor();
    cursor.random = xorshift(cursor.random);
    let ticket = ticket(settings, cursor.next as u32, (scramble(cursor.random) >> 32) as u32);
    cursor.next = cursor.next.wrapping_add(1);
    Some(ticket)
}

/// Moves the random state on, without taking a slot: what was drawn for this packet came to nothing, and the
/// next one has to draw something else.
#[inline(always)]
pub fn skip<S: State>(state: &mut S) {
    let cursor = state.cursor();
    cursor.random = xorshift(cursor.random);
}

/// Random bits for a policy, which the next ticket does not use. Changes nothing.
#[inline(always)]
pub fn peek_random(cursor: &Cursor) -> u32 {
    scramble(xorshift(cursor.random)) as u32
}

/// The ticket for a slot, numbered without end, and a nonce.
#[inline(always)]
fn ticket(settings: &NatSettings, slot: u32, nonce: u32) -> Ticket {
    let slot = low_bits(slot, settings.slot_bits);
    let token = (nonce << (settings.slot_bits & 31) | slot) & settings.token_keys.token_mask;
    let mixed = mix(&settings.token_keys, token);
    let port = settings.port_first + (mixed >> 16);
    Ticket { slot, token: token | SET, port: Be16::new(port as u16), id: mixed as u16 }
}

/// The slot and token that a reply's destination port, known to be of the NAT range, and raw ID stand
/// for.
#[inline(always)]
pub fn decode(settings: &NatSettings, port: Be16, id: u16) -> (u32, u32) {
    let upper = (port.get() as u32).wrapping_sub(settings.port_first);
    let token = unmix(&settings.token_keys, (upper << 16 | id as u32) & settings.token_keys.token_mask);
    (low_bits(token, settings.slot_bits), token | SET)
}

/// Bits of a token, when the NAT range has 2 to the power `port_bits` ports.
pub const fn token_bits(port_bits: u32) -> u32 {
    port_bits + 16
}

/// A keyed bijection of tokens. Multiplying by an odd number and folding the upper half onto the lower can both be
/// undone.
#[inline(always)]
const fn mix(keys: &TokenKeys, token: u32) -> u32 {
    let [first, second] = keys.multipliers;
    let mixed = fold(keys, token.wrapping_mul(first) & keys.token_mask);
    let mixed = fold(keys, mixed.wrapping_mul(second) & keys.token_mask);
    mixed ^ keys.mask
}

/// Undoes [`mix`].
#[inline(always)]
const fn unmix(keys: &TokenKeys, mixed: u32) -> u32 {
    let [first, second] = keys.inverses;
    let mixed = fold(keys, mixed ^ keys.mask).wrapping_mul(second) & keys.token_mask;
    fold(keys, mixed).wrapping_mul(first) & keys.token_mask
}

/// Folds the upper half of a token onto its lower half: its own inverse.
#[inline(always)]
const fn fold(keys: &TokenKeys, value: u32) -> u32 {
    value ^ value >> (keys.fold & 31)
}

#[inline(always)]
const fn low_bits(value: u32, bits: u32) -> u32 {
    value & ((1u32 << (bits & 31)) - 1)
}

/// Marsaglia's xorshift64; with [`scramble`], xorshift64*.
#[inline(always)]
const fn xorshift(state: u64) -> u64 {
    let state = state ^ (state >> 12);
    let state = state ^ (state << 25);
    state ^ (state >> 27)
}

#[inline(always)]
const fn scramble(state: u64) -> u64 {
    state.wrapping_mul(0x2545_f491_4f6c_dd1d)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::HostState;
    use core::mem::swap;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::vec::Vec;

    prop_compose! {
        fn settings()(slot_bits in 10u32..=24, port_bits in 10u32..=15, keys: [u32; 3]) -> NatSettings {
            NatSettings {
                slot_bits, port_bits, token_keys: TokenKeys::from_random(keys, token_bits(port_bits)),
                port_first: 65536 - (1 << port_bits)
            }
        }
    }

    proptest! {
        #[test]
        fn decode_undoes_ticket(settings in settings(), slot: u32, nonce: u32) {
            let ticket = ticket(&settings, slot, nonce);
            prop_assert!(ticket.slot < 1 << settings.slot_bits);
            prop_assert!(u32::from(ticket.port.get()) >= settings.port_first);
            prop_assert_eq!(decode(&settings, ticket.port, ticket.id), (ticket.slot, ticket.token));
        }

        #[test]
        fn anything_of_the_range_decodes_inside_the_ring(settings in settings(), offset: u16, id: u16) {
            let port = settings.port_first + (u32::from(offset) & ((1 << settings.port_bits) - 1));
            let (slot, _) = decode(&settings, Be16::new(port as u16), id);
            prop_assert!(slot < 1 << settings.slot_bits);
        }
    }

    #[test]
    fn a_processor_that_was_idle_takes_nothing_from_others() {
        let settings =
            NatSettings { slot_bits: 10, port_bits: 14, port_first: 16384, ..NatSettings::default() };
        let mut state = HostState::new(10, 7);
        let mut idle = state.cursor;
        let take = |state: &mut HostState| take(&settings, state).unwrap().slot;
        swap(&mut state.cursor, &mut idle);
        let first = take(&mut state);
        assert_eq!(take(&mut state), first + 1);
        swap(&mut state.cursor, &mut idle);
        // The other one goes all around the ring.
        let mut taken: Vec<u32> = (0..1020).map(|_| take(&mut state)).collect();
        let under_way = taken.split_off(950);
        assert!(under_way.contains(&(first + 2)), "it comes by what the idle one holds");
        swap(&mut state.cursor, &mut idle);
        for _ in 0..CHUNK {
            assert!(!under_way.contains(&take(&mut state)));
        }
    }

    #[test]
    fn ports_and_ids_do_not_run_in_order() {
        let token_keys = TokenKeys::from_random([0x1234_5678, 0x9abc_def0, 0x0fed_cba9], token_bits(14));
        let settings = NatSettings { slot_bits: 16, port_bits: 14, port_first: 16384, token_keys };
        let (mut ports, mut ids) = (BTreeSet::new(), BTreeSet::new());
        for slot in 0..1000 {
            let ticket = ticket(&settings, slot, 5);
            ports.insert(ticket.port.get());
            ids.insert(ticket.id);
        }
        assert!(ports.len() > 500, "{} ports for 1000 slots", ports.len());
        assert!(ids.len() > 900, "{} ids for 1000 slots", ids.len());
    }
}
