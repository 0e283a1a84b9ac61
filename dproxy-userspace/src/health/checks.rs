//! All members together: who is due, and who changes. Pure.

mod evidence;
mod lag;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::cause::Cause;
use super::kept::Kept;
use super::member::{Member, Now, Outcome, State, Transition};
use super::passive::Window;
use super::question::{Question, Said};
use super::schedule::{Schedule, place};
use crate::config::{Check, Transport};

/// A member: its pool, and where it listens.
pub type Id = (Arc<str>, SocketAddr);

/// How a pool is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolSpec {
    /// Its name.
    pub name: Arc<str>,
    /// How its health is found out.
    pub check: Check,
    /// What its members are asked.
    pub question: Arc<Question>,
    /// Does each member get other names than the others?
    pub by_name: bool,
    /// Where its members listen.
    pub members: Vec<SocketAddr>,
}

/// A check to be made.
#[derive(Clone, Debug)]
pub struct Task {
    /// Of whom.
    pub id: Id,
    /// What to ask.
    pub question: Arc<Question>,
    /// Over TCP, too, if that is wanted of the pool at all?
    pub with_tcp: bool,
}

impl Task {
    /// Is it asked over this transport?
    pub fn is_over(&self, transport: Transport) -> bool {
        let transports = &self.question.transports;
        let is_due = transport != Transport::Tcp || self.with_tcp || transports[..] == [Transport::Tcp];
        is_due && transports.contains(&transport)
    }
}

/// How a check ended.
#[derive(Clone, Debug)]
pub struct Report {
    /// Whether it succeeded.
    pub outcome: Outcome,
    /// What the reply said.
    pub said: Said,
}

/// A member's state has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Whose.
    pub id: Id,
    /// How.
    pub transition: Transition,
    /// How often it went down so far.
    pub flaps: u64,
    /// How long it is held down, if it flaps.
    pub held: Option<Duration>,
}

/// A member, for people and for decisions.
#[derive(Clone, Debug, PartialEq)]
pub struct Portrait {
    /// Its state.
    pub state: State,
    /// Since when.
    pub since: SystemTime,
    /// Why it is down.
    pub cause: Option<Cause>,
    /// Do real queries get no reply?
    pub is_silent: bool,
    /// How often it went down.
    pub flaps: u64,
    /// How long a check takes.
    pub latency: Option<Duration>,
    /// The SOA serial that it has said last.
    pub serial: Option<u32>,
    /// Queries and replies a second, of late.
    pub rates: (f64, f64),
}

/// All members, as they are now.
pub type Picture = BTreeMap<Id, Portrait>;

#[derive(Debug)]
struct Entry {
    member: Member,
    window: Window,
    /// When it is due; none while it is being asked, or is not to be asked.
    due: Option<Instant>,
    is_asked: bool,
    place: u64,
    serial: Option<u32>,
}

/// All members.
#[derive(Debug)]
pub struct Checks {
    pools: BTreeMap<Arc<str>, Arc<PoolSpec>>,
    entries: BTreeMap<Id, Entry>,
    schedule: Schedule<Id>,
    /// Who was down when the daemon ended, and has not been asked for yet.
    kept: Kept,
    /// The highest serial of each pool, and when all of its members were last looked at.
    highest: BTreeMap<Arc<str>, (Instant, u32)>,
    /// One check of so many goes over TCP, while all is well.
    tcp_each: u64,
}

/// Checks a second that go over TCP, while all is well: each takes as much of us as ten over UDP.
const TCP_A_SECOND: f64 = 100.0;
/// One check of so many goes over TCP, however many there are.
const TCP_RAREST: u64 = 20;

impl Checks {
    /// Nobody yet. `kept` says who was down when the daemon ended.
    pub fn new(kept: Kept, now: Now) -> Self {
        let schedule = Schedule::new(now.instant);
        Self {
            pools: BTreeMap::new(),
            entries: BTreeMap::new(),
            schedule,
            kept,
            highest: BTreeMap::new(),
            tcp_each: 1,
        }
    }

    /// Sets who is to be checked, and how. Who stays keeps what is known of it.
    pub fn configure(&mut self, specs: Vec<PoolSpec>, now: Now) {
        let pools: BTreeMap<Arc<str>, Arc<PoolSpec>> =
            specs.into_iter().map(|spec| (Arc::clone(&spec.name), Arc::new(spec))).collect();
        self.tcp_each = tcp_each(pools.values().map(AsRef::as_ref));
        self.highest.clear();
        let schedule = &mut self.schedule;
        self.entries.retain(|id, entry| {
            let stays = pools.get(&id.0).is_some_and(|spec| spec.members.contains(&id.1));
            if !stays {
                schedule.remove(id, entry.due);
            }
            stays
        });
        for spec in pools.values() {
            let is_new = self
                .pools
                .get(&spec.name)
                .is_none_or(|before| (&before.check, &before.question) != (&spec.check, &spec.question));
            for address in &spec.members {
                let id = (Arc::clone(&spec.name), *address);
                match self.entries.get_mut(&id) {
                    Some(_) if !is_new => continue,
                    Some(entry) => entry.serial = None,
                    None => {
                        let entry = Entry {
                            member: self.kept.member(&id, now),
                            window: Window::default(),
                            due: None,
                            is_asked: false,
                            place: place(&id),
                            serial: None,
                        };
                        self.entries.insert(id.clone(), entry);
                    }
                }
                let due = self
                    .entries
                    .get(&id)
                    .map(|entry| self.schedule.first_time(entry.place, spec.check.interval, now.instant));
                self.plan(&id, spec, due);
            }
        }
        self.pools = pools;
    }

    /// Sets when a member is due, unless it is being asked, or need not be.
    fn plan(&mut self, id: &Id, spec: &PoolSpec, due: Option<Instant>) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        // Who is down has to be asked, or it would never come back.
        let is_wanted = spec.check.active || entry.member.state() == State::Down;
        let due = due.filter(|_| is_wanted && !entry.is_asked);
        match due {
            Some(due) => self.schedule.set(id, entry.due, due),
            None => self.schedule.remove(id, entry.due),
        }
        entry.due = due;
    }

    /// When somebody is due next.
    pub fn next_due(&self) -> Option<Instant> {
        self.schedule.first()
    }

    /// Who is due by now. Each is to be [reported](Self::note) about.
    pub fn due(&mut self, now: Instant) -> Vec<Task> {
        let mut tasks = Vec::new();
        while let Some((due, id)) = self.schedule.take(now) {
            let (Some(spec), Some(entry)) = (self.pools.get(&id.0), self.entries.get_mut(&id)) else {
                continue;
            };
            entry.due = None;
            if now.duration_since(due) > spec.check.interval / 2 {
                // The daemon was held up. All at once is no way to catch up.
                let next = self.schedule.next(entry.place, spec.check.interval, spec.check.jitter, now);
                let spec = Arc::clone(spec);
                self.plan(&id, &spec, Some(next));
                continue;
            }
            entry.is_asked = true;
            let (question, with_tcp) =
                (Arc::clone(&spec.question), entry.member.wants_tcp(self.tcp_each, entry.place));
            tasks.push(Task { id, question, with_tcp });
        }
        tasks
    }

    /// Takes note of how a check ended.
    pub fn note(&mut self, id: &Id, report: &Report, now: Now) -> Option<Change> {
        let spec = Arc::clone(self.pools.get(&id.0)?);
        let entry = self.entries.get_mut(id)?;
        entry.is_asked = false;
        if let Some(serial) = report.said.serial {
            entry.serial = Some(serial);
        }
        let outcome = self.with_lag(id, &spec.check, &report.outcome, now.instant);
        let entry = self.entries.get_mut(id)?;
        let transition = entry.member.note_check(&outcome, &spec.check, now);
        if transition.as_ref().is_some_and(|transition| transition.to == State::Up) {
            entry.window.forget();
        }
        let due = match entry.member.pause(&outcome, &spec.check) {
            Some(pause) => now.instant + pause,
            None => self.schedule.next(entry.place, spec.check.interval, spec.check.jitter, now.instant),
        };
        self.plan(id, &spec, Some(due));
        self.change(id, transition, now)
    }

    fn change(&self, id: &Id, transition: Option<Transition>, now: Now) -> Option<Change> {
        let entry = self.entries.get(id)?;
        let held = entry.member.held_until().map(|until| until.saturating_duration_since(now.instant));
        Some(Change { id: id.clone(), transition: transition?, flaps: entry.member.flaps(), held })
    }

    /// All members as they are now.
    pub fn picture(&self, now: Instant) -> Picture {
        let portrait = |entry: &Entry| Portrait {
            state: entry.member.state(),
            since: entry.member.since(),
            cause: entry.member.cause().cloned(),
            is_silent: entry.member.is_silent(),
            flaps: entry.member.flaps(),
            latency: entry.member.latency(),
            serial: entry.serial,
            rates: entry.window.rates(now),
        };
        self.entries.iter().map(|(id, entry)| (id.clone(), portrait(entry))).collect()
    }
}

/// One check of how many goes over TCP: all of them, unless there are too many for that.
fn tcp_each<'s>(specs: impl Iterator<Item = &'s PoolSpec>) -> u64 {
    let is_both = |spec: &&PoolSpec| spec.check.active && spec.question.transports.len() > 1;
    let a_second = |spec: &PoolSpec| spec.members.len() as f64 / spec.check.interval.as_secs_f64();
    let checks: f64 = specs.filter(is_both).map(a_second).sum();
    ((checks / TCP_A_SECOND).ceil() as u64).clamp(1, TCP_RAREST)
}

#[cfg(test)]
mod tests;
