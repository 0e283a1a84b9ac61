use std::net::SocketAddr;

use super::{Sheet, counted, health, path, per_second, policy, weight};
use crate::api::{Pool, SlowPath, StateFolder, Status, Switch, Unconfirmed};
use crate::cli::style::{Paint, Style};
use crate::cli::table::{Align, Cell, Table};

/// `dproxy status`.
pub(in crate::cli) fn status(status: &Status, style: Style) -> Vec<String> {
    let mut sheet = Sheet::new(style);
    for broken in &status.broken {
        sheet.painted("BROKEN", broken, Paint::Bad);
    }
    let since = format!("up {} since {}", duration(status.uptime_seconds), status.since);
    sheet.line("dproxy", format!("{}, process {}, {since}", status.version, status.process));
    configuration(&mut sheet, status);
    let (generation, routes) = (status.generation, counted(status.routes, "route"));
    sheet.line("generation", format!("{generation}, {routes}, {}", counted(status.pools.len(), "pool")));
    if let Some(unconfirmed) = &status.unconfirmed {
        sheet.painted("unconfirmed", &waiting(unconfirmed), Paint::Warning);
    }
    sheet.line("listeners", listeners(status));
    match &status.fast_path_off {
        None => sheet.line("fast path", fast_path(status)),
        Some(why) => {
            let text = format!("off, all queries take the slow path: {why}");
            sheet.painted("fast path", &text, Paint::Warning);
        }
    }
    sheet.line("slow path", slow_path(status));
    if let Some(rate) = status.queries_per_second {
        sheet.line("queries", format!("{} a second", per_second(rate)));
    }
    for Pool { name, switch, .. } in &status.pools {
        if let Some(Switch { to, percent }) = switch {
            let text = format!("{percent} % of the clients of pool {name} to pool {to}");
            sheet.painted("switch", &text, Paint::Warning);
        }
    }
    for note in &status.notes {
        sheet.painted("note", note, Paint::Warning);
    }
    for warning in &status.warnings {
        sheet.painted("warning", warning, Paint::Warning);
    }
    if !status.pools.is_empty() {
        sheet.append(pools(status).lines(style));
    }
    sheet.lines
}

/// What the fast path cannot see, it does not serve.
fn listeners(status: &Status) -> String {
    let listener = |address: &SocketAddr| {
        let is_apart = status.fast_path_off.is_none() && address.ip().is_loopback();
        format!("{address}{}", if is_apart { " (slow path only)" } else { "" })
    };
    status.listeners.iter().map(listener).collect::<Vec<_>>().join(", ")
}

fn fast_path(status: &Status) -> String {
    let modes = status.interfaces.iter().map(|interface| format!("{} {}", interface.name, interface.mode));
    format!("UDP by {}", modes.collect::<Vec<_>>().join(", "))
}

fn slow_path(status: &Status) -> String {
    let SlowPath { workers, tcp_connections, backend_connections } = status.slow_path;
    let serves = if status.fast_path_off.is_none() { "TCP and the rest of UDP" } else { "UDP and TCP" };
    let connections = counted(tcp_connections as usize, "TCP connection");
    format!("{serves}; {}, {connections}, {backend_connections} to backends", counted(workers, "worker"))
}

/// The file, and how what runs differs from it.
fn configuration(sheet: &mut Sheet, status: &Status) {
    let edits = match status.live_edits {
        0 => String::new(),
        1 => " and 1 live edit since it was applied".to_owned(),
        edits => format!(" and {edits} live edits since it was applied"),
    };
    sheet.line("configuration", format!("{}{edits}", status.config));
    if status.file_differs == Some(true) {
        sheet.painted("", "the file says something else; `dproxy plan` shows what", Paint::Warning);
    }
    let StateFolder { folder: _, problem } = &status.state;
    if let Some(problem) = problem {
        sheet.painted("state", problem, Paint::Bad);
    }
}

/// What happens unless somebody confirms.
fn waiting(unconfirmed: &Unconfirmed) -> String {
    let Unconfirmed { generation, until, seconds_left, back_to } = unconfirmed;
    let left = duration(*seconds_left);
    format!(
        "generation {generation}; unless `dproxy confirm` comes within {left}, generation {back_to} is put in \
         force again (at {until})"
    )
}

fn pools(status: &Status) -> Table {
    let is_checked = status.pools.iter().flat_map(|pool| &pool.backends).any(|it| it.health.is_some());
    let mut columns = vec![
        ("POOL", Align::Left),
        ("POLICY", Align::Left),
        ("BACKEND", Align::Left),
        ("WEIGHT", Align::Right),
        ("PATH", Align::Left),
    ];
    columns.extend(is_checked.then_some(("HEALTH", Align::Left)));
    let mut table = Table::new(&columns);
    for pool in &status.pools {
        for (index, backend) in pool.backends.iter().enumerate() {
            let (name, policy) =
                if index == 0 { (pool.name.as_str(), policy(pool)) } else { ("", String::new()) };
            let mut cells: Vec<Cell> =
                vec![name.into(), policy.into(), backend.address.into(), weight(backend), path(backend)];
            cells.extend(is_checked.then(|| health(backend)));
            table.row(cells);
        }
    }
    table
}

/// The two largest units of a time: `3 h 12 min`.
pub(super) fn duration(seconds: u64) -> String {
    let units = [(86400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let first = units.iter().position(|(unit, _)| seconds >= *unit).unwrap_or(3);
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (unit, name) in units.iter().skip(first).take(2) {
        parts.push(format!("{} {name}", rest / unit));
        rest %= unit;
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (seconds, text) in
            [(0, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (11_520, "3 h 12 min"), (90_000, "1 d 1 h")]
        {
            assert_eq!(duration(seconds), text);
        }
    }
}
