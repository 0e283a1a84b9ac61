//! What the API answers, for people.

mod explain;
mod pools;
mod routes;
mod stats;
mod status;
#[cfg(test)]
mod tests;
mod whole;

pub(super) use explain::explanation;
pub(super) use pools::{backends, pool, pools};
pub(super) use routes::{name_routes, routes};
pub(super) use stats::StatsView;
pub(super) use status::status;
pub(super) use whole::{applied, history, plan};

use super::style::{Paint, Style, printable};
use super::table::{Cell, grouped};
use crate::api::{Backend, Path, Pool, Route, Target};
use crate::config::counted;
use status::duration;

/// Lines with a label in front of each.
struct Sheet {
    lines: Vec<String>,
    style: Style,
}

/// Where the text behind a label begins.
const INDENT: usize = 15;

impl Sheet {
    fn new(style: Style) -> Self {
        Self { lines: Vec::new(), style }
    }

    /// Adds a line.
    fn line(&mut self, label: &str, text: impl ToString) {
        self.painted(label, &text.to_string(), Paint::Plain);
    }

    /// Adds a line in a colour.
    fn painted(&mut self, label: &str, text: &str, paint: Paint) {
        let blanks = " ".repeat(INDENT.saturating_sub(label.len()));
        let label = self.style.paint(Paint::Heading, label);
        self.lines.push(format!("{label}{blanks}{}", self.style.paint(paint, &printable(text))));
    }

    /// Adds what comes from elsewhere, behind an empty line.
    fn append(&mut self, lines: Vec<String>) {
        self.lines.push(String::new());
        self.lines.extend(lines);
    }
}

/// Where a route leads: `pool cryo`, `answer nxdomain`.
fn target(target: &Target) -> String {
    match target {
        Target::Pool(name) => format!("pool {name}"),
        Target::Answer(answer) => format!("answer {answer}"),
    }
}

/// What would apply without the route that does.
fn alternatives(also_matching: &[Route]) -> Option<String> {
    let (first, rest) = also_matching.split_first()?;
    let leads = |route: &Route| format!("{} to {}", route.pattern, target(&route.target));
    let rest = rest.iter().map(|route| format!(", then {}", leads(route)));
    Some(format!("without it: {}{}", leads(first), rest.collect::<String>()))
}

/// How a pool chooses: `maglev by qname`, `random`.
fn policy(pool: &Pool) -> String {
    match &pool.hash {
        Some(hash) => format!("{} by {hash}", pool.policy),
        None => pool.policy.clone(),
    }
}

/// What a backend has of its pool's queries: its weight, which does not count while it is drained.
fn weight(backend: &Backend) -> Cell {
    if backend.drained {
        Cell::painted(format!("{} drained", backend.weight), Paint::Warning)
    } else {
        backend.weight.into()
    }
}

/// Whether a backend does its work, and since when: `up 3 h`, `down 12 s: no reply …`.
fn health(backend: &Backend) -> Cell {
    let Some(health) = &backend.health else { return "".into() };
    let because = health.why.as_ref().map_or(String::new(), |why| format!(": {why}"));
    let anyway = if health.state == "down" && health.gets_queries { ", used all the same" } else { "" };
    let idle = if health.state == "up" && !health.gets_queries && !backend.drained && backend.weight > 0 {
        ", in reserve"
    } else {
        ""
    };
    let text = format!("{} {}{anyway}{idle}{because}", health.state, duration(health.seconds));
    let paint = match health.state.as_str() {
        "up" => Paint::Good,
        "down" => Paint::Bad,
        _ => Paint::Plain,
    };
    Cell::painted(text, paint)
}

/// How queries get to a backend: `fast, by eth1`, `slow: …`, `none: …`.
fn path(backend: &Backend) -> Cell {
    let because = backend.why.as_ref().map_or(String::new(), |why| format!(": {why}"));
    match (backend.path, &backend.next_hop) {
        (Path::Fast, Some(hop)) => Cell::painted(format!("fast, by {}", hop.interface), Paint::Good),
        (Path::Fast, None) => Cell::painted("fast", Paint::Good),
        (Path::Local, _) => Cell::painted("fast, on this host", Paint::Good),
        (Path::Slow, _) => Cell::painted(format!("slow{because}"), Paint::Plain),
        (Path::None, _) => Cell::painted(format!("none{because}"), Paint::Bad),
    }
}

/// A rate: `0.5`, `1,234`.
fn per_second(rate: f64) -> String {
    if rate < 10.0 { format!("{rate:.1}") } else { grouped(rate.round() as u64) }
}
