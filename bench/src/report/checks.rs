//! What is said about checking thousands of backends.

use super::bars::Bar;
use super::table::aligned;
use crate::checks::{BACKENDS, Checked};
use crate::measure::Spread;

/// Processor time, in percent of one processor.
const PROCESSOR: f64 = 10.0;
/// How many times the median the fullest 10 ms may have. Of times drawn at random, it is about 1.9; and who is due within
/// 5 ms is asked together.
const MOST: f64 = 3.0;
/// Checks that are missing, in percent.
const MISSING: f64 = 5.0;

/// The bars.
pub fn bars(checked: &[Checked]) -> Vec<Bar> {
    let each = |value: fn(&Checked) -> f64| checked.iter().map(value).collect::<Vec<_>>();
    [
        ("processor time", each(|it| it.processor), PROCESSOR, "% of a processor, at most"),
        ("the fullest 10 ms", each(evenness), MOST, "× the median, at most"),
        ("missing", each(missing), MISSING, "%, at most"),
        ("backends not up", each(|it| it.not_up as f64), 0.0, "at most"),
    ]
    .into_iter()
    .filter_map(|(name, samples, bar, unit)| {
        Some(Bar::at_most(format!("checks of {BACKENDS} backends: {name}"), Spread::of(samples)?, bar, unit))
    })
    .collect()
}

fn evenness(checked: &Checked) -> f64 {
    checked.most as f64 / (checked.median as f64).max(1.0)
}

fn missing(checked: &Checked) -> f64 {
    (100.0 - checked.rate / f64::from(BACKENDS) * 100.0).max(0.0)
}

/// A line for each measurement.
pub fn table(checked: &[Checked]) -> String {
    let mut rows = vec![["", "checks/s", "CPU", "in 10 ms: median", "most"].map(str::to_owned)];
    for Checked { processor, rate, median, most, .. } in checked {
        let cells = [format!("{rate:.0}"), format!("{processor:.1} %"), median.to_string(), most.to_string()];
        let [rate, processor, median, most] = cells;
        rows.push([format!("{BACKENDS} backends"), rate, processor, median, most]);
    }
    format!("Checks once a second\n{}", aligned(&rows))
}
