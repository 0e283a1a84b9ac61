//! Backends that fail while 5,000 queries a second go through the fast path: how long until they get no more, how many
//! are lost, how long until they get some again.

mod asker;
mod backend;
mod failure;
mod message;
mod server;
mod sight;
mod site;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use dproxy_lab::{Interrupt, Topology};
use serde::Serialize;

use self::asker::Query;
use self::server::Manner;
use self::site::{Seen, Site};

pub use self::asker::RATE;
pub use self::backend::Backend;
pub use self::failure::Failure;
pub use self::server::serve;
pub use self::sight::{Arrival, Sight};

/// How long a failure lasts.
const LASTS: Duration = Duration::from_secs(3);
/// How long it is looked at what follows when it is over.
const AFTER: Duration = Duration::from_millis(1500);

/// What was measured.
#[derive(Debug, Default, Serialize)]
pub struct Results {
    /// One backend of three fails.
    pub rows: Vec<Row>,
    /// All of them fail their checks at once, while they answer.
    pub unnoticed: Vec<Unnoticed>,
    /// The first tier fails, and comes back.
    pub failovers: Vec<Failover>,
}

/// What became of one failure.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Which.
    pub failure: Failure,
    /// From its beginning to the last query that went to the backend or failed, milliseconds.
    pub until_none_ms: f64,
    /// Queries without a good answer within a second, of those sent until it was over.
    pub lost: usize,
    /// The same of those sent afterwards.
    pub lost_back: usize,
    /// The share of all queries that the backend had before.
    pub share: f64,
    /// From the end of the failure to the next query that went to it, milliseconds.
    pub until_back_ms: f64,
    /// How often it went down.
    pub downs: usize,
    /// How often it came up.
    pub ups: usize,
    /// Other events.
    pub others: usize,
    /// Why it went down, as dproxy says.
    pub cause: String,
}

/// What became of all checks failing.
#[derive(Debug, Serialize)]
pub struct Unnoticed {
    /// Queries without a good answer within a second.
    pub lost: usize,
    /// The lowest share of a backend's queries while its checks failed, compared with before.
    pub least_share: f64,
    /// What the event says.
    pub event: String,
}

/// What became of a first tier that fails and comes back.
#[derive(Debug, Serialize)]
pub struct Failover {
    /// From its failure to the last query that went to it, or failed, milliseconds.
    pub until_none_ms: f64,
    /// Queries that failed until it was back.
    pub lost: usize,
    /// The same afterwards.
    pub lost_back: usize,
    /// Checks that it had answered when it got queries again.
    pub checks: usize,
    /// From its repair to its first query, milliseconds.
    pub until_back_ms: f64,
}

/// Checks that must succeed until a backend is up, unless configured.
pub const RISE: usize = 2;

/// Measures in namespaces whose names begin with `prefix`.
pub fn measure(prefix: &str, dproxy: &Path, rounds: u32, interrupt: &Interrupt) -> Result<Results> {
    let topology = Topology::builder(prefix).build()?;
    let mut results = Results::default();
    for _ in 0..rounds {
        for failure in Failure::ALL {
            let row = fail(&topology, dproxy, failure, interrupt);
            let row = row.with_context(|| failure.title())?;
            let (title, none, back) = (failure.title(), row.until_none_ms, row.until_back_ms);
            eprintln!("  {title}: none after {none:.0} ms, {} lost, back after {back:.0} ms", row.lost);
            results.rows.push(row);
        }
        let unnoticed = fail_all_checks(&topology, dproxy, interrupt).context("all checks fail")?;
        eprintln!("  all checks fail: {} lost", unnoticed.lost);
        results.unnoticed.push(unnoticed);
        let failover = fail_over(&topology, dproxy, interrupt).context("failover")?;
        eprintln!("  failover: back after {:.0} ms, {} lost", failover.until_back_ms, failover.lost_back);
        results.failovers.push(failover);
    }
    Ok(results)
}

/// A pool of the three, with all settings as they come but the interval.
fn pool(topology: &Topology, more: &str) -> String {
    let backends: Vec<String> = (0..3).map(|number| site::address(topology, number).to_string()).collect();
    format!("[pools.bench]\nbackends = {backends:?}\n[pools.bench.health]\ninterval = \"200ms\"\n{more}")
}

fn fail(topology: &Topology, dproxy: &Path, failure: Failure, interrupt: &Interrupt) -> Result<Row> {
    let needs_serial = failure == Failure::SerialStuck;
    let more = if needs_serial { format!("serial_lag = {}\n", failure::SERIAL_LAG) } else { String::new() };
    let mut site = Site::open(topology, dproxy, &pool(topology, &more), interrupt)?;
    let begin = Instant::now();
    failure.begin(&mut site.backends)?;
    site.wait(LASTS)?;
    let end = Instant::now();
    failure.end(&mut site.backends)?;
    let repaired = Instant::now();
    site.wait_for_queries(repaired)?;
    site.wait(AFTER)?;
    let seen = site.close()?;

    let it = site::address(topology, 0);
    let of = |kind: &str| {
        seen.events.iter().filter(|event| event.kind == kind && event.backend == Some(it)).count()
    };
    let (downs, ups) = (of("backend-down"), of("backend-up"));
    let cause = seen.events.iter().find(|event| event.backend == Some(it)).map(|event| event.text.clone());
    Ok(Row {
        failure,
        until_none_ms: until_none(&seen, begin, end),
        lost: lost(&seen.queries, |query| query.sent < end),
        lost_back: lost(&seen.queries, |query| query.sent >= end),
        share: share(&seen, 0, seen.begun, begin),
        until_back_ms: until_back(&seen, repaired),
        downs,
        ups,
        others: seen.events.len() - downs - ups,
        cause: cause.unwrap_or_default(),
    })
}

fn fail_all_checks(topology: &Topology, dproxy: &Path, interrupt: &Interrupt) -> Result<Unnoticed> {
    let mut site = Site::open(topology, dproxy, &pool(topology, ""), interrupt)?;
    let begin = Instant::now();
    site.backends.iter_mut().try_for_each(|backend| backend.set(Manner::RefuseChecks))?;
    site.wait(LASTS)?;
    let end = Instant::now();
    site.backends.iter_mut().try_for_each(|backend| backend.set(Manner::Well))?;
    site.wait(AFTER)?;
    let seen = site.close()?;
    let shares =
        (0..3).map(|number| share(&seen, number, begin, end) / share(&seen, number, seen.begun, begin));
    let event = seen.events.iter().find(|event| event.kind == "pool-fail-open");
    Ok(Unnoticed {
        lost: lost(&seen.queries, |_| true),
        least_share: shares.fold(1.0, f64::min),
        event: event.map(|event| event.text.clone()).unwrap_or_default(),
    })
}

fn fail_over(topology: &Topology, dproxy: &Path, interrupt: &Interrupt) -> Result<Failover> {
    let [primary, second, third] = [0, 1, 2].map(|number| site::address(topology, number));
    let pool = format!(
        "[pools.bench]\npolicy = \"failover\"\nbackends = [\"{primary}\", \
         {{ address = \"{second}\", tier = 2 }}, {{ address = \"{third}\", tier = 2 }}]\n\
         [pools.bench.health]\ninterval = \"200ms\"\n"
    );
    let mut site = Site::open(topology, dproxy, &pool, interrupt)?;
    let begin = Instant::now();
    Failure::Killed.begin(&mut site.backends)?;
    site.wait(LASTS)?;
    let end = Instant::now();
    Failure::Killed.end(&mut site.backends)?;
    let repaired = Instant::now();
    site.wait_for_queries(repaired)?;
    site.wait(AFTER)?;
    let seen = site.close()?;
    let first = first_query(&seen, repaired);
    let is_proof = |at: Instant| at > repaired && first.is_none_or(|first| at < first);
    let checks = seen.arrivals[0].iter().filter(|arrival| arrival.is_check && is_proof(arrival.at)).count();
    Ok(Failover {
        until_none_ms: until_none(&seen, begin, end),
        lost: lost(&seen.queries, |query| query.sent < end),
        lost_back: lost(&seen.queries, |query| query.sent >= end),
        checks,
        until_back_ms: until_back(&seen, repaired),
    })
}

/// When the last query went to the first backend, or failed, after something began.
fn until_none(seen: &Seen, begin: Instant, end: Instant) -> f64 {
    let went = seen.arrivals[0].iter().filter(|arrival| !arrival.is_check).map(|arrival| arrival.at);
    let failed = seen.queries.iter().filter(|query| query.has_failed()).map(|query| query.sent);
    let last = went.chain(failed).filter(|at| *at > begin && *at < end).max();
    last.map_or(0.0, |last| milliseconds(last - begin))
}

fn until_back(seen: &Seen, repaired: Instant) -> f64 {
    first_query(seen, repaired).map_or(f64::INFINITY, |first| milliseconds(first - repaired))
}

fn first_query(seen: &Seen, after: Instant) -> Option<Instant> {
    let mut went = seen.arrivals[0].iter().filter(|arrival| !arrival.is_check).map(|arrival| arrival.at);
    went.find(|at| *at > after)
}

fn lost(queries: &[Query], which: impl Fn(&Query) -> bool) -> usize {
    queries.iter().filter(|query| which(query) && query.has_failed()).count()
}

/// The share of the queries sent in a time that went to a backend.
fn share(seen: &Seen, number: usize, from: Instant, to: Instant) -> f64 {
    let is_within = |at: Instant| at >= from && at < to;
    let went =
        seen.arrivals[number].iter().filter(|arrival| !arrival.is_check && is_within(arrival.at)).count();
    let sent = seen.queries.iter().filter(|query| is_within(query.sent)).count();
    went as f64 / sent.max(1) as f64
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
