//! How long backends took to reply, as the packet path counts it.

use std::time::Duration;

use dproxy_common::latency::{BUCKETS, lower_end};

/// Counts by bucket of [`dproxy_common::latency`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Histogram(pub [u64; BUCKETS as usize]);

impl Default for Histogram {
    fn default() -> Self {
        Self([0; BUCKETS as usize])
    }
}

impl Histogram {
    /// How many were timed.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Those that have come since; all of them, if the counts were set to zero meanwhile.
    pub fn since(&self, before: &Self) -> Self {
        let mut new = *self;
        for (count, before) in new.0.iter_mut().zip(&before.0) {
            let Some(since) = count.checked_sub(*before) else { return *self };
            *count = since;
        }
        new
    }

    /// The mean time, if at least so many were timed.
    pub fn mean(&self, least: u64) -> Option<Duration> {
        let total = self.total();
        let middle = |bucket| (lower_end(bucket) + lower_end(bucket + 1)) as f64 / 2.0;
        let sum: f64 = (0..BUCKETS).zip(&self.0).map(|(bucket, count)| middle(bucket) * *count as f64).sum();
        (total >= least.max(1)).then(|| Duration::from_nanos((sum / total as f64) as u64))
    }

    /// The time that this share of them did not exceed: as if those of a bucket lay evenly in it. None without any.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let total = self.total();
        if total == 0 {
            return None;
        }
        let wanted = share.clamp(0.0, 1.0) * total as f64;
        let mut below = 0.0;
        for (bucket, &count) in (0..BUCKETS).zip(&self.0) {
            let count = count as f64;
            if count > 0.0 && below + count >= wanted {
                let (from, to) = (lower_end(bucket), lower_end(bucket + 1));
                let part = (wanted - below) / count;
                return Some(Duration::from_nanos(from + ((to - from) as f64 * part) as u64));
            }
            below += count;
        }
        // Of the last one that has any, rounding apart.
        let last = self.0.iter().rposition(|count| *count > 0)?;
        Some(Duration::from_nanos(lower_end(last as u32 + 1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dproxy_common::latency::{bucket, units};
    use proptest::prelude::*;

    fn of(times: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        for time in times {
            histogram.0[bucket(units(*time)) as usize] += 1;
        }
        histogram
    }

    proptest! {
        #[test]
        fn quantiles_are_those_of_the_times_to_within_a_bucket(
            mut times in proptest::collection::vec(4096u64..3_000_000_000, 1..300), share in 0.01f64..1.0
        ) {
            let found = of(&times).quantile(share).unwrap().as_nanos() as f64;
            times.sort_unstable();
            let exact = times[((share * times.len() as f64).ceil() as usize).clamp(1, times.len()) - 1] as f64;
            prop_assert!(found <= exact * 1.26 && found >= exact / 1.26, "{found} {exact}");
        }
    }

    #[test]
    fn there_is_none_of_nobody_and_the_ends_are_open() {
        assert_eq!(Histogram::default().quantile(0.5), None);
        assert!(of(&[1]).quantile(0.5).unwrap() < Duration::from_nanos(5120));
        assert!(of(&[u64::MAX]).quantile(1.0).unwrap() > Duration::from_secs(3));
        let before = of(&[7_000_000; 5]);
        let after = of(&[[7_000_000; 5].as_slice(), &[1_000_000; 10]].concat());
        let mean = after.since(&before).mean(10).unwrap().as_secs_f64();
        assert!((mean - 0.001).abs() < 0.000_15, "{mean}");
        assert_eq!((before.mean(6), before.since(&before).mean(0)), (None, None));
        assert_eq!(before.since(&after), before, "counters that began anew");
        let mixed = of(&[[100_000; 98].as_slice(), &[20_000_000; 2]].concat());
        assert!(mixed.quantile(0.9).unwrap() < Duration::from_micros(120));
        assert!(mixed.quantile(0.99).unwrap() > Duration::from_millis(16));
    }
}
