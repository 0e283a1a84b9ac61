//! The table that is printed for each scenario.

use std::fmt::Write;

use super::summary::Summary;
use crate::measure::Spread;
use crate::scenario::Scenario;
use crate::witness::Witnessed;

const HEADINGS: [&str; 8] = ["", "queries/s", "min … max", "CPU/query", "core/query", "p50", "p99", "lost"];

/// A title, a line for each contestant, and what is to be said about them.
pub fn of(scenario: &Scenario, summaries: &[Summary]) -> String {
    let mut rows = vec![HEADINGS.map(str::to_owned)];
    rows.extend(summaries.iter().map(row));
    let mut text = format!("{}\n{}", scenario.title, aligned(&rows));
    for remark in summaries.iter().flat_map(remarks) {
        text += &format!("  {remark}\n");
    }
    text
}

/// What dnsperf has seen.
pub fn of_witness(witnessed: &[Witnessed]) -> String {
    let mut rows = vec![["", "", "queries/s", "CPU/query", "lost"].map(str::to_owned)];
    rows.extend(witnessed.iter().map(|witnessed| {
        let Witnessed { contestant, transport, seen, cpu_ns_per_query } = witnessed;
        let rate = grouped(seen.queries_per_second);
        let cpu = cpu_ns_per_query.map_or_else(|| "–".to_owned(), micros);
        [
            contestant.title().to_owned(),
            format!("{transport:?}").to_uppercase(),
            rate,
            cpu,
            seen.lost.to_string(),
        ]
    }));
    format!("dnsperf, one run each\n{}", aligned(&rows))
}

/// The first column to the left, the others to the right.
pub fn aligned<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for row in rows {
        let mut line = format!("  {:<width$}", row[0], width = width(0));
        for (column, cell) in row.iter().enumerate().skip(1) {
            // Writing to a string cannot fail.
            let _ = write!(line, "  {cell:>width$}", width = width(column));
        }
        text += line.trim_end();
        text += "\n";
    }
    text
}

fn row(summary: &Summary) -> [String; 8] {
    let rate = summary.queries_per_second;
    [
        summary.contestant.title().to_owned(),
        grouped(rate.median),
        format!("{} … {}", grouped(rate.min), grouped(rate.max)),
        with_process(summary.cpu_ns_per_query),
        with_process(summary.cpu_ns_per_query.map(|_| summary.processor_ns_per_query)),
        micros(summary.p50_ns.median),
        micros(summary.p99_ns.median),
        summary.lost.to_string(),
    ]
}

fn remarks(summary: &Summary) -> Vec<String> {
    let mut remarks = Vec::new();
    let name = summary.contestant.title();
    let mut noise = |what: &str, spread: Option<Spread>| {
        if let Some(Spread { min, median, max, noisy: true }) = spread {
            let percent = (max - min) / median * 100.0;
            remarks.push(format!("{name}: {what} varied by {percent:.0} % of its median"));
        }
    };
    noise("queries/s", Some(summary.queries_per_second));
    noise("CPU/query", summary.cpu_ns_per_query);
    if summary.withheld > 0 {
        let percent = summary.withheld as f64 * 100.0 / (summary.withheld + summary.sent) as f64;
        remarks.push(format!("{name}: {percent:.1} % of the queries could not be sent at this rate"));
    }
    remarks
}

/// Without a process, the balancer's processor has worked for others only.
fn with_process(time: Option<Spread>) -> String {
    time.map_or_else(|| "–".to_owned(), |time| micros(time.median))
}

pub fn micros(nanoseconds: f64) -> String {
    format!("{:.2} µs", nanoseconds / 1000.0)
}

/// 98765.4 as 98,765.
pub fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (number, text) in [(0.4, "0"), (999.0, "999"), (1000.0, "1,000"), (1_234_567.0, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }
}
