//! One backend as a member of a pool: its state, and what changes it. Pure.

use std::mem;
use std::time::{Duration, Instant, SystemTime};

use super::cause::{Cause, Failure};
use crate::config::Check;

/// Now, by the clock that only goes forward and by the one that people read.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For what is measured.
    pub instant: Instant,
    /// For what is told.
    pub system: SystemTime,
}

impl Now {
    /// The time of day.
    pub fn read() -> Self {
        Self { instant: Instant::now(), system: SystemTime::now() }
    }
}

/// What is known of a member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Nothing yet. It gets queries, so that neither a start nor an edit takes away what works.
    #[default]
    Checking,
    /// It does its work.
    Up,
    /// It does not.
    Down,
}

impl State {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Checking => "checking",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// How a check ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As expected, after so long.
    Success(Duration),
    /// Otherwise, after so long.
    Failure(Failure, Duration),
    /// It says nothing about the backend.
    Void,
}

/// Who comes up or goes down within this time of the last such change is flapping.
const FLAPPING: Duration = Duration::from_secs(60);
/// How long who is flapping is held down at first, and at most.
const HOLD: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];
/// A member.
#[derive(Clone, Debug)]
pub struct Member {
    state: State,
    since: Now,
    cause: Option<Cause>,
    /// Do real queries get no reply? Checks that fail otherwise do not change that.
    silent: bool,
    /// How often it went down.
    flaps: u64,
    /// Checks in a row that succeeded, or failed.
    successes: u32,
    failures: u32,
    /// One failed check is enough.
    suspect: bool,
    held_until: Option<Instant>,
    hold: Duration,
    /// The interval while it is down.
    slowed: Duration,
    checks: u64,
    latency: Option<Duration>,
}

/// A change of a member's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// What it was.
    pub from: State,
    /// What it is.
    pub to: State,
    /// Why it is down.
    pub cause: Option<Cause>,
}

impl Member {
    /// One about which nothing is known.
    pub fn new(now: Now) -> Self {
        Self {
            state: State::Checking,
            since: now,
            cause: None,
            silent: false,
            flaps: 0,
            successes: 0,
            failures: 0,
            suspect: false,
            held_until: None,
            hold: Duration::ZERO,
            slowed: Duration::ZERO,
            checks: 0,
            latency: None,
        }
    }

    /// One that was down, since `since`, when the daemon ended.
    pub fn down_before(now: Now, since: SystemTime, why: &str, flaps: u64) -> Self {
        let since = Now { system: since, ..now };
        let cause = Some(Cause::Before(why.to_owned()));
        Self { state: State::Down, since, cause, flaps, ..Self::new(now) }
    }

    /// Its state.
    pub fn state(&self) -> State {
        self.state
    }

    /// Since when it is in that.
    pub fn since(&self) -> SystemTime {
        self.since.system
    }

    /// Why it is down, or what speaks against it while it is not.
    pub fn cause(&self) -> Option<&Cause> {
        self.cause.as_ref()
    }

    /// Is it down, and do real queries get no reply? Then even a pool that fails open is better off without it.
    pub fn is_silent(&self) -> bool {
        self.state == State::Down && self.silent
    }

    /// Real queries to one that is down, as a pool that fails open may send them, get no reply, or do again.
    pub fn set_silent(&mut self, silence: Option<Cause>) -> Option<Transition> {
        self.silent = silence.is_some();
        self.cause = silence.or(self.cause.take());
        Some(Transition { from: self.state, to: self.state, cause: self.cause.clone() })
    }

    /// How often it went down.
    pub fn flaps(&self) -> u64 {
        self.flaps
    }

    /// How long a check takes, of late.
    pub fn latency(&self) -> Option<Duration> {
        self.latency
    }

    /// Until when it is held down although it may answer.
    pub fn held_until(&self) -> Option<Instant> {
        self.held_until.filter(|_| self.state == State::Down)
    }

    /// Does the next check go over TCP, too? While all is well, one of `each` does; `place` says which one, so that not all
    /// members come to it together.
    pub fn wants_tcp(&self, each: u64, place: u64) -> bool {
        let is_its_turn = self.checks.wrapping_add(place).is_multiple_of(each);
        self.state != State::Up || self.failures > 0 || is_its_turn
    }

    /// Takes note of a check.
    pub fn note_check(&mut self, outcome: &Outcome, check: &Check, now: Now) -> Option<Transition> {
        self.checks += u64::from(*outcome != Outcome::Void);
        match outcome {
            Outcome::Void => None,
            Outcome::Success(time) => {
                self.latency = Some(self.latency.map_or(*time, |usual| (usual * 7 + *time) / 8));
                (self.failures, self.suspect) = (0, false);
                self.successes = self.successes.saturating_add(1);
                self.slowed = Duration::ZERO;
                self.rise(check, now)
            }
            Outcome::Failure(failure, _) => {
                self.successes = 0;
                self.failures = self.failures.saturating_add(1);
                let is_enough = self.failures >= check.fall || mem::take(&mut self.suspect);
                match self.state {
                    State::Checking | State::Up if is_enough => self.fall(Cause::Check(failure.clone()), now),
                    State::Checking | State::Up => None,
                    State::Down => {
                        let slowest = check.backoff.max(check.interval);
                        self.slowed = (self.slowed * 2).clamp(check.interval, slowest);
                        // What it suffers from now says more than how it began.
                        self.cause = Some(Cause::Check(failure.clone()));
                        None
                    }
                }
            }
        }
    }

    fn rise(&mut self, check: &Check, now: Now) -> Option<Transition> {
        let is_enough = match self.state {
            State::Up => return None,
            State::Checking => true,
            State::Down => {
                self.successes >= check.rise && self.held_until.is_none_or(|until| now.instant >= until)
            }
        };
        is_enough.then(|| {
            (self.cause, self.silent) = (None, false);
            self.change(State::Up, now)
        })
    }

    /// Real queries prove that it does not do its work.
    pub fn note_proof(&mut self, cause: Cause, now: Now) -> Option<Transition> {
        match self.state {
            State::Checking | State::Up => self.fall(cause, now),
            State::Down => None,
        }
    }

    /// Real queries speak against it: the next check decides. Is that news?
    pub fn suspect(&mut self) -> bool {
        self.state != State::Down && !mem::replace(&mut self.suspect, true)
    }

    fn fall(&mut self, cause: Cause, now: Now) -> Option<Transition> {
        let is_flapping = self.flaps > 0
            && self.state == State::Up
            && now.instant.saturating_duration_since(self.since.instant) < FLAPPING;
        self.hold = if is_flapping { (self.hold * 2).clamp(HOLD[0], HOLD[1]) } else { Duration::ZERO };
        self.held_until = is_flapping.then(|| now.instant + self.hold);
        self.flaps += 1;
        (self.successes, self.suspect, self.slowed) = (0, false, Duration::ZERO);
        self.silent = cause.is_silence();
        self.cause = Some(cause);
        Some(self.change(State::Down, now))
    }

    fn change(&mut self, to: State, now: Now) -> Transition {
        let from = mem::replace(&mut self.state, to);
        self.since = now;
        Transition { from, to, cause: self.cause.clone() }
    }

    /// How long after a check that ended so, and took so long, the next one follows. None: at its usual time.
    pub fn pause(&self, outcome: &Outcome, check: &Check) -> Option<Duration> {
        match (self.state, outcome) {
            (_, Outcome::Void) | (State::Up, Outcome::Success(_)) => None,
            (State::Checking | State::Down, Outcome::Success(_)) => Some(check.interval / 2),
            (State::Checking | State::Up, Outcome::Failure(_, took)) => {
                Some((check.interval / 4).saturating_sub(*took))
            }
            (State::Down, Outcome::Failure(..)) if self.slowed > check.interval => Some(self.slowed),
            (State::Down, Outcome::Failure(..)) => None,
        }
    }
}

#[cfg(test)]
mod tests;
