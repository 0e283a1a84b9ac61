//! Zones that are too old.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::cause::Failure;
use super::super::member::Outcome;
use super::super::serials;
use super::{Checks, Id};
use crate::config::Check;

impl Checks {
    /// A success is none if the zone is too old.
    pub(super) fn with_lag(&mut self, id: &Id, check: &Check, outcome: &Outcome, now: Instant) -> Outcome {
        let (Some(allowed), Outcome::Success(time)) = (check.serial_lag, outcome) else {
            return outcome.clone();
        };
        let Some(serial) = self.entries.get(id).and_then(|entry| entry.serial) else {
            return outcome.clone();
        };
        let highest = self.highest(id, serial, check.interval, now);
        match serials::lag(serial, highest) > allowed {
            true => Outcome::Failure(Failure::Lag { serial, highest }, *time),
            false => outcome.clone(),
        }
    }

    /// The highest serial of a pool, one member of which has said this one. All of them are looked at once an interval:
    /// whoever had the highest may have gone.
    fn highest(&mut self, id: &Id, serial: u32, interval: Duration, now: Instant) -> u32 {
        let known = self.highest.get(&id.0).filter(|(looked, _)| now.duration_since(*looked) < interval);
        let (looked, highest) = known.copied().unwrap_or_else(|| {
            let of_pool = self.entries.iter().filter(|(other, _)| other.0 == id.0);
            (now, serials::highest(of_pool.filter_map(|(_, entry)| entry.serial)).unwrap_or(serial))
        });
        let highest = serials::highest([highest, serial]).unwrap_or(serial);
        self.highest.insert(Arc::clone(&id.0), (looked, highest));
        highest
    }
}
