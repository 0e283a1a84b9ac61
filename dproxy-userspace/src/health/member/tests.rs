use std::time::UNIX_EPOCH;

use proptest::prelude::*;

use super::*;
use crate::config::Transport;

fn at(start: Instant, milliseconds: u64) -> Now {
    let time = Duration::from_millis(milliseconds);
    Now { instant: start + time, system: UNIX_EPOCH + time }
}

fn good() -> Outcome {
    Outcome::Success(Duration::from_millis(1))
}

fn failure() -> Failure {
    Failure::Timeout(Transport::Udp, Duration::from_millis(200))
}

fn bad() -> Outcome {
    Outcome::Failure(failure(), Duration::from_millis(200))
}

fn silence() -> Cause {
    Cause::Silent { queries: 20, time: Duration::from_millis(200) }
}

/// A member with checks each 100 ms.
struct Lab {
    member: Member,
    check: Check,
    start: Instant,
    time: u64,
}

impl Lab {
    fn new() -> Self {
        let start = Instant::now();
        Self { member: Member::new(at(start, 0)), check: Check::default(), start, time: 0 }
    }

    fn check(&mut self, outcome: &Outcome) -> Option<State> {
        self.time += 100;
        self.member.note_check(outcome, &self.check, at(self.start, self.time)).map(|change| change.to)
    }

    fn proof(&mut self) -> Option<State> {
        self.member.note_proof(silence(), at(self.start, self.time)).map(|change| change.to)
    }

    fn wait(&mut self, seconds: u64) {
        self.time += seconds * 1000;
    }
}

#[test]
fn the_first_success_is_enough_for_who_is_not_known_yet() {
    let mut lab = Lab::new();
    assert_eq!(lab.member.state(), State::Checking);
    assert_eq!(lab.check(&good()), Some(State::Up));
}

#[test]
fn fall_failures_in_a_row_take_it_down_and_rise_successes_bring_it_back() {
    let mut lab = Lab::new();
    lab.check(&good());
    let outcomes = [bad(), bad(), good(), bad(), bad(), bad(), good(), bad(), good(), good()];
    let changes: Vec<_> = outcomes.iter().map(|outcome| lab.check(outcome)).collect();
    let (none, down, up) = (None, Some(State::Down), Some(State::Up));
    assert_eq!(changes, [none, none, none, none, none, down, none, none, none, up]);
    assert_eq!((lab.member.flaps(), lab.member.cause()), (1, None));
}

#[test]
fn what_says_nothing_changes_nothing() {
    let mut lab = Lab::new();
    lab.check(&good());
    let outcomes = [bad(), bad(), Outcome::Void, Outcome::Void];
    assert!(outcomes.iter().all(|outcome| lab.check(outcome).is_none()));
    assert_eq!(lab.check(&bad()), Some(State::Down), "the row goes on");
    lab.check(&good());
    assert_eq!(lab.check(&Outcome::Void), None);
    assert_eq!(lab.check(&good()), Some(State::Up));
}

#[test]
fn real_queries_take_it_down_at_once_and_only_checks_bring_it_back() {
    let mut lab = Lab::new();
    lab.check(&good());
    assert_eq!(lab.proof(), Some(State::Down));
    assert_eq!(lab.member.cause(), Some(&silence()));
    assert_eq!(lab.proof(), None, "once is enough");
    lab.wait(3600);
    assert_eq!(lab.member.state(), State::Down, "time proves nothing");
    assert_eq!([lab.check(&good()), lab.check(&good())], [None, Some(State::Up)]);
}

#[test]
fn a_suspect_is_down_with_the_first_failure_and_cleared_by_a_success() {
    let mut lab = Lab::new();
    lab.check(&good());
    assert!(lab.member.suspect());
    assert!(!lab.member.suspect(), "that is no news");
    assert_eq!(lab.check(&good()), None);
    assert_eq!(lab.check(&bad()), None, "it was cleared");
    lab.check(&good());
    lab.member.suspect();
    assert_eq!(lab.check(&bad()), Some(State::Down));
}

#[test]
fn who_flaps_is_held_down_for_longer_and_longer() {
    let mut lab = Lab::new();
    lab.check(&good());
    let mut held = Vec::new();
    for _ in 0..9 {
        lab.proof();
        let down_at = lab.time;
        while lab.member.state() == State::Down {
            lab.check(&good());
        }
        held.push((lab.time - down_at) / 1000);
    }
    assert_eq!(held, [0, 1, 2, 4, 8, 16, 32, 60, 60]);
    lab.wait(61);
    lab.proof();
    assert_eq!([lab.check(&good()), lab.check(&good())], [None, Some(State::Up)], "that was long ago");
    assert_eq!(lab.member.flaps(), 10);
}

#[test]
fn what_was_down_before_the_restart_has_to_prove_itself() {
    let start = Instant::now();
    let since = UNIX_EPOCH + Duration::from_secs(7);
    let mut lab = Lab { member: Member::down_before(at(start, 0), since, "no reply", 4), ..Lab::new() };
    assert_eq!((lab.member.state(), lab.member.since(), lab.member.flaps()), (State::Down, since, 4));
    assert_eq!(lab.member.cause().unwrap().to_string(), "as before the restart: no reply");
    assert_eq!([lab.check(&good()), lab.check(&good())], [None, Some(State::Up)]);
}

#[test]
fn a_failure_is_followed_up_at_once_and_a_dead_one_asked_less_and_less() {
    let mut lab = Lab::new();
    lab.check.interval = Duration::from_millis(400);
    let quick = Outcome::Failure(Failure::Closed(Transport::Udp), Duration::from_millis(1));
    assert_eq!(lab.member.pause(&bad(), &lab.check), Some(Duration::ZERO), "the time has passed already");
    assert_eq!(lab.member.pause(&quick, &lab.check), Some(Duration::from_millis(99)));
    let mut pauses = Vec::new();
    for _ in 0..9 {
        lab.check(&bad());
        pauses.push(lab.member.pause(&bad(), &lab.check).map(|pause| pause.as_millis()));
    }
    let usual = None;
    assert_eq!(pauses[2..], [usual, usual, Some(800), Some(1600), Some(3200), Some(5000), Some(5000)]);
    lab.check(&good());
    assert_eq!(lab.member.pause(&good(), &lab.check), Some(Duration::from_millis(200)), "the proof is quick");
    lab.check.backoff = Duration::ZERO;
    lab.check(&bad());
    lab.check(&bad());
    assert_eq!(lab.member.pause(&bad(), &lab.check), None, "without a back-off");
}

#[test]
fn tcp_is_asked_now_and_then_while_all_is_well_and_always_else() {
    let mut lab = Lab::new();
    let mut asked = Vec::new();
    for _ in 0..11 {
        assert!(lab.member.wants_tcp(1, 3), "where there are few, always");
        asked.push(lab.member.wants_tcp(5, 2));
        lab.check(&good());
    }
    let times: Vec<_> = (0..11).filter(|index| asked[*index]).collect();
    assert_eq!(times, [0, 3, 8], "at first, and where its place is");
    lab.check(&bad());
    assert!(lab.member.wants_tcp(5, 0));
    lab.proof();
    assert!(lab.member.wants_tcp(5, 0));
}

proptest! {
    /// However it goes: a state changes only into another one, never into `checking`; it comes up by successes and
    /// goes down by failures or proof alone; and the number of flaps is that of the ways down.
    #[test]
    fn changes_have_reasons(steps in proptest::collection::vec(0..4u8, 1..200)) {
        let mut lab = Lab::new();
        let (mut state, mut falls, mut row) = (State::Checking, 0, 0);
        for step in steps {
            let outcome = match step { 0 => Some(good()), 1 => Some(bad()), 2 => Some(Outcome::Void), _ => None };
            row = match step {
                0 => row.max(0) + 1,
                1 => row.min(0) - 1,
                3 if state != State::Down => 0,
                _ => row,
            };
            let change = match &outcome { Some(outcome) => lab.check(outcome), None => lab.proof() };
            if let Some(to) = change {
                prop_assert_ne!(to, state);
                match to {
                    State::Checking => prop_assert!(false, "nothing leads back there"),
                    State::Up => {
                        let needed = if state == State::Down { 2 } else { 1 };
                        prop_assert!(row >= needed);
                    }
                    State::Down => {
                        prop_assert!(step == 3 || row <= -3);
                        falls += 1;
                    }
                }
                state = to;
            }
            prop_assert_eq!(lab.member.state(), state);
            prop_assert_eq!(lab.member.flaps(), falls);
            prop_assert_eq!(lab.member.cause().is_some(), state == State::Down);
        }
    }
}
