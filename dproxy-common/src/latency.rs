//! How long backends take to reply: a sample of the queries, by backend in a histogram.
//!
//! Reading the clock takes longer than anything else that is counted, so only about one query in sixteen is timed.
//! Which ones, the DNS ID that it is forwarded with decides, and the reply brings that back. It is as good as random (see
//! [`nat`](crate::nat)); every sixteenth slot would be one backend's alone where a policy goes round.

/// Buckets of a histogram. The last one is open.
pub const BUCKETS: u32 = 80;

/// Of so many queries, one is timed on the average.
pub const ONE_IN: u16 = 16;

/// Nanoseconds of a unit, as a power of two.
const UNIT_BITS: u32 = 8;

/// The first bucket ends a quarter above so many units: 4,096 ns.
const FIRST: u32 = 16;

/// Is a query with this ID, raw, towards its backend timed?
#[inline(always)]
pub const fn is_sampled(id: u16) -> bool {
    id.is_multiple_of(ONE_IN)
}

/// A time in units of 256 ns. It begins anew after 18 minutes; a reply is late long before.
#[inline(always)]
pub const fn units(nanoseconds: u64) -> u32 {
    (nanoseconds >> UNIT_BITS) as u32
}

/// The bucket of what took so many units: four for each power of two.
#[inline(always)]
pub const fn bucket(units: u32) -> u32 {
    let units = if units < FIRST { FIRST } else { units };
    let power = units.ilog2();
    let bucket = 4 * (power - FIRST.ilog2()) + (units >> (power - 2) & 3);
    if bucket < BUCKETS { bucket } else { BUCKETS - 1 }
}

/// Nanoseconds from which on a bucket counts. The first one has all that is below its end.
pub const fn lower_end(bucket: u32) -> u64 {
    if bucket == 0 { 0 } else { ((4 + bucket % 4) as u64) << (bucket / 4 + UNIT_BITS + FIRST.ilog2() - 2) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_time_is_in_its_bucket(nanoseconds in 0u64..1 << 40) {
            let found = bucket(units(nanoseconds));
            prop_assert!(found < BUCKETS);
            prop_assert!(nanoseconds >= lower_end(found));
            prop_assert!(found == BUCKETS - 1 || nanoseconds < lower_end(found + 1));
        }
    }

    #[test]
    fn buckets_are_a_quarter_wide_at_most() {
        assert_eq!([1, 2, 3, 4, 5].map(lower_end), [5120, 6144, 7168, 8192, 10240]);
        for bucket in 1..BUCKETS - 1 {
            assert!(lower_end(bucket + 1) * 4 <= lower_end(bucket) * 5, "{bucket}");
        }
        assert_eq!(lower_end(BUCKETS - 1), 7 << 29, "3.8 s");
    }

    #[test]
    fn times_are_right_when_units_begin_anew() {
        let (sent, came) = (units((1 << 40) - 1_000_000), units((1 << 40) + 1_000_000));
        assert!(came < sent);
        assert_eq!(bucket(came.wrapping_sub(sent)), bucket(units(2_000_000)));
        assert_eq!(bucket(u32::MAX), BUCKETS - 1);
    }
}
