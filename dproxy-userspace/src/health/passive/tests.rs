use proptest::prelude::*;

use super::*;

/// How often counters are read.
const READING: u64 = 50;

/// Members whose counters are read each 50 ms.
struct Lab {
    windows: Vec<Window>,
    counts: Vec<Counts>,
    start: Instant,
    time: u64,
    usual: Duration,
    by_name: bool,
}

impl Lab {
    fn new(members: usize) -> Self {
        let mut lab = Self {
            windows: vec![Window::default(); members],
            counts: vec![Counts::default(); members],
            start: Instant::now(),
            time: 0,
            usual: Duration::from_millis(1),
            by_name: false,
        };
        lab.read(&[]);
        lab
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.time)
    }

    /// One reading later, with so many new queries, replies and failing ones of each member.
    fn read(&mut self, new: &[(u64, u64, u64)]) {
        self.time += READING;
        for (counts, (queries, replies, failing)) in self.counts.iter_mut().zip(new) {
            counts.queries += queries;
            counts.replies += replies;
            counts.failing += failing;
        }
        let now = self.now();
        for (window, counts) in self.windows.iter_mut().zip(&self.counts) {
            window.note(*counts, now);
        }
    }

    fn of(&self, member: usize) -> Option<Evidence> {
        let others = self.windows.iter().enumerate().filter(|(index, _)| *index != member);
        let others = others.map(|(_, window)| window);
        evidence(&self.windows[member], self.usual, others, self.by_name, self.now())
    }

    /// How long it takes, in milliseconds, until there is evidence against the first member.
    fn until_evidence(&mut self, each: &[(u64, u64, u64)]) -> Option<(u64, Evidence)> {
        let begin = self.time;
        for _ in 0..100 {
            self.read(each);
            if let Some(evidence) = self.of(0) {
                return Some((self.time - begin, evidence));
            }
        }
        None
    }
}

const GOOD: (u64, u64, u64) = (80, 80, 0);

#[test]
fn who_stops_is_found_within_a_quarter_of_a_second() {
    let mut lab = Lab::new(3);
    (0..20).for_each(|_| lab.read(&[GOOD; 3]));
    assert_eq!(lab.of(0), None);
    lab.read(&[(80, 40, 0), GOOD, GOOD]);
    let (time, evidence) = lab.until_evidence(&[(80, 0, 0), GOOD, GOOD]).unwrap();
    assert_eq!(time, 200, "and up to 50 ms of the reading in which it stopped");
    let Evidence::Proof(cause) = evidence else { panic!("{evidence:?}") };
    assert_eq!(cause.to_string(), "no reply to the last 320 queries, for 200 ms");
    assert_eq!(lab.of(1), None);
}

#[test]
fn a_member_alone_is_found_as_well() {
    assert!(Lab::new(1).until_evidence(&[(80, 0, 0)]).is_some());
}

#[test]
fn few_queries_take_longer_and_very_few_say_nothing() {
    assert_eq!(Lab::new(1).until_evidence(&[(1, 0, 0)]).unwrap().0, 600);
    let mut lab = Lab::new(1);
    for _ in 0..100 {
        lab.read(&[(1, 0, 0)]);
        (0..19).for_each(|_| lab.read(&[(0, 0, 0)]));
        assert_eq!(lab.of(0), None, "one a second");
    }
}

#[test]
fn what_comes_after_a_pause_has_only_just_been_sent() {
    let mut lab = Lab::new(1);
    lab.usual = Duration::from_millis(250);
    lab.read(&[GOOD]);
    // Nothing is told of who is idle.
    lab.time += 30_000;
    assert_eq!(lab.until_evidence(&[(15, 0, 0)]).unwrap().0, 1050, "a second, as at any time");
}

#[test]
fn no_queries_are_no_silence() {
    let mut lab = Lab::new(2);
    (0..20).for_each(|_| lab.read(&[GOOD; 2]));
    assert_eq!(lab.until_evidence(&[(0, 0, 0), GOOD]), None);
    lab.read(&[(80, 0, 0), GOOD]);
    assert_eq!(lab.of(0), None, "it has had no time yet");
    lab.read(&[(80, 80, 0), GOOD]);
    assert_eq!(lab.until_evidence(&[GOOD; 2]), None);
}

#[test]
fn who_is_slow_at_any_time_has_more_time() {
    let mut lab = Lab::new(1);
    lab.usual = Duration::from_millis(150);
    assert_eq!(lab.until_evidence(&[(80, 0, 0)]).unwrap().0, 600);
    lab.usual = Duration::from_secs(3);
    lab.windows[0].forget();
    assert_eq!(lab.until_evidence(&[(80, 0, 0)]).unwrap().0, 1000);
}

#[test]
fn loss_needs_others_that_do_better() {
    let mut lab = Lab::new(2);
    let (_, evidence) = lab.until_evidence(&[(80, 20, 0), GOOD]).unwrap();
    let Evidence::Proof(cause) = evidence else { panic!("{evidence:?}") };
    assert!(matches!(cause, Cause::Lossy { others: 80.., .. }), "{cause:?}");
    assert_eq!(
        Lab::new(2).until_evidence(&[(80, 20, 0); 2]),
        None,
        "the network is to blame, or the clients"
    );
    assert_eq!(Lab::new(1).until_evidence(&[(80, 20, 0)]), None);
    assert_eq!(Lab::new(2).until_evidence(&[(80, 50, 0), GOOD]), None);
}

#[test]
fn servfail_is_held_against_who_is_alone_with_it() {
    let bad = (80, 80, 80);
    let (time, evidence) = Lab::new(3).until_evidence(&[bad, GOOD, GOOD]).unwrap();
    assert!(time <= 300);
    let Evidence::Proof(cause) = evidence else { panic!("{evidence:?}") };
    assert_eq!(cause, Cause::Failing { failing: 100, others: 0 });
    assert_eq!(Lab::new(3).until_evidence(&[bad; 3]), None, "a zone is broken");
    assert_eq!(Lab::new(2).until_evidence(&[bad, (80, 80, 20)]), None, "or is so for the others as well");
    assert_eq!(Lab::new(1).until_evidence(&[bad]), None);
    assert_eq!(Lab::new(2).until_evidence(&[(80, 80, 39), GOOD]), None);
}

#[test]
fn by_name_servfail_may_be_the_names_fault() {
    let mut lab = Lab::new(3);
    lab.by_name = true;
    let (_, evidence) = lab.until_evidence(&[(80, 80, 80), GOOD, GOOD]).unwrap();
    assert!(matches!(evidence, Evidence::Suspicion(Cause::Failing { .. })), "{evidence:?}");
}

#[test]
fn counters_that_begin_anew_are_no_flood() {
    let mut lab = Lab::new(1);
    (0..20).for_each(|_| lab.read(&[GOOD]));
    lab.counts[0] = Counts { queries: 3, replies: 3, failing: 0 };
    lab.read(&[(0, 0, 0)]);
    assert_eq!(lab.windows[0].readings.back().unwrap().new.queries, 3);
}

proptest! {
    /// Whoever replies to all that it is asked, however unevenly and late by up to two readings, is never accused.
    #[test]
    fn who_does_its_work_is_left_alone(
        queries in proptest::collection::vec(0..500_u64, 200),
        late in 0..3usize,
    ) {
        let mut lab = Lab::new(2);
        for at in 0..queries.len() {
            let replies = at.checked_sub(late).map_or(0, |before| queries[before]);
            lab.read(&[(queries[at], replies, 0), GOOD]);
            prop_assert_eq!(lab.of(0), None);
        }
    }
}
