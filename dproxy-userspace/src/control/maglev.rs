//! Maglev tables (Eisenbud et al., NSDI 2016, §3.4), weighted.
//!
//! A table names backends so that each stands in it as often as its weight says, and so that adding or
//! removing one moves few entries of the others.

use std::cmp::Reverse;
use std::net::SocketAddr;

use dproxy_common::{select::mix, wire::Address};

/// Primes to choose a table's size from. With a hundred entries for the lightest backend, shares are
/// within 1 % of the weights.
const SIZES: [u32; 4] = [1021, 4093, 16381, 65537];
const ENTRIES_FOR_LIGHTEST: u64 = 100;

/// A backend with its weight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) id: u16,
    pub(super) address: SocketAddr,
    pub(super) weight: u16,
}

/// The table of a pool: backend ids. Empty if no member has weight.
pub(super) fn table(members: &[Member]) -> Vec<u16> {
    let members: Vec<Member> = members.iter().copied().filter(|member| member.weight > 0).collect();
    match members.as_slice() {
        [] => Vec::new(),
        [only] => vec![only.id],
        _ => fill(&members, size(&members)),
    }
}

/// The members with weight, each once, in an order that has nothing to do with their addresses: those that fail
/// together, as a rack does, are not neighbours.
pub(super) fn in_turn(members: &[Member]) -> Vec<u16> {
    let mut members: Vec<_> = members.iter().filter(|member| member.weight > 0).collect();
    members.sort_unstable_by_key(|member| (hash(member), member.address));
    members.into_iter().map(|member| member.id).collect()
}

/// Turns of a round at most, unless there are more members.
const LONGEST_ROUND: u64 = 4096;

/// The members in the order in which they take turns: each as often as its weight says, as evenly as can be (the
/// "smooth" weighted round-robin of nginx).
pub(super) fn round(members: &[Member]) -> Vec<u16> {
    let order = in_turn(members);
    let weight_of =
        |id: &u16| members.iter().find(|member| member.id == *id).map_or(0, |member| member.weight);
    let weights: Vec<u64> = order.iter().map(|id| u64::from(weight_of(id))).collect();
    if weights.iter().all(|weight| Some(weight) == weights.first()) {
        return order;
    }
    let divisor = weights.iter().copied().fold(0, greatest_common_divisor).max(1);
    let total: u64 = weights.iter().sum::<u64>() / divisor;
    let turns = |weight: &u64| match total {
        0..=LONGEST_ROUND => weight / divisor,
        _ => (weight / divisor * LONGEST_ROUND / total).max(1),
    };
    let turns: Vec<i64> = weights.iter().map(|weight| turns(weight) as i64).collect();
    let all: i64 = turns.iter().sum();
    let mut credit = vec![0i64; turns.len()];
    let mut round = Vec::with_capacity(all as usize);
    for _ in 0..all {
        credit.iter_mut().zip(&turns).for_each(|(credit, turns)| *credit += turns);
        // The first one of those that have most.
        let most = (0..credit.len()).max_by_key(|&index| (credit[index], Reverse(index))).unwrap_or(0);
        credit[most] -= all;
        round.push(order[most]);
    }
    round
}

const fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn hash(member: &Member) -> u64 {
    let address = Address::from(member.address.ip());
    mix(mix(address.high ^ u64::from(member.address.port())) ^ address.low)
}

fn size(members: &[Member]) -> u32 {
    let total: u64 = members.iter().map(|member| u64::from(member.weight)).sum();
    let lightest = members.iter().map(|member| u64::from(member.weight)).min().unwrap_or(1);
    let wanted = ENTRIES_FOR_LIGHTEST * total / lightest;
    SIZES.into_iter().find(|&size| u64::from(size) >= wanted).unwrap_or(SIZES[SIZES.len() - 1])
}

/// A backend's order of preference for the table's entries: begin at an offset, go on in steps.
struct Preference {
    next: u64,
    step: u64,
}

impl Preference {
    fn of(member: &Member, size: u32) -> Self {
        let hash = hash(member);
        let size = u64::from(size);
        Self { next: hash % size, step: mix(hash) % (size - 1) + 1 }
    }
}

/// Members take turns at claiming their most preferred free entry; one with half the weight of the
/// heaviest has every second turn.
fn fill(members: &[Member], size: u32) -> Vec<u16> {
    let heaviest = members.iter().map(|member| u32::from(member.weight)).max().unwrap_or(1);
    let mut preferences: Vec<_> = members.iter().map(|member| Preference::of(member, size)).collect();
    let mut credit = vec![0u32; members.len()];
    let mut table: Vec<Option<u16>> = vec![None; size as usize];
    let mut free = size;
    while free > 0 {
        for (index, member) in members.iter().enumerate() {
            credit[index] += u32::from(member.weight);
            if credit[index] < heaviest || free == 0 {
                continue;
            }
            credit[index] -= heaviest;
            let Preference { next, step } = &mut preferences[index];
            while table[*next as usize].is_some() {
                *next = (*next + *step) % u64::from(size);
            }
            table[*next as usize] = Some(member.id);
            free -= 1;
        }
    }
    table.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(weights: &[u16]) -> Vec<Member> {
        let member = |(id, &weight): (usize, &u16)| Member {
            id: id as u16,
            address: SocketAddr::from(([192, 0, 2, id as u8 + 1], 53)),
            weight,
        };
        weights.iter().enumerate().map(member).collect()
    }

    fn shares(table: &[u16], count: usize) -> Vec<f64> {
        let mut counts = vec![0; count];
        table.iter().for_each(|&id| counts[usize::from(id)] += 1);
        counts.into_iter().map(|n| f64::from(n) / table.len() as f64).collect()
    }

    #[test]
    fn shares_follow_weights_within_one_percent() {
        for weights in [&[1, 1][..], &[1, 2, 7], &[3, 1], &[1; 50], &[1000, 1, 10], &[5, 0, 5]] {
            let table = table(&members(weights));
            let total: u16 = weights.iter().sum();
            for (share, &weight) in shares(&table, weights.len()).iter().zip(weights) {
                let fair = f64::from(weight) / f64::from(total);
                let off = (share - fair).abs() / fair.max(0.001);
                assert!(off < 0.011 || (share - fair).abs() < 0.0002, "{weights:?}: {share} for {fair}");
            }
        }
    }

    #[test]
    fn one_backend_needs_one_entry_and_none_none() {
        assert_eq!(table(&members(&[7])), [0]);
        assert_eq!(table(&members(&[0, 4])), [1]);
        assert_eq!(table(&members(&[0])), [0u16; 0]);
    }

    #[test]
    fn a_round_has_each_as_often_as_its_weight_says_and_never_in_a_row() {
        assert_eq!(round(&members(&[])), [0u16; 0]);
        assert_eq!(round(&members(&[0, 4])), [1]);
        let equal = round(&members(&[3; 5]));
        assert_eq!(equal, in_turn(&members(&[3; 5])), "each once");
        let weighted = round(&members(&[10, 20, 50]));
        assert_eq!(weighted.len(), 8);
        let turns = |round: &[u16], id: u16| round.iter().filter(|turn| **turn == id).count();
        assert_eq!([0, 1, 2].map(|id| turns(&weighted, id)), [1, 2, 5]);
        let around: Vec<u16> = weighted.iter().chain(&weighted).copied().collect();
        assert!(around.windows(3).all(|three| three != [2; 3]), "{weighted:?}");
        let long = round(&members(&[1, 65535, 65534]));
        assert!(long.len() <= 4100 && turns(&long, 0) == 1, "{}", long.len());
    }

    #[test]
    fn removing_one_of_ten_moves_little_else() {
        let before = table(&members(&[1; 10]));
        let after = table(&members(&[1, 1, 1, 1, 0, 1, 1, 1, 1, 1]));
        assert_eq!(before.len(), after.len());
        let moved = before.iter().zip(&after).filter(|(b, a)| b != a && **b != 4).count();
        let share = moved as f64 / before.len() as f64;
        assert!(share < 0.05, "{share} of the others' entries moved");
    }

    #[test]
    fn the_table_depends_on_addresses_and_not_on_ids_or_order() {
        let members = members(&[1, 2, 3]);
        let reversed: Vec<_> = members.iter().rev().copied().collect();
        let (a, b) = (table(&members), table(&reversed));
        let same = a.iter().zip(&b).filter(|(a, b)| a == b).count();
        assert!(same as f64 / a.len() as f64 > 0.95, "{same} of {}", a.len());
    }
}
