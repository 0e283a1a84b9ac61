//! Rules for `[health]`, and for the health of pools.

use std::collections::HashSet;
use std::hash::Hash;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::duration::duration_text;
use crate::config::health::{Check, Health, WhenDown};
use crate::config::model::{Config, Pool, WeightedBackend};
use crate::config::policy::Policy;
use crate::config::problem::{Place, Problem};
use crate::config::record_type::RecordType;
use crate::config::wording::{Quoted, did_you_mean, listed};
use crate::config::words::Transport;

/// What [`Health::address`] may be.
pub(in crate::config) const HEALTH_ADDRESS: &str = "an address of this host, and a port: \"127.0.0.1:8053\"";
/// What [`Health::on_change`] may be.
pub(in crate::config) const ON_CHANGE: &str =
    "a list of words, the first of them the path of a command: [\"/usr/local/bin/page\", \"dns\"]";
/// What [`Health::on_change_timeout`] may be.
pub(in crate::config) const ON_CHANGE_TIMEOUT: &str = "\"100ms\" to \"1m\"";
/// What [`Check::serial_lag`] may be.
pub(in crate::config) const SERIAL_LAG: &str = "0 to 2147483647";
/// What [`Check::interval`] may be.
pub(in crate::config) const INTERVAL: &str = "\"50ms\" to \"60m\"";
/// What [`Check::timeout`] may be.
pub(in crate::config) const PATIENCE: &str = "\"10ms\" to \"1m\"";
/// What [`Check::rise`] and [`Check::fall`] may be.
pub(in crate::config) const CHECKS_IN_A_ROW: &str = "1 to 100";
/// What [`Check::jitter`] may be.
pub(in crate::config) const JITTER: &str = "0 to 50, in percent";
/// What [`Check::backoff`] may be.
pub(in crate::config) const BACKOFF: &str = "\"0s\" to \"60m\"";
/// What [`Pool::panic_threshold`] may be.
pub(in crate::config) const PANIC_THRESHOLD: &str = "0 (never) to 100, in percent";
/// What [`Pool::slow_start`] may be.
pub(in crate::config) const SLOW_START: &str = "\"1s\" to \"60m\"";
/// What [`Pool::bounded_load`] may be.
pub(in crate::config) const BOUNDED_LOAD: &str = "101 to 1000, in percent";
/// What [`WeightedBackend::tier`] may be.
pub(in crate::config) const TIER: &str = "1 to 8, with policy failover only";

pub(super) fn check(config: &Config, found: &mut Vec<Problem>) {
    check_all(&config.health, found);
    for (name, pool) in &config.pools {
        check_pool(name, pool, found);
        check_check(name, &pool.health, found);
        check_when_down(name, pool, config, found);
    }
}

fn within(
    place: Place,
    duration: Duration,
    milliseconds: RangeInclusive<u128>,
    allowed: &str,
) -> Option<Problem> {
    let is = || format!("is \"{}\"", duration_text(duration));
    (!milliseconds.contains(&duration.as_millis())).then(|| Problem::new(place, is(), allowed))
}

fn among(place: Place, number: u32, range: RangeInclusive<u32>, allowed: &str) -> Option<Problem> {
    (!range.contains(&number)).then(|| Problem::new(place, format!("is {number}"), allowed))
}

fn check_all(health: &Health, found: &mut Vec<Problem>) {
    let Health { enabled: _, address, on_change, on_change_timeout } = health;
    if let Some(address) = address.filter(|address| address.port() == 0) {
        found.push(Problem::new(Place::Health("address"), format!("is {address}"), HEALTH_ADDRESS));
    }
    if on_change.first().is_some_and(|command| !command.starts_with('/')) {
        let says = format!("begins with {}, which is no path", Quoted(&on_change[0]));
        found.push(Problem::new(Place::Health("on_change"), says, ON_CHANGE));
    }
    let place = Place::Health("on_change_timeout");
    found.extend(within(place, *on_change_timeout, 100..=60_000, ON_CHANGE_TIMEOUT));
}

fn check_pool(name: &str, pool: &Pool, found: &mut Vec<Problem>) {
    let place = |key| Place::PoolSetting(name.to_owned(), key);
    let threshold = u32::from(pool.panic_threshold.0);
    found.extend(among(place("panic_threshold"), threshold, 0..=100, PANIC_THRESHOLD));
    if let Some(slow_start) = pool.slow_start {
        found.extend(within(place("slow_start"), slow_start, 1000..=3_600_000, SLOW_START));
    }
    if let Some(bound) = pool.bounded_load {
        found.extend(among(place("bounded_load"), u32::from(bound), 101..=1000, BOUNDED_LOAD));
        if pool.policy.hash().is_none() {
            let says = format!("is given with policy \"{}\", which hashes nothing", pool.policy);
            found.push(Problem::new(
                place("bounded_load"),
                says,
                "bounded_load with the policies maglev and failover only",
            ));
        }
    }
    let highest =
        if matches!(pool.policy, Policy::Failover { .. }) { 8 } else { WeightedBackend::FIRST_TIER };
    for (index, backend) in pool.backends.iter().enumerate() {
        if !(WeightedBackend::FIRST_TIER..=highest).contains(&backend.tier) {
            let place = Place::Backend(name.to_owned(), index, backend.address);
            found.push(Problem::new(place, format!("has tier {}", backend.tier), TIER));
        }
    }
}

fn check_check(name: &str, check: &Check, found: &mut Vec<Problem>) {
    let Check {
        active: _,
        passive: _,
        query,
        flags,
        transports,
        expect,
        answer,
        serial_lag,
        interval,
        timeout,
        rise,
        fall,
        jitter,
        backoff,
    } = check;
    let place = |key| Place::Check(name.to_owned(), key);
    found.extend(twice(place("flags"), flags).or_else(|| twice(place("transports"), transports)));
    if transports.is_empty() {
        found.push(Problem::new(place("transports"), "is empty", listed(Transport::WORDS)));
    }
    match expect {
        Some(expect) if expect.is_empty() => {
            let allowed = "at least one response code, or no expect: then it is noerror and nxdomain";
            found.push(Problem::new(place("expect"), "is empty", allowed));
        }
        Some(expect) => found.extend(twice(place("expect"), expect)),
        None => {}
    }
    if answer.as_ref().is_some_and(|answer| answer.trim().is_empty()) {
        found.push(Problem::new(place("answer"), "is empty", "data of a record: \"192.0.2.1\""));
    }
    if let Some(lag) = serial_lag {
        found.extend(among(place("serial_lag"), *lag, 0..=i32::MAX as u32, SERIAL_LAG));
        if query.as_ref().is_some_and(|query| query.record_type != RecordType::SOA) {
            let allowed = "serial_lag with a query for SOA, which is the default";
            found.push(Problem::new(place("serial_lag"), "is given with a query for no SOA", allowed));
        }
    }
    found.extend(within(place("interval"), *interval, 50..=3_600_000, INTERVAL));
    if let Some(timeout) = timeout {
        found.extend(within(place("timeout"), *timeout, 10..=60_000, PATIENCE));
    }
    found.extend(among(place("rise"), *rise, 1..=100, CHECKS_IN_A_ROW));
    found.extend(among(place("fall"), *fall, 1..=100, CHECKS_IN_A_ROW));
    found.extend(among(place("jitter"), *jitter, 0..=50, JITTER));
    found.extend(within(place("backoff"), *backoff, 0..=3_600_000, BACKOFF));
}

fn twice<T: Hash + Eq + ToString>(place: Place, words: &[T]) -> Option<Problem> {
    let mut seen = HashSet::new();
    let again = words.iter().find(|word| !seen.insert(*word))?;
    Some(Problem::new(place, format!("has \"{}\" twice", again.to_string()), "each once"))
}

/// The way to another pool is not followed by another one: it would matter who is down first, and could go
/// round in a circle.
fn check_when_down(name: &str, pool: &Pool, config: &Config, found: &mut Vec<Problem>) {
    let WhenDown::Pool(to) = &pool.when_down else { return };
    let place = Place::PoolSetting(name.to_owned(), "when_down");
    let others = || config.pools.keys().map(String::as_str).filter(|other| *other != name);
    let allowed = || format!("\"servfail\", \"drop\" or \"pool \" and one of {}", listed(others()));
    match config.pools.get(&**to) {
        None => {
            let says = format!("names pool {}, which does not exist", Quoted(to));
            let allowed = allowed() + &did_you_mean(to, others());
            found.push(Problem::new(place, says, allowed).against(Place::Pools));
        }
        Some(_) if **to == *name => found.push(Problem::new(place, "names that very pool", allowed())),
        Some(_) => {}
    }
}
