//! What is said about the control plane.

use super::bars::Bar;
use super::table::aligned;
use crate::control::{FEW_ROUTES, Life, MANY_ROUTES, Memory, Times};
use crate::measure::Spread;

/// A live edit is answered, and seen by the next packet, in so many milliseconds: with few routes, with many.
const EDIT_MS: [f64; 2] = [10.0, 100.0];
/// In so many milliseconds a whole configuration with many routes is in force.
const APPLY_MS: f64 = 2000.0;
/// What a route takes of the daemon's own memory.
const ROUTE_OCTETS: f64 = 150.0;

/// A part of what was measured.
type Of<T> = fn(&Life) -> &T;

const TIME: &str = "ms, at most";
const SIZE: &str = "octets, at most";
const MIB: f64 = (1 << 20) as f64;

/// The bars. Edits in a row have none: they wait for the kernel's grace periods.
pub fn bars(lives: &[Life]) -> Vec<Bar> {
    let edit = |of| all(lives, of);
    let each = |value: &dyn Fn(&Life) -> f64| lives.iter().map(value).collect::<Vec<_>>();
    let [few, many] = EDIT_MS;
    [
        ("live edit, 1,000 routes", edit(|life| &life.few.alone.answered_ms), few, TIME),
        ("live edit, 200,000 routes", edit(|life| &life.many.alone.answered_ms), many, TIME),
        ("apply 200,000 routes, from 1,000", each(&|life| life.apply_ms.grow), APPLY_MS, TIME),
        ("apply 200,000 routes, all changed", each(&|life| life.apply_ms.all), APPLY_MS, TIME),
        ("apply 200,000 routes, 10 changed", each(&|life| life.apply_ms.some), APPLY_MS, TIME),
        ("memory of a route, applied", each(&|life| route(life, &life.memory.grown)), ROUTE_OCTETS, SIZE),
        ("memory of a route, changed", each(&|life| route(life, &life.memory.changed)), ROUTE_OCTETS, SIZE),
        ("memory of a route, started", each(&|life| route(life, &life.memory.started)), ROUTE_OCTETS, SIZE),
    ]
    .into_iter()
    .filter_map(|(name, samples, bar, unit)| Some(Bar::at_most(name, Spread::of(samples)?, bar, unit)))
    .collect()
}

/// The samples of all lives.
fn all(lives: &[Life], of: Of<Vec<f64>>) -> Vec<f64> {
    lives.iter().flat_map(of).copied().collect()
}

/// What a route takes of the daemon's own memory, above that of a daemon with few.
fn route(life: &Life, memory: &Memory) -> f64 {
    (memory.anonymous as f64 - life.memory.few.anonymous as f64) / (MANY_ROUTES - FEW_ROUTES) as f64
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
    let edits: [(_, Of<Times>); 4] = [
        ("edit of 1,000 routes", |life| &life.few.alone),
        ("the same, in a row", |life| &life.few.in_a_row),
        ("edit of 200,000 routes", |life| &life.many.alone),
        ("the same, in a row", |life| &life.many.in_a_row),
    ];
    for (what, times) in edits {
        let samples =
            |of: fn(&Times) -> &Vec<f64>| lives.iter().flat_map(|life| of(times(life))).copied().collect();
        row(&format!("{what}: answered, ms"), samples(|times| &times.answered_ms), 2);
        row("  first seen by a packet, ms", samples(|times| &times.seen_ms), 2);
    }
    row("apply 200,000 routes: from 1,000, ms", each(|life| life.apply_ms.grow), 0);
    row("  all changed, ms", each(|life| life.apply_ms.all), 0);
    row("  10 changed, ms", each(|life| life.apply_ms.some), 0);
    row("start with 200,000 routes, ms", each(|life| life.start_ms), 0);
    let memories: [(_, Of<Memory>); 4] = [
        ("1,000 routes", |life| &life.memory.few),
        ("200,000 routes applied", |life| &life.memory.grown),
        ("200,000 routes changed", |life| &life.memory.changed),
        ("200,000 routes started", |life| &life.memory.started),
    ];
    for (what, memory) in memories {
        let mib =
            |octets: fn(&Memory) -> u64| lives.iter().map(|life| octets(memory(life)) as f64 / MIB).collect();
        row(&format!("{what}: memory, MiB"), mib(|memory| memory.anonymous), 1);
        row("  and in maps, MiB", mib(|memory| memory.maps), 1);
    }
    format!("Control plane\n{}", aligned(&rows))
}
