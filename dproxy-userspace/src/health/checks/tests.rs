use std::time::UNIX_EPOCH;

use super::*;
use crate::config::Transport;
use crate::health::{Counts, Failure};

/// Pools whose members are checked as the clock says, and answer as they are told.
struct Lab {
    checks: Checks,
    start: Instant,
    time: Duration,
    counts: BTreeMap<SocketAddr, Counts>,
}

const READING: Duration = Duration::from_millis(50);

fn address(host: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, (host >> 8) as u8, host as u8], 53))
}

fn id(pool: &str, host: u16) -> Id {
    (pool.into(), address(host))
}

fn spec(name: &str, check: &str, hosts: impl IntoIterator<Item = u16>) -> PoolSpec {
    let check: Check = toml::from_str(check).unwrap();
    let question = Arc::new(Question::new(&check, [].iter()));
    let members = hosts.into_iter().map(address).collect();
    PoolSpec { name: name.into(), check, question, by_name: false, members }
}

fn good() -> Report {
    Report { outcome: Outcome::Success(Duration::from_millis(1)), said: Said::default() }
}

fn bad() -> Report {
    let failure = Failure::Closed(Transport::Udp);
    Report { outcome: Outcome::Failure(failure, Duration::ZERO), said: Said::default() }
}

fn serial(serial: u32) -> Report {
    Report { said: Said { serial: Some(serial) }, ..good() }
}

impl Lab {
    fn new(specs: Vec<PoolSpec>) -> Self {
        Self::going_on(Kept::default(), specs)
    }

    fn going_on(kept: Kept, specs: Vec<PoolSpec>) -> Self {
        let start = Instant::now();
        let now = Now { instant: start, system: UNIX_EPOCH };
        let mut checks = Checks::new(kept, now);
        checks.configure(specs, now);
        Self { checks, start, time: Duration::ZERO, counts: BTreeMap::new() }
    }

    fn now(&self) -> Now {
        Now { instant: self.start + self.time, system: UNIX_EPOCH + self.time }
    }

    /// Lets time pass; each check ends at once as `answer` says. Returns who changed, and when in milliseconds.
    fn run(&mut self, time: Duration, mut answer: impl FnMut(&Task) -> Report) -> Vec<(u128, Change)> {
        let end = self.time + time;
        let mut changes = Vec::new();
        while let Some(due) = self.checks.next_due().filter(|due| *due <= self.start + end) {
            self.time = self.time.max(due - self.start);
            for task in self.checks.due(self.now().instant) {
                let report = answer(&task);
                let now = self.now();
                changes
                    .extend(self.checks.note(&task.id, &report, now).map(|it| (self.time.as_millis(), it)));
            }
        }
        self.time = end;
        changes
    }

    /// Reads counters after so many new queries and replies of each host.
    fn read(&mut self, new: &[(u16, u64, u64)]) -> Vec<Change> {
        self.time += READING;
        for (host, queries, replies) in new {
            let counts = self.counts.entry(address(*host)).or_default();
            counts.queries += queries;
            counts.replies += replies;
        }
        self.checks.read(&self.counts.clone(), self.now())
    }

    fn state(&self, pool: &str, host: u16) -> State {
        self.checks.entries[&id(pool, host)].member.state()
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn everybody_is_asked_once_an_interval_and_evenly() {
    let mut lab = Lab::new(vec![spec("a", "", 0..2000)]);
    let mut asked = BTreeMap::new();
    for second in 0..10 {
        let mut times = vec![0; 20];
        let begin = lab.time;
        for slice in times.iter_mut() {
            lab.run(SECOND / 20, |task| {
                *slice += 1;
                // At the change from the first time to the place in the interval, one may come twice or not at all.
                if second > 1 {
                    *asked.entry(task.id.clone()).or_insert(0) += 1;
                }
                good()
            });
        }
        assert_eq!(lab.time - begin, SECOND);
        if second > 1 {
            assert!(times.iter().all(|count| (50..170).contains(count)), "{times:?}");
        }
    }
    // The jitter may move one of eight turns out of these eight seconds, or one into them.
    assert!(asked.len() == 2000 && asked.values().all(|times| (7..=9).contains(times)), "{}", asked.len());
}

#[test]
fn behind_a_pause_nobody_is_asked_for_the_time_lost() {
    let mut lab = Lab::new(vec![spec("a", "", 0..2000)]);
    lab.run(3 * SECOND, |_| good());
    lab.time += 10 * SECOND;
    let mut times = [0; 20];
    for slice in &mut times {
        lab.run(SECOND / 20, |_| {
            *slice += 1;
            good()
        });
    }
    assert!(times.iter().all(|count| *count < 300), "{times:?}");
}

#[test]
fn a_dead_one_is_found_and_asked_less_often() {
    let mut lab = Lab::new(vec![spec("a", "backoff = '5s'", [1, 2])]);
    lab.run(SECOND, |_| good());
    assert_eq!((lab.state("a", 1), lab.state("a", 2)), (State::Up, State::Up));
    let dead = |task: &Task| if task.id.1 == address(1) { bad() } else { good() };
    let begin = lab.time.as_millis();
    let changes = lab.run(3 * SECOND, dead);
    let [(time, change)] = &changes[..] else { panic!("{changes:?}") };
    assert!(time - begin <= 1500, "an interval, and two quarters of one");
    assert_eq!((&change.id, change.transition.to), (&id("a", 1), State::Down));
    let mut asked = 0;
    lab.run(60 * SECOND, |task| {
        asked += u32::from(task.id.1 == address(1));
        dead(task)
    });
    assert!((11..=15).contains(&asked), "{asked} times");
    let changes = lab.run(8 * SECOND, |_| good());
    assert_eq!(changes.len(), 1);
    assert!(changes[0].0 - 64_000 <= 6_500, "the back-off, and proof");
}

#[test]
fn what_stays_keeps_its_state() {
    let mut lab = Lab::new(vec![spec("a", "", [1, 2])]);
    lab.run(5 * SECOND, |_| bad());
    let now = lab.now();
    lab.checks.configure(vec![spec("a", "rise = 1", [2, 3]), spec("b", "", [2])], now);
    assert_eq!((lab.state("a", 2), lab.state("a", 3)), (State::Down, State::Checking));
    assert_eq!(lab.state("b", 2), State::Checking, "another pool asks something else");
    assert!(!lab.checks.entries.contains_key(&id("a", 1)));
    let mut asked = std::collections::BTreeSet::new();
    lab.run(SECOND, |task| {
        asked.insert(task.id.clone());
        good()
    });
    assert_eq!(asked.len(), 3);
}

#[test]
fn who_was_down_stays_so_over_a_restart_and_nobody_else() {
    let specs = || vec![spec("a", "", [1, 2])];
    let mut lab = Lab::new(specs());
    lab.run(5 * SECOND, |task| if task.id.1 == address(1) { bad() } else { good() });
    let folder = tempfile::tempdir().unwrap();
    Kept::of(&lab.checks.picture(lab.now().instant)).write(folder.path()).unwrap();

    let mut lab = Lab::going_on(Kept::read(folder.path()).unwrap(), specs());
    assert_eq!((lab.state("a", 1), lab.state("a", 2)), (State::Down, State::Checking));
    let portrait = &lab.checks.picture(lab.now().instant)[&id("a", 1)];
    assert_eq!(portrait.flaps, 1);
    let why = "as before the restart: nobody listens on its port (UDP)";
    assert_eq!(portrait.cause.as_ref().unwrap().to_string(), why);
    let again = Kept::of(&lab.checks.picture(lab.now().instant));
    assert_eq!(again, Kept::read(folder.path()).unwrap(), "it can be kept again as it is");
    lab.run(3 * SECOND, |_| good());
    assert_eq!(lab.state("a", 1), State::Up);
    std::fs::write(folder.path().join(super::super::kept::FILE), "{").unwrap();
    assert!(Kept::read(folder.path()).is_err());
}

#[test]
fn silence_takes_a_member_down_and_it_is_asked_at_once() {
    let mut lab = Lab::new(vec![spec("a", "interval = '10s'", [1, 2])]);
    lab.run(10 * SECOND, |_| good());
    (0..10).for_each(|_| assert_eq!(lab.read(&[(1, 80, 80), (2, 80, 80)]), []));
    let mut changes = Vec::new();
    let begin = lab.time;
    while changes.is_empty() {
        changes = lab.read(&[(1, 80, 0), (2, 80, 80)]);
    }
    assert_eq!(lab.time - begin, Duration::from_millis(200));
    assert_eq!((&changes[0].id, changes[0].transition.to), (&id("a", 1), State::Down));
    assert!(changes[0].transition.cause.as_ref().unwrap().is_silence());
    assert_eq!(lab.checks.next_due(), Some(lab.now().instant));
    let back = lab.run(10 * SECOND, |_| good());
    assert_eq!(back[0].1.transition.to, State::Up);
    assert_eq!(back[0].0, 15_700, "after a second check, half an interval later");
    assert_eq!(lab.read(&[(1, 0, 0), (2, 80, 80)]), [], "what was before is forgotten");
}

#[test]
fn without_checks_only_who_is_down_is_asked() {
    let mut lab = Lab::new(vec![spec("a", "active = false", [1, 2])]);
    assert_eq!(lab.checks.next_due(), None);
    while lab.read(&[(1, 80, 0), (2, 80, 80)]).is_empty() {}
    let mut asked = Vec::new();
    lab.run(5 * SECOND, |task| {
        asked.push(task.id.1);
        good()
    });
    assert_eq!((asked, lab.state("a", 1)), (vec![address(1); 2], State::Up));
    let mut lab = Lab::new(vec![spec("a", "passive = false", [1, 2])]);
    assert!((0..100).all(|_| lab.read(&[(1, 80, 0), (2, 80, 80)]).is_empty()));
}

#[test]
fn whose_serial_lags_behind_the_highest_is_down() {
    let specs = vec![spec("a", "query = 'x SOA'\nserial_lag = 2", [1, 2, 3])];
    let mut lab = Lab::new(specs);
    let told = |task: &Task| serial(if task.id.1 == address(1) { 7 } else { 9 });
    lab.run(5 * SECOND, told);
    assert_eq!(lab.state("a", 1), State::Up, "so much is allowed");
    let changes = lab.run(5 * SECOND, |task| serial(if task.id.1 == address(1) { 7 } else { 10 }));
    assert_eq!(changes.len(), 1);
    let cause = changes[0].1.transition.cause.as_ref().unwrap();
    assert_eq!(cause.to_string(), "has serial 7, 3 behind the pool's highest, 10");
    let changes = lab.run(10 * SECOND, |_| serial(10));
    assert_eq!(changes[0].1.transition.to, State::Up);
}

#[test]
fn a_suspect_by_name_is_asked_before_it_is_believed() {
    let mut of_name = spec("a", "interval = '10s'", [1, 2]);
    of_name.by_name = true;
    let mut lab = Lab::new(vec![of_name]);
    lab.run(10 * SECOND, |_| good());
    let read = |lab: &mut Lab| {
        for host in [1, 2] {
            let counts = lab.counts.entry(address(host)).or_default();
            counts.failing += if host == 1 { 80 } else { 0 };
        }
        lab.read(&[(1, 80, 80), (2, 80, 80)])
    };
    for _ in 0..10 {
        assert_eq!(read(&mut lab), []);
    }
    assert!(lab.checks.next_due().is_some_and(|due| due <= lab.now().instant), "it is asked at once");
    assert_eq!(lab.run(Duration::ZERO, |_| good()), [], "a broken zone is not the backend's fault");
    for _ in 0..10 {
        read(&mut lab);
    }
    let changes = lab.run(Duration::ZERO, |_| bad());
    assert_eq!(changes.len(), 1, "one failed check is enough");
}

#[test]
fn who_is_silent_is_so_whatever_its_checks_say_until_it_replies() {
    let mut lab = Lab::new(vec![spec("a", "interval = '10s'", [1, 2])]);
    lab.run(10 * SECOND, |_| good());
    while lab.read(&[(1, 80, 0), (2, 80, 80)]).is_empty() {}
    let is_silent = |lab: &Lab| lab.checks.entries[&id("a", 1)].member.is_silent();
    assert!(is_silent(&lab));
    assert_eq!(lab.read(&[(1, 80, 0), (2, 80, 80)]), [], "replies of before do not end it");
    assert!(is_silent(&lab));
    lab.run(20 * SECOND, |_| bad());
    assert!(is_silent(&lab), "that a check fails otherwise is no reply");
    // As in a pool that fails open.
    lab.read(&[(1, 80, 80)]);
    assert!(!is_silent(&lab));
    assert_eq!(lab.state("a", 1), State::Down, "it has to prove more than that");
    let mut changes = Vec::new();
    while changes.is_empty() {
        changes = lab.read(&[(1, 80, 0)]);
    }
    assert!(is_silent(&lab));
    assert_eq!((changes[0].transition.from, changes[0].transition.to), (State::Down, State::Down));
}
