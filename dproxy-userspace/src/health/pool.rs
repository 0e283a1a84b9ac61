//! Who of a pool gets queries, from all that is known. Pure.

use super::State;
use crate::config::PanicThreshold;

/// A member, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Has it a share of the pool's queries: a weight, and is not drained?
    pub has_share: bool,
    /// The tier, 1 unless the pool's policy is failover.
    pub tier: u8,
    /// Is there a way to it?
    pub is_reachable: bool,
    /// What checks and real queries say.
    pub state: State,
    /// Do real queries get no reply?
    pub is_silent: bool,
}

/// How a pool gets by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// With the members of this tier that are up.
    Normal {
        /// The tier.
        tier: u8,
    },
    /// Too few are up, so that health is ignored.
    FailOpen,
    /// With nobody.
    Down,
}

/// What is decided for a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// How it gets by.
    pub mode: Mode,
    /// Who gets queries, in the order of the candidates.
    pub open: Vec<bool>,
    /// Members with a share that could be used, if all were well.
    pub members: usize,
    /// Those of them that are up, or not known to be down, and reachable.
    pub usable: usize,
}

/// Decides for a pool.
pub fn decide(candidates: &[Candidate], threshold: PanicThreshold) -> Decision {
    let counts = |candidate: &&Candidate| candidate.has_share;
    let is_usable = |candidate: &&Candidate| candidate.is_reachable && candidate.state != State::Down;
    let members = candidates.iter().filter(counts).count();
    let usable = candidates.iter().filter(counts).filter(is_usable).count();
    let is_enough = |tier: &u8| {
        let of_tier = || candidates.iter().filter(counts).filter(|candidate| candidate.tier == *tier);
        threshold.is_met(of_tier().filter(is_usable).count(), of_tier().count())
    };
    let mut tiers: Vec<u8> = candidates.iter().filter(counts).map(|candidate| candidate.tier).collect();
    tiers.sort_unstable();
    tiers.dedup();
    let (mode, open) = match tiers.into_iter().find(is_enough) {
        Some(tier) => {
            // What does not count, as a primary of weight 0, is open as long as it works.
            let is_open = |candidate: &Candidate| {
                is_usable(&candidate) && (candidate.tier == tier || !candidate.has_share)
            };
            (Mode::Normal { tier }, candidates.iter().map(is_open).collect())
        }
        None => fail_open(candidates, threshold),
    };
    Decision { mode, open, members, usable }
}

/// With too few of them up: everybody who is reachable, or everybody but those who are known to be silent.
fn fail_open(candidates: &[Candidate], threshold: PanicThreshold) -> (Mode, Vec<bool>) {
    let is_allowed =
        |candidate: &Candidate| candidate.is_reachable && (threshold.0 > 0 || candidate.state != State::Down);
    let answers = |candidate: &Candidate| is_allowed(candidate) && !candidate.is_silent;
    let is_any = |which: &dyn Fn(&Candidate) -> bool| {
        candidates.iter().any(|candidate| candidate.has_share && which(candidate))
    };
    let open: Vec<bool> = if is_any(&answers) {
        candidates.iter().map(answers).collect()
    } else {
        candidates.iter().map(is_allowed).collect()
    };
    let mode = if is_any(&is_allowed) { Mode::FailOpen } else { Mode::Down };
    (mode, open)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UP: Candidate =
        Candidate { has_share: true, tier: 1, is_reachable: true, state: State::Up, is_silent: false };
    const NEW: Candidate = Candidate { state: State::Checking, ..UP };
    const DOWN: Candidate = Candidate { state: State::Down, ..UP };
    const SILENT: Candidate = Candidate { is_silent: true, ..DOWN };
    const AWAY: Candidate = Candidate { is_reachable: false, ..UP };
    const DRAINED: Candidate = Candidate { has_share: false, ..UP };
    const BACKUP: Candidate = Candidate { tier: 2, ..UP };

    fn decided(candidates: &[Candidate]) -> (Mode, String) {
        let Decision { mode, open, .. } = decide(candidates, PanicThreshold::default());
        (mode, open.iter().map(|open| if *open { '+' } else { '-' }).collect())
    }

    const NORMAL: Mode = Mode::Normal { tier: 1 };

    #[test]
    fn who_is_down_or_away_gets_nothing_while_a_third_is_left() {
        for (candidates, mode, open) in [
            (vec![UP, UP, UP], NORMAL, "+++"),
            (vec![NEW, NEW, NEW], NORMAL, "+++"),
            (vec![UP, DOWN, NEW], NORMAL, "+-+"),
            (vec![DOWN, UP, AWAY], NORMAL, "-+-"),
            (vec![DOWN, DOWN, DOWN], Mode::FailOpen, "+++"),
            (vec![UP, DOWN, DOWN, DOWN], Mode::FailOpen, "++++"),
            (vec![DOWN], Mode::FailOpen, "+"),
            (vec![SILENT], Mode::FailOpen, "+"),
            (vec![AWAY, AWAY], Mode::Down, "--"),
            (vec![DOWN, AWAY, DOWN], Mode::FailOpen, "+-+"),
        ] {
            assert_eq!(decided(&candidates), (mode, open.to_owned()), "{candidates:?}");
        }
    }

    #[test]
    fn who_is_silent_stays_out_while_others_may_answer() {
        assert_eq!(decided(&[SILENT, SILENT, SILENT, UP]), (Mode::FailOpen, "---+".to_owned()));
        assert_eq!(decided(&[SILENT, DOWN, SILENT]), (Mode::FailOpen, "-+-".to_owned()));
        assert_eq!(decided(&[SILENT, SILENT]), (Mode::FailOpen, "++".to_owned()));
    }

    #[test]
    fn who_has_no_share_does_not_count() {
        assert_eq!(decided(&[DRAINED, DRAINED, DRAINED, UP]), (NORMAL, "++++".to_owned()));
        assert_eq!(decided(&[DRAINED, DOWN]), (Mode::FailOpen, "++".to_owned()), "it is not used instead");
        let primary = Candidate { state: State::Down, ..DRAINED };
        assert_eq!(decided(&[primary, UP]), (NORMAL, "-+".to_owned()));
    }

    #[test]
    fn the_lowest_tier_with_enough_is_used_alone() {
        for (candidates, mode, open) in [
            (vec![UP, UP, BACKUP], NORMAL, "++-"),
            (vec![UP, DOWN, BACKUP], NORMAL, "+--"),
            (vec![DOWN, AWAY, BACKUP], Mode::Normal { tier: 2 }, "--+"),
            (vec![UP, DOWN, DOWN, DOWN, BACKUP], Mode::Normal { tier: 2 }, "----+"),
            (vec![DOWN, Candidate { state: State::Down, ..BACKUP }], Mode::FailOpen, "++"),
            (vec![SILENT, Candidate { state: State::Down, ..BACKUP }], Mode::FailOpen, "-+"),
        ] {
            assert_eq!(decided(&candidates), (mode, open.to_owned()), "{candidates:?}");
        }
    }

    #[test]
    fn without_a_threshold_nothing_is_ignored() {
        let decision = decide(&[DOWN, DOWN], PanicThreshold(0));
        assert_eq!((decision.mode, decision.open), (Mode::Down, vec![false, false]));
        let decision = decide(&[DOWN, UP, DOWN, DOWN, DOWN], PanicThreshold(0));
        assert_eq!((decision.mode, decision.usable), (NORMAL, 1));
    }

    proptest! {
        /// Nobody gets queries to whom there is no way; somebody gets them if there is anybody with a way, unless health
        /// must never be ignored; and no answering member is shut while a silent one is open.
        #[test]
        fn a_pool_never_does_without_need(
            candidates in proptest::collection::vec(
                (any::<bool>(), 1..4u8, any::<bool>(), 0..3u8, any::<bool>()).prop_map(
                    |(has_share, tier, is_reachable, state, is_silent)| {
                        let state = [State::Checking, State::Up, State::Down][usize::from(state)];
                        let is_silent = is_silent && state == State::Down;
                        Candidate { has_share, tier, is_reachable, state, is_silent }
                    },
                ),
                1..9,
            ),
            threshold in 0..=100u8,
        ) {
            let Decision { mode, open, members, usable } = decide(&candidates, PanicThreshold(threshold));
            prop_assert!(usable <= members);
            let with_share: Vec<(&Candidate, bool)> =
                candidates.iter().zip(open.iter().copied()).filter(|(it, _)| it.has_share).collect();
            for (candidate, open) in &with_share {
                prop_assert!(candidate.is_reachable || !open);
            }
            let is_any_open = with_share.iter().any(|(_, open)| *open);
            prop_assert_eq!(is_any_open, mode != Mode::Down);
            let has_way = with_share.iter().any(|(it, _)| it.is_reachable);
            prop_assert!(is_any_open || !has_way || threshold == 0);
            let shut_up = with_share.iter().any(|(it, open)| {
                it.is_reachable && it.state != State::Down && !open && mode == Mode::FailOpen
            });
            prop_assert!(!shut_up);
            if let Mode::Normal { tier } = mode {
                for (candidate, open) in with_share {
                    prop_assert!(!open || (candidate.tier == tier && candidate.state != State::Down));
                }
            }
        }
    }
}
