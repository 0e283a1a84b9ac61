use std::collections::BTreeMap;

use dproxy_common::reason::Reason;

use super::{per_second, target};
use crate::api::{LatencyStats, SlowPathStats, Stats};
use crate::cli::style::{Paint, Style};
use crate::cli::table::{Align, Cell, Table, grouped};
use crate::slow_path;

/// How `dproxy stats` shows counters.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct StatsView {
    /// Are reasons shown that no packet had?
    pub(in crate::cli) all: bool,
    /// Lines that there is room for, if there is a limit.
    pub(in crate::cli) height: Option<usize>,
    pub(in crate::cli) style: Style,
}

impl StatsView {
    /// The counters `now`, and how fast they grew since `before`.
    pub(in crate::cli) fn lines(self, now: &Stats, before: Option<&Stats>) -> Vec<String> {
        let received = grouped(now.received);
        let SlowPathStats { tcp_connections, backend_connections, queries_in_flight, .. } = &now.slow_path;
        let mut lines = vec![
            format!("generation {}, {received} packets received by the fast path", now.generation),
            format!(
                "slow path now: {tcp_connections} TCP connections, {backend_connections} to backends, \
                 {queries_in_flight} queries in flight"
            ),
        ];
        let before = before.map(|before| {
            let milliseconds = now.uptime_milliseconds.saturating_sub(before.uptime_milliseconds);
            (sections(before, true), milliseconds.max(1) as f64 / 1000.0)
        });
        for (index, section) in sections(now, self.all).iter().enumerate() {
            if section.rows.is_empty() {
                continue;
            }
            // An empty line, a heading, and a line about the rest.
            let room = self.height.map_or(usize::MAX, |height| height.saturating_sub(lines.len() + 3));
            if room == 0 {
                break;
            }
            lines.push(String::new());
            let before = before.as_ref().map(|(sections, seconds)| (&sections[index], *seconds));
            let mut table = section.table(before);
            let more = table.truncate(room);
            lines.extend(table.lines(self.style));
            if more > 0 {
                lines.push(self.style.paint(Paint::Warning, &format!("… and {more} more lines")));
            }
        }
        lines
    }
}

/// Counters of one kind: by key, one row each, and their sums.
struct Section {
    keys: &'static [&'static str],
    counts: &'static [&'static str],
    rows: Vec<Row>,
    sums: Option<Row>,
    /// What is no count, and its headings: for each row.
    notes: (&'static [&'static str], Vec<Vec<String>>),
}

const NO_NOTES: (&[&str], Vec<Vec<String>>) = (&[], Vec::new());

/// Keys and counts.
type Row = (Vec<String>, Vec<u64>);

fn sections(stats: &Stats, all: bool) -> [Section; 6] {
    let listeners = stats
        .listeners
        .iter()
        .map(|listener| (vec![listener.address.to_string()], vec![listener.queries, listener.responses]));
    let pools = stats.pools.iter().map(|pool| (vec![pool.name.clone()], vec![pool.queries]));
    let backends = stats.backends.iter().map(|backend| {
        let codes = [backend.noerror, backend.nxdomain, backend.servfail, backend.refused, backend.other];
        let counts = [backend.queries, backend.replies].into_iter().chain(codes).chain([backend.late]);
        (vec![backend.address.to_string(), backend.pool.clone()], counts.collect())
    });
    let times = stats.backends.iter().map(|backend| {
        let LatencyStats { p50_microseconds, p90_microseconds, p99_microseconds, .. } = backend.latency?;
        Some([p50_microseconds, p90_microseconds, p99_microseconds].map(duration).to_vec())
    });
    let times = times.map(|times| times.unwrap_or_else(|| vec!["-".to_owned(); 3])).collect();
    let mut routes: Vec<_> = stats
        .routes
        .iter()
        .map(|route| (vec![route.route.pattern.clone(), target(&route.route.target)], vec![route.queries]))
        .collect();
    // The busiest first.
    routes.sort_by(|(_, a), (_, b)| b.cmp(a));
    [
        Section::new(&["FAST PATH", "VERDICT"], &["PACKETS"], reasons(stats, all)),
        // Not to be added up: one query is forwarded, retried and replied to.
        Section {
            keys: &["SLOW PATH"],
            counts: &["COUNT"],
            rows: slow_path_reasons(stats, all),
            sums: None,
            notes: NO_NOTES,
        },
        Section::new(&["LISTENER"], &["QUERIES", "RESPONSES"], listeners.collect()),
        Section::new(&["POOL"], &["QUERIES"], pools.collect()),
        Section {
            notes: (&["P50", "P90", "P99"], times),
            ..Section::new(
                &["BACKEND", "POOL"],
                &["QUERIES", "REPLIES", "NOERROR", "NXDOMAIN", "SERVFAIL", "REFUSED", "OTHER", "LATE"],
                backends.collect(),
            )
        },
        Section::new(&["ROUTE", "LEADS TO"], &["QUERIES"], routes),
    ]
}

/// As people read it.
fn duration(microseconds: u64) -> String {
    match microseconds {
        0..1000 => format!("{microseconds} µs"),
        1000..1_000_000 => format!("{:.1} ms", microseconds as f64 / 1e3),
        _ => format!("{:.1} s", microseconds as f64 / 1e6),
    }
}

/// In the order of the reasons, and behind them those that only a newer daemon knows.
fn reasons(stats: &Stats, all: bool) -> Vec<Row> {
    let known = Reason::ALL.map(|reason| (reason.label(), reason.verdict().label()));
    let is_known = |label: &str| known.iter().any(|(known, _)| *known == label);
    let newer = stats.reasons.keys().map(String::as_str).filter(|label| !is_known(label));
    known
        .into_iter()
        .chain(newer.map(|label| (label, "")))
        .map(|(label, verdict)| (label, verdict, stats.reasons.get(label).copied().unwrap_or_default()))
        .filter(|(_, _, packets)| all || *packets > 0)
        .map(|(label, verdict, packets)| (vec![label.to_owned(), verdict.to_owned()], vec![packets]))
        .collect()
}

/// In the order of the slow path's reasons, and behind them those that only a newer daemon knows.
fn slow_path_reasons(stats: &Stats, all: bool) -> Vec<Row> {
    let known = slow_path::Reason::ALL.map(slow_path::Reason::label);
    let reasons = &stats.slow_path.reasons;
    let newer = reasons.keys().map(String::as_str).filter(|label| !known.contains(label));
    known
        .into_iter()
        .chain(newer)
        .map(|label| (label, reasons.get(label).copied().unwrap_or_default()))
        .filter(|(_, count)| all || *count > 0)
        .map(|(label, count)| (vec![label.to_owned()], vec![count]))
        .collect()
}

impl Section {
    fn new(keys: &'static [&'static str], counts: &'static [&'static str], rows: Vec<Row>) -> Self {
        let sum = |column: usize| rows.iter().map(|(_, counts)| counts[column]).sum();
        let sums = (0..counts.len()).map(sum).collect();
        let mut label = vec![String::new(); keys.len()];
        // With a blank, it is nobody's name.
        label[0] = "in total".to_owned();
        // One row needs no sum.
        let sums = (rows.len() > 1).then_some((label, sums));
        Self { keys, counts, rows, sums, notes: NO_NOTES }
    }

    /// All rows.
    fn counters(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().chain(&self.sums)
    }

    /// As a table; with rates, if it is known what was so many seconds before.
    fn table(&self, before: Option<(&Self, f64)>) -> Table {
        let mut columns: Vec<(&'static str, Align)> =
            self.keys.iter().map(|key| (*key, Align::Left)).collect();
        columns.extend(self.counts.iter().map(|count| (*count, Align::Right)));
        columns.extend(self.notes.0.iter().map(|note| (*note, Align::Right)));
        if before.is_some() {
            columns.insert(self.keys.len() + 1, ("A SECOND", Align::Right));
        }
        let earlier: BTreeMap<_, _> = before
            .iter()
            .flat_map(|(section, _)| section.counters())
            .map(|(keys, counts)| (keys, counts))
            .collect();
        let mut table = Table::new(&columns);
        let mut notes = self.notes.1.iter();
        for (keys, counts) in self.counters() {
            let mut cells: Vec<Cell> = keys.iter().map(Cell::from).collect();
            cells.extend(counts.iter().map(|count| Cell::from(grouped(*count))));
            // Sums have none.
            cells.extend(notes.next().into_iter().flatten().map(Cell::from));
            if let Some((_, seconds)) = before {
                let then = earlier.get(keys).map_or(0, |counts| counts[0]);
                cells.insert(
                    keys.len() + 1,
                    per_second(counts[0].saturating_sub(then) as f64 / seconds).into(),
                );
            }
            table.row(cells);
        }
        table
    }
}
