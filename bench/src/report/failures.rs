//! What is said about backends that fail.

use super::bars::Bar;
use super::table::aligned;
use crate::failures::{Failover, Failure, RATE, RISE, Results, Row, Unnoticed};
use crate::measure::Spread;

/// Milliseconds after which no query goes to a backend that does not do its work.
const NONE_MS: f64 = 700.0;
/// The same if real queries show it.
const SILENT_MS: f64 = 300.0;
/// A backend's share is that of names, not of queries in any second.
const SHARE: f64 = 1.1;

/// The bars. All are about the worst of all rounds, since one failure is all it takes.
pub fn bars(results: &Results) -> Vec<Bar> {
    let mut bars = Vec::new();
    let mut worst = |name: String, samples: Vec<f64>, bar: f64, unit: &'static str| {
        if let Some(spread) = Spread::of(samples) {
            bars.push(Bar { name, value: spread.max, bar, unit, held: spread.max <= bar, spread });
        }
    };
    for failure in Failure::ALL {
        let each = |value: fn(&Row) -> f64| {
            results.rows.iter().filter(|row| row.failure == failure).map(value).collect::<Vec<_>>()
        };
        let about = |what: &str| format!("{}: {what}", failure.title());
        let none_ms = if failure.is_silence() { SILENT_MS } else { NONE_MS };
        worst(about("no query after"), each(|row| row.until_none_ms), none_ms, "ms, at most");
        worst(about("lost"), each(over_share), SHARE, "× its share meanwhile, at most");
        worst(about("lost when it is back"), each(|row| row.lost_back as f64), 0.0, "queries, at most");
        worst(about("flapping"), each(flapping), 0.0, "events too many, at most");
    }
    let each = |value: fn(&Unnoticed) -> f64| results.unnoticed.iter().map(value).collect::<Vec<_>>();
    worst("all checks fail: lost".to_owned(), each(|it| it.lost as f64), 0.0, "queries, at most");
    worst(
        "all checks fail: events that do not say why".to_owned(),
        each(|it| f64::from(u8::from(!it.event.contains("SERVFAIL")))),
        0.0,
        "at most",
    );
    let each = |value: fn(&Failover) -> f64| results.failovers.iter().map(value).collect::<Vec<_>>();
    worst("failover: no query after".to_owned(), each(|it| it.until_none_ms), SILENT_MS, "ms, at most");
    worst(
        "failover: lost on the way back".to_owned(),
        each(|it| it.lost_back as f64),
        0.0,
        "queries, at most",
    );
    worst(
        "failover: checks missing on the way back".to_owned(),
        each(|it| RISE.saturating_sub(it.checks) as f64),
        0.0,
        "at most",
    );
    bars
}

/// What was lost, compared with what it would have got meanwhile. Failures that lose nothing have none.
fn over_share(row: &Row) -> f64 {
    let meanwhile = row.share * f64::from(RATE) * row.until_none_ms / 1000.0;
    // A few were on their way.
    row.lost.saturating_sub(5) as f64 / meanwhile.max(1.0)
}

fn flapping(row: &Row) -> f64 {
    (row.downs.abs_diff(1) + row.ups.abs_diff(1) + row.others) as f64
}

/// A line for each failure, and two about what is no failure.
pub fn table(results: &Results) -> String {
    let mut rows =
        vec![["", "no query after", "lost", "back after", "down/up", "because"].map(str::to_owned)];
    for row in &results.rows {
        let Row { failure, until_none_ms, lost, until_back_ms, downs, ups, cause, .. } = row;
        rows.push([
            failure.title().to_owned(),
            format!("{until_none_ms:.0} ms"),
            lost.to_string(),
            format!("{until_back_ms:.0} ms"),
            format!("{downs}/{ups}"),
            cause.clone(),
        ]);
    }
    let mut text =
        format!("Failures, {RATE} queries/s, one backend of three, interval = 200 ms\n{}", aligned(&rows));
    for Unnoticed { lost, event, .. } in &results.unnoticed {
        text += &format!("  all fail their checks while they answer: {lost} lost; {event}\n");
    }
    for Failover { until_none_ms, lost, lost_back, checks, until_back_ms } in &results.failovers {
        text += &format!(
            "  failover, primary killed: no query after {until_none_ms:.0} ms, {lost} lost; \
             back after {until_back_ms:.0} ms and {checks} checks, {lost_back} lost\n"
        );
    }
    text
}
