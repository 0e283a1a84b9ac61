use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::abi::{
    Backend, BackendLive, CandidateLine, Destination, Generation, Listener, LongName, NatSettings, NextHop,
    Route, RouteBucket,
};

/// One pool of backends, each of which has as many candidates as it has members.
struct World {
    pool: Pool,
    lines: Vec<CandidateLine>,
    backends: Vec<Backend>,
}

const LIVE: BackendLive = BackendLive::reachable(0);

impl World {
    /// Backends with these words, chosen by this.
    fn of(lives: &[BackendLive], hash: HashInput) -> Self {
        let count = lives.len() as u32;
        let ids: Vec<u16> = (0..lives.len() as u16).collect();
        let line = |ids: &[u16]| {
            let mut line = CandidateLine::default();
            line.0[..ids.len()].copy_from_slice(ids);
            line
        };
        let lines: Vec<_> = ids.chunks(CANDIDATES_PER_LINE).map(line).collect();
        let backends = lives.iter().map(|live| Backend { live: *live, ..Backend::default() }).collect();
        let pool = Pool { candidates: count, members: count, hash: hash as u8, ..Pool::default() };
        Self { pool, lines: [lines.clone(), lines].concat(), backends }
    }

    /// Who gets a query for a name.
    fn chosen(&self, name_hash: u64, random: u32, turn: u32) -> Option<u16> {
        let mut work = Work::EMPTY;
        work.name.hash = name_hash;
        select(self, &self.pool, random, || turn, &mut work).ok()?;
        assert_eq!(work.live, self.backends[usize::from(work.subject.backend)].live);
        Some(work.subject.backend)
    }

    /// What share of queries for one name each backend gets.
    fn shares(&self, name_hash: u64) -> Vec<f64> {
        const QUERIES: u32 = 20_000;
        let mut counts = vec![0u32; self.backends.len()];
        let mut random = 0x1234_5678_9abc_def1u64;
        for turn in 0..QUERIES {
            random = mix(random);
            counts[usize::from(self.chosen(name_hash, random as u32, turn).unwrap())] += 1;
        }
        counts.into_iter().map(|count| f64::from(count) / f64::from(QUERIES)).collect()
    }
}

impl Tables for World {
    fn nat(&self) -> NatSettings {
        NatSettings::default()
    }
    fn active(&self) -> u64 {
        1
    }
    fn generation(&self, _half: Half) -> Option<&Generation> {
        None
    }
    fn destination(&self, _half: Half, _index: u32) -> Option<&Destination> {
        None
    }
    fn route_bucket(&self, _half: Half, _index: u32) -> Option<&RouteBucket> {
        None
    }
    fn route(&self, _half: Half, _index: u32) -> Option<&Route> {
        None
    }
    fn long_name(&self, _half: Half, _index: u32) -> Option<&LongName> {
        None
    }
    fn pool(&self, _half: Half, _id: u32) -> Option<&Pool> {
        Some(&self.pool)
    }
    fn candidate_line(&self, _half: Half, index: u32) -> Option<&CandidateLine> {
        self.lines.get(index as usize)
    }
    fn backend(&self, id: u16) -> Option<&Backend> {
        self.backends.get(usize::from(id))
    }
    fn next_hop(&self, _index: u32) -> Option<&NextHop> {
        None
    }
    fn listener(&self, _id: u16) -> Option<&Listener> {
        None
    }
}

#[test]
fn the_word_keeps_way_and_what_is_withheld_apart() {
    for way in
        [BackendLive::reachable(u32::MAX), BackendLive::LOCAL, BackendLive::SLOW, BackendLive::UNRESOLVED]
    {
        let word = way.withholding(u16::MAX).withholding(7);
        assert_eq!(
            (word.next_hop(), word.is_local(), word.is_usable()),
            (way.next_hop(), way.is_local(), way.is_usable())
        );
        assert_eq!((way.withheld(), word.withheld(), word.withholding(0)), (0, 7, way));
    }
}

#[test]
fn turns_go_round_and_pass_over_who_is_not_there() {
    let world = World::of(&[LIVE; 5], HashInput::RoundRobin);
    let turns: Vec<_> =
        (u32::MAX - 14..=u32::MAX).map(|turn| world.chosen(1, turn ^ 7, turn).unwrap()).collect();
    for five in turns.windows(5) {
        let mut five = five.to_vec();
        five.sort_unstable();
        assert_eq!(five, [0, 1, 2, 3, 4], "{turns:?}");
    }
    let world = World::of(&[LIVE, BackendLive::UNRESOLVED, LIVE, LIVE], HashInput::RoundRobin);
    let shares = world.shares(1);
    assert!(
        shares[1] == 0.0 && [0, 2, 3].iter().all(|id| (shares[*id] - 1.0 / 3.0).abs() < 0.02),
        "{shares:?}"
    );
}

#[test]
fn of_one_hot_name_a_part_goes_to_one_other_backend() {
    let mut spread = 0;
    for name in 0..50u64 {
        let all = World::of(&[LIVE; 4], HashInput::Qname);
        let first = all.chosen(name, 1, 0).unwrap();
        let mut lives = [LIVE; 4];
        lives[usize::from(first)] = LIVE.withholding(1 << 14);
        let shares = World::of(&lives, HashInput::Qname).shares(name);
        // If its next draw is it as well, it keeps most of what was withheld.
        assert!((0.73..=1.0).contains(&shares[usize::from(first)]), "{name}: {shares:?}");
        if (0.73..0.77).contains(&shares[usize::from(first)]) {
            assert_eq!(shares.iter().filter(|share| **share > 0.0).count(), 2, "{name}: {shares:?}");
            spread += 1;
        }
    }
    assert!(spread > 25, "three of four names: {spread} of 50");
}

#[test]
fn shares_are_as_what_is_left_to_each() {
    // Nine tenths are withheld from one of three.
    let world = World::of(&[LIVE, LIVE.withholding(58982), LIVE], HashInput::Random);
    let shares = world.shares(0);
    assert!(shares[1] < (shares[0] + shares[2]) / 2.0 / 3.0, "less than a third of the others': {shares:?}");
    // A half of each: nobody is spared, and all get the same.
    let world = World::of(&[LIVE.withholding(1 << 15); 4], HashInput::Random);
    assert!(world.shares(0).iter().all(|share| (share - 0.25).abs() < 0.02));
}

proptest! {
    #[test]
    fn a_query_finds_somebody_as_long_as_anybody_is_there(
        words in proptest::collection::vec((any::<bool>(), any::<u16>()), 1..=32),
        hash in 0u8..6, name: u64, random: u32, turn: u32,
    ) {
        let lives: Vec<_> = words
            .iter()
            .map(|(is_usable, withheld)| {
                let way = if *is_usable { LIVE } else { BackendLive::UNRESOLVED };
                way.withholding(*withheld)
            })
            .collect();
        let mut world = World::of(&lives, HashInput::Qname);
        world.pool.hash = hash;
        let chosen = world.chosen(name, random, turn);
        match words.iter().any(|(is_usable, _)| *is_usable) {
            true => prop_assert!(words[usize::from(chosen.unwrap())].0),
            false => prop_assert_eq!(chosen, None),
        }
    }
}
