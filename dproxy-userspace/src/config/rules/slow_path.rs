//! Rules for `[slow_path]`.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::duration::duration_text;
use crate::config::model::SlowPath;
use crate::config::problem::{Place, Problem};

/// What [`SlowPath::workers`] may be.
pub(in crate::config) const WORKERS: &str = "1 to 256";
/// What [`SlowPath::timeout`] may be.
pub(in crate::config) const TIMEOUT: &str = "\"100ms\" to \"30s\"";
/// What [`SlowPath::idle_timeout`] may be.
pub(in crate::config) const IDLE_TIMEOUT: &str = "\"1s\" to \"10m\"";
/// What [`SlowPath::tcp_connections`] may be, also of one client.
pub(in crate::config) const CONNECTIONS: &str = "1 to 1000000";
/// What [`SlowPath::queries_in_flight`] may be.
pub(in crate::config) const QUERIES_IN_FLIGHT: &str = "1 to 1048576";

pub(super) fn check(slow_path: &SlowPath, found: &mut Vec<Problem>) {
    let SlowPath {
        workers,
        timeout,
        idle_timeout,
        tcp_connections,
        tcp_connections_per_client,
        queries_in_flight,
    } = slow_path;
    let mut number = |key, number: u32, range: RangeInclusive<u32>, allowed| {
        if !range.contains(&number) {
            found.push(Problem::new(Place::SlowPath(key), format!("is {number}"), allowed));
        }
    };
    if let Some(workers) = workers {
        number("workers", *workers, 1..=256, WORKERS);
    }
    number("tcp_connections", *tcp_connections, 1..=1_000_000, CONNECTIONS);
    number("tcp_connections_per_client", *tcp_connections_per_client, 1..=1_000_000, CONNECTIONS);
    number("queries_in_flight", *queries_in_flight, 1..=1 << 20, QUERIES_IN_FLIGHT);
    let mut duration = |key, duration: Duration, milliseconds: RangeInclusive<u128>, allowed| {
        if !milliseconds.contains(&duration.as_millis()) {
            let says = format!("is \"{}\"", duration_text(duration));
            found.push(Problem::new(Place::SlowPath(key), says, allowed));
        }
    };
    duration("timeout", *timeout, 100..=30_000, TIMEOUT);
    duration("idle_timeout", *idle_timeout, 1000..=600_000, IDLE_TIMEOUT);
}
