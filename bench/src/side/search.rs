//! The highest rate that a balancer stands.

use anyhow::{Result, bail};

/// How much faster the next try is as long as none has failed.
const STEP: f64 = 1.4;
/// Found when what holds and what does not are as close as that.
const CLOSE: f64 = 1.03;
/// Below that, nobody is worth measuring, queries a second.
const LEAST: f64 = 1000.0;

/// The highest rate that holds, to within 3 %: from `start` on, upwards or downwards, then in between.
pub fn highest(start: f64, mut holds: impl FnMut(f64) -> Result<bool>) -> Result<f64> {
    let (mut held, mut failed) = (None, None);
    loop {
        let rate = match (held, failed) {
            (None, None) => start,
            (Some(held), None) => held * STEP,
            (None, Some(failed)) if failed / STEP < LEAST => bail!("loses queries at {failed:.0} a second"),
            (None, Some(failed)) => failed / STEP,
            (Some(held), Some(failed)) if failed / held <= CLOSE => return Ok(held),
            (Some(held), Some(failed)) => f64::sqrt(held * failed),
        };
        *if holds(rate)? { &mut held } else { &mut failed } = Some(rate);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_found_from_either_side() {
        for limit in [1_500.0, 10_000.0, 39_000.0, 98_000.0, 900_000.0] {
            for start in [10_000.0, 90_000.0] {
                let mut tries = 0;
                let found = highest(start, |rate| {
                    tries += 1;
                    Ok(rate <= limit)
                });
                let found = found.unwrap();
                assert!(found <= limit && found * CLOSE >= limit, "{found} for {limit}, from {start}");
                assert!(tries < 25, "{tries} tries");
            }
        }
    }

    #[test]
    fn who_stands_nothing_is_said_to() {
        let error = highest(10_000.0, |_| Ok(false)).unwrap_err();
        assert!(error.to_string().contains("loses queries"), "{error}");
    }

    #[test]
    fn what_ends_a_try_ends_the_search() {
        assert!(highest(10_000.0, |_| bail!("wrong answers")).is_err());
    }
}
