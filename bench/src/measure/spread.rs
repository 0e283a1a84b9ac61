//! Medians, and how far the samples are apart.

use serde::Serialize;

/// Samples that are further apart than this share of their median are called noisy.
const NOISY: f64 = 0.15;

/// The middle and the ends of a number of samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The smallest.
    pub min: f64,
    /// The middle one, or the mean of the two in the middle.
    pub median: f64,
    /// The largest.
    pub max: f64,
    /// Whether they are more than 15 % of the median apart.
    pub noisy: bool,
}

impl Spread {
    /// Of at least one sample; samples that are no numbers do not count.
    pub fn of(samples: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = samples.into_iter().filter(|sample| sample.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let (low, high) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
        let median = f64::midpoint(low, high);
        Some(Self { min, median, max, noisy: max - min > NOISY * median.abs() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(Spread::of([]), None);
        let odd = Spread::of([3.0, 1.0, 100.0, 2.0, f64::NAN, 4.0]).unwrap();
        assert_eq!((odd.min, odd.median, odd.max, odd.noisy), (1.0, 3.0, 100.0, true));
        assert_eq!(Spread::of([1.0, 2.0]).unwrap().median, 1.5);
    }

    #[test]
    fn noise_is_more_than_15_percent() {
        assert!(!Spread::of([100.0, 107.0, 115.0]).unwrap().noisy);
        assert!(Spread::of([100.0, 107.0, 117.0]).unwrap().noisy);
    }
}
