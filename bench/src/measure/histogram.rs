//! Durations, counted in buckets that are at most 1/16 wide.

use std::ops::Sub;
use std::time::Duration;

use anyhow::{Result, ensure};

/// Buckets to each power of two.
const STEPS: u64 = 16;
const BUCKETS: usize = 64 * STEPS as usize;

/// How often which duration was seen.
#[derive(Debug, Clone)]
pub struct Histogram(Box<[u64]>);

impl Default for Histogram {
    fn default() -> Self {
        Self(vec![0; BUCKETS].into_boxed_slice())
    }
}

impl Histogram {
    /// What somebody else has counted, bucket by bucket.
    pub fn of_counts(counts: Vec<u64>) -> Result<Self> {
        ensure!(counts.len() == BUCKETS, "a histogram has {BUCKETS} buckets, not {}", counts.len());
        Ok(Self(counts.into_boxed_slice()))
    }

    /// Counts a duration.
    pub fn add(&mut self, duration: Duration) {
        self.0[bucket(duration.as_nanos() as u64)] += 1;
    }

    /// The duration that `share` (0 to 1) of all do not exceed, by 1/16 too large at most; `None` if
    /// nothing was counted.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let total: u64 = self.0.iter().sum();
        let wanted = ((total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let found = self.0.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        found.map(|bucket| Duration::from_nanos(upper_bound(bucket)))
    }
}

impl Sub<&Histogram> for Histogram {
    type Output = Histogram;

    fn sub(self, earlier: &Histogram) -> Histogram {
        Histogram(self.0.iter().zip(&earlier.0).map(|(now, then)| now - then).collect())
    }
}

/// Below 16 ns each has its own; from there on, the highest five bits decide.
fn bucket(nanoseconds: u64) -> usize {
    let shift = nanoseconds.max(1).ilog2().saturating_sub(STEPS.ilog2());
    (u64::from(shift) * STEPS + (nanoseconds >> shift)) as usize
}

/// The largest number in a bucket.
fn upper_bound(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 2 * STEPS {
        return bucket;
    }
    let shift = bucket / STEPS - 1;
    (((bucket % STEPS + STEPS + 1) << shift) as u128 - 1) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_what_is_put_into_it() {
        for nanoseconds in (0..5_000).chain([1 << 20, (1 << 20) + 1, 999_999_999, u64::MAX >> 8]) {
            let bound = upper_bound(bucket(nanoseconds));
            assert!(
                bound >= nanoseconds && bound - nanoseconds <= nanoseconds / 16,
                "{nanoseconds}: {bound}"
            );
        }
    }

    #[test]
    fn quantiles_are_those_of_the_durations() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        for micros in 1..=1000 {
            histogram.add(Duration::from_micros(micros));
        }
        for (share, micros) in [(0.5, 500.0), (0.99, 990.0), (0.999, 999.0), (1.0, 1000.0)] {
            let found = histogram.quantile(share).unwrap().as_nanos() as f64 / 1000.0;
            assert!(found >= micros && found <= micros * 1.0626, "{share}: {found} µs");
        }
        let before = histogram.clone();
        histogram.add(Duration::from_secs(1));
        let added = (histogram - &before).quantile(0.5).unwrap();
        assert!(added >= Duration::from_secs(1) && added < Duration::from_millis(1063));
    }
}
