//! The daemon dies, is restarted and replaced under twenty thousand queries a second: none is lost, not even one that
//! is under way when its program is replaced.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use dproxy_lab::{Balancer, default_binary, skip_without_root};
use dproxy_tests::net::steady::{Evidence, Ledger, Stage, Steady, Timeline, Who, successor_binary};
use dproxy_tests::net::{B1, B2_V6, end, wait_until, xdp_programs};
use nix::sys::signal::Signal;

const KILLS: usize = 20;
const TERMINATIONS: usize = 5;
const REPLACEMENTS: usize = 20;
/// Of a program with other maps: there, and back.
const CHANGES_OF_SCHEMA: usize = 6;

/// Names asked for; the third one is that of the server that takes its time.
const NAMES: [&str; 2] = ["edited.test", "other.test"];
const SLOW: u16 = 2;
/// How long the daemon is away, and is there, in between.
const QUIET: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(10);

/// A dproxy that comes and goes under a steady stream.
struct Run {
    // Dropped in this order.
    balancer: Option<Balancer>,
    stage: Stage,
    timeline: Timeline,
    steady: Steady,
    /// When each successor was started, and when it answered.
    takeovers: Vec<(Instant, Instant)>,
    begin: Instant,
}

impl Run {
    fn new(name: &str) -> Self {
        let stage = Stage::new(name);
        let config = stage.configuration(
            &[("a", &[B1]), ("b", &[B2_V6])],
            &[(".", "a"), ("edited.test", "a"), ("other.test", "b")],
        );
        let balancer = Some(stage.start(&config));
        let steady = stage.ask(&NAMES);
        // As many as will ever be under way.
        sleep(Duration::from_millis(500));
        let timeline = Timeline::new(&[Who::A, Who::B, Who::SLOW]);
        Self { balancer, stage, timeline, steady, takeovers: Vec::new(), begin: Instant::now() }
    }

    fn kill(&mut self) {
        self.balancer.take().unwrap().kill().unwrap();
    }

    fn terminate(&mut self) {
        let mut balancer = self.balancer.take().unwrap();
        end(balancer.pid(), Signal::SIGTERM);
        wait_until("dproxy to end", PATIENCE, || balancer.ended().unwrap().is_some());
    }

    /// Starts a successor, which must replace the program on every interface, and can be edited.
    fn start(&mut self, binary: &Path, number: usize) {
        let balancer = &self.stage.topology.balancer;
        let before = xdp_programs(balancer);
        assert_eq!(
            before.len(),
            self.stage.topology.interfaces().len(),
            "the fast path stays on every interface"
        );
        sleep(QUIET);
        let begin = Instant::now();
        let started = Balancer::go_on(&self.stage.topology, binary).unwrap();
        self.takeovers.push((begin, Instant::now()));
        let after = xdp_programs(balancer);
        let is_replaced =
            |(interface, program): (&String, _)| after.get(interface).is_some_and(|it| it != program);
        assert!(before.iter().all(is_replaced), "takeover {number} replaces {before:?}, not by {after:?}");

        let (pool, who) = [("a", Who::A), ("b", Who::B)][number % 2];
        let mut api = self.stage.api(&started);
        let body = format!(r#"{{"pool": "{pool}"}}"#);
        let edited = self
            .timeline
            .change(&[who, Who::B, Who::SLOW], || api.request("PUT", "/v1/routes/edited.test", &body));
        assert_eq!(edited["changed"], true, "the edit after takeover {number}: {edited}");
        self.balancer = Some(started);
        sleep(QUIET);
    }

    fn finish(self, work: &str) {
        let took = self.begin.elapsed().as_secs_f64();
        sleep(Duration::from_millis(500));
        let ledger = self.steady.stop();
        let (least, longest) = under_way(&ledger, &self.takeovers);
        let work = format!(
            "{work} in {took:.1} s; {least} or more queries were under way to the slow server at each takeover, which took up to {longest:.1?}"
        );
        ledger.check(&work, &Evidence::so_far(self.balancer.as_ref().unwrap()), &self.timeline);
        assert!(least > 0, "no query was under way at one of the takeovers: nothing is shown of them");
    }
}

/// How many queries that were answered later were under way at any moment of any takeover; and how long one took.
fn under_way(ledger: &Ledger, takeovers: &[(Instant, Instant)]) -> (usize, Duration) {
    let least = takeovers.iter().map(|takeover| ledger.least_under_way(SLOW, *takeover)).min();
    let longest = takeovers.iter().map(|(begin, end)| *end - *begin).max();
    (least.unwrap_or(0), longest.unwrap_or_default())
}

#[test]
fn a_daemon_that_is_killed_and_restarted() {
    if skip_without_root() {
        return;
    }
    let mut run = Run::new("e2e-kills");
    let binary = default_binary().unwrap();
    for number in 1..=KILLS + TERMINATIONS {
        if number <= KILLS {
            run.kill()
        } else {
            run.terminate()
        }
        run.start(&binary, number);
    }
    run.finish(&format!(
        "{KILLS} SIGKILLs and {TERMINATIONS} SIGTERMs, each followed by a restart and an edit,"
    ));
}

#[test]
fn a_binary_that_is_replaced_by_one_with_a_changed_program() {
    if skip_without_root() {
        return;
    }
    let binaries = [default_binary().unwrap(), successor_binary("changed-program")];
    let mut run = Run::new("e2e-upgrades");
    for number in 1..=REPLACEMENTS {
        run.terminate();
        run.start(&binaries[number % 2], number);
    }
    run.finish(&format!("{REPLACEMENTS} replacements by another program, each followed by an edit,"));
}

#[test]
fn a_binary_that_is_replaced_by_one_of_another_schema() {
    if skip_without_root() {
        return;
    }
    let binaries = [default_binary().unwrap(), successor_binary("next-schema")];
    let mut run = Run::new("e2e-schemas");
    for number in 1..=CHANGES_OF_SCHEMA {
        // Soon after the last change: replies to the program before that are still under way.
        if number % 3 == 0 {
            run.kill()
        } else {
            run.terminate()
        }
        run.start(&binaries[number % 2], number);
    }
    run.finish(&format!("{CHANGES_OF_SCHEMA} replacements by another schema, each followed by an edit,"));
}
