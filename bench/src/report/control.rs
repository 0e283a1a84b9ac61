//! What is said about the control plane.

use super::bars::Bar;
use super::table::aligned;
use crate::control::{Edits, Life, MOST, Memory, SIZES, Size};
use crate::measure::Spread;

/// A live edit is answered, and seen by the next packet, in so many milliseconds: with few routes, and with the most.
const EDIT_MS: [f64; 2] = [10.0, 250.0];
/// In so many milliseconds a whole configuration with the most routes is in force.
const APPLY_MS: f64 = 5000.0;
/// What a route takes of the daemon's own memory.
const ROUTE_OCTETS: f64 = 150.0;
/// What all maps take with the most routes.
const MAPS_MIB: f64 = 400.0;

/// A part of what was measured.
type Of<T> = fn(&Life) -> &T;

const TIME: &str = "ms, at most";
const SIZE: &str = "octets, at most";
const MIB: f64 = (1 << 20) as f64;

/// The bars. Edits in a row have none: they wait for the kernel's grace periods.
pub fn bars(lives: &[Life]) -> Vec<Bar> {
    let each = |value: fn(&Life) -> f64| lives.iter().map(value).collect::<Vec<_>>();
    let edits =
        |of: Of<Size>| lives.iter().flat_map(|life| of(life).edits.alone.answered_ms.clone()).collect();
    let [few, most] = EDIT_MS;
    [
        ("live edit, 1,000 routes", edits(first), few, TIME),
        ("live edit, 1,000,000 routes", edits(last), most, TIME),
        ("apply 1,000,000 routes, from 131,072", each(|life| last(life).apply_ms), APPLY_MS, TIME),
        ("apply 1,000,000 routes, all changed", each(|life| life.apply_all_ms), APPLY_MS, TIME),
        ("apply 1,000,000 routes, 10 changed", each(|life| life.apply_some_ms), APPLY_MS, TIME),
        ("memory of a route, applied", each(|life| route(life, &last(life).memory)), ROUTE_OCTETS, SIZE),
        ("memory of a route, changed", each(|life| route(life, &life.changed)), ROUTE_OCTETS, SIZE),
        ("memory of a route, started", each(|life| route(life, &life.started)), ROUTE_OCTETS, SIZE),
        ("maps, 1,000,000 routes", each(|life| mib(life.changed.maps)), MAPS_MIB, "MiB, at most"),
    ]
    .into_iter()
    .filter_map(|(name, samples, bar, unit)| Some(Bar::at_most(name, Spread::of(samples)?, bar, unit)))
    .collect()
}

fn first(life: &Life) -> &Size {
    &life.sizes[0]
}

fn last(life: &Life) -> &Size {
    &life.sizes[SIZES.len() - 1]
}

fn mib(octets: u64) -> f64 {
    octets as f64 / MIB
}

/// What a route takes of the daemon's own memory, above that of a daemon with few.
fn route(life: &Life, memory: &Memory) -> f64 {
    (memory.anonymous as f64 - first(life).memory.anonymous as f64) / (MOST - SIZES[0]) as f64
}

/// A line for each thing that was measured.
pub fn table(lives: &[Life]) -> String {
    let mut rows = vec![["", "median", "min … max"].map(str::to_owned)];
    let mut row = |what: &str, samples: Vec<f64>, decimals: usize| {
        rows.extend(Spread::of(samples).map(|Spread { min, median, max, .. }| {
            [what.to_owned(), format!("{median:.decimals$}"), format!("{min:.decimals$} … {max:.decimals$}")]
        }));
    };
    let each = |value: fn(&Life) -> f64| lives.iter().map(value).collect::<Vec<_>>();
    for (place, routes) in SIZES.into_iter().enumerate() {
        let each =
            |value: fn(&Size) -> f64| lives.iter().map(|life| value(&life.sizes[place])).collect::<Vec<_>>();
        let times = |of: fn(&Edits) -> &Vec<f64>| {
            lives.iter().flat_map(|life| of(&life.sizes[place].edits)).copied().collect()
        };
        if place > 0 {
            row(&format!("apply {routes} routes, ms"), each(|size| size.apply_ms), 0);
        }
        row(&format!("edit of {routes} routes: answered, ms"), times(|edits| &edits.alone.answered_ms), 2);
        row("  first seen by a packet, ms", times(|edits| &edits.alone.seen_ms), 2);
        row("  in a row: answered, ms", times(|edits| &edits.in_a_row.answered_ms), 2);
        row("  in a row: first seen, ms", times(|edits| &edits.in_a_row.seen_ms), 2);
        row("  memory, MiB", each(|size| mib(size.memory.anonymous)), 1);
        row("  and in maps, MiB", each(|size| mib(size.memory.maps)), 1);
    }
    row(&format!("apply {MOST} routes: all changed, ms"), each(|life| life.apply_all_ms), 0);
    row("  10 changed, ms", each(|life| life.apply_some_ms), 0);
    row("  memory then, MiB", each(|life| mib(life.changed.anonymous)), 1);
    row(&format!("start with {MOST} routes, ms"), each(|life| life.start_ms), 0);
    row("  memory then, MiB", each(|life| mib(life.started.anonymous)), 1);
    row("  and in maps, MiB", each(|life| mib(life.started.maps)), 1);
    format!("Control plane\n{}", aligned(&rows))
}
