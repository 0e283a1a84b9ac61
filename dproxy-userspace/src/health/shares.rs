//! How much of its queries is withheld from a member that gets some: from who has just come up, who is slow, and who has
//! more than its bound. Pure.

use std::time::Duration;

/// What a member that has just come up gets of its share at first.
const BEGINNING: f64 = 0.1;
/// What the slowest keeps of its share: enough to see when it is fast again.
const SLOWEST: f64 = 1.0 / 32.0;
/// Differences much below this are none to a client.
const INDIFFERENT: f64 = 0.001;
/// What a lost query costs its client, in seconds: it asks again.
const LOST: f64 = 1.0;
/// Losses that are no loss: queries under way come and go.
const USUAL_LOSS: f64 = 0.05;
/// By so much the part of who is within its bound grows at most from one time to the next.
const GROWTH: f64 = 1.25;
/// Parts are told in so many steps: what differs by less is the same.
const STEPS: f64 = 128.0;

/// How a member fares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// Its weight.
    pub weight: u16,
    /// How long ago it came up, having been down.
    pub up_for: Option<Duration>,
    /// How long it takes to reply, of late.
    pub latency: Option<Duration>,
    /// The share of its queries that are not answered, of late.
    pub loss: f64,
    /// Queries that it got, of late.
    pub queries: u64,
    /// What it keeps of its queries for the sake of its bound, 0 to 1.
    pub bounded: f64,
}

/// What a pool wants of its members.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Wanted {
    /// How long who comes up takes until it gets its whole share.
    pub slow_start: Option<Duration>,
    /// Do those that reply faster get more?
    pub by_latency: bool,
    /// The most that one gets, in percent of its share.
    pub bounded_load: Option<u16>,
}

/// Whether a member gets queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// It does, but for so many of 65,536.
    Open {
        /// Those that go to others.
        withheld: u16,
    },
    /// It does not.
    Shut,
}

impl Share {
    /// All of its queries.
    pub const WHOLE: Self = Self::Open { withheld: 0 };
}

/// Queries without which nobody has too many.
const FEW: u64 = 50;

/// What each member keeps of its queries for the sake of its bound, from now on. Who has too many gives away so much that
/// its bound is met; who has less takes back.
///
/// Who has just come up has a smaller weight as long as `slow_start` lasts: else others would give it what is withheld.
pub fn bound(members: &[Standing], percent: u16, slow_start: Option<Duration>) -> Vec<f64> {
    let queries: u64 = members.iter().map(|member| member.queries).sum();
    let weight = |member: &Standing| f64::from(member.weight) * since_up(member, slow_start);
    let weights: f64 = members.iter().map(weight).sum();
    let bound = |member: &Standing| {
        let most = queries as f64 * weight(member) / weights.max(BEGINNING) * f64::from(percent) / 100.0;
        let factor = match member.queries {
            _ if queries < FEW => GROWTH,
            0 => GROWTH,
            got => (most / got as f64).min(GROWTH),
        };
        (member.bounded * factor).clamp(1.0 / STEPS, 1.0)
    };
    members.iter().map(bound).collect()
}

/// What a member gets of its share for the sake of `slow_start`.
fn since_up(member: &Standing, slow_start: Option<Duration>) -> f64 {
    let Some((whole, up_for)) = slow_start.zip(member.up_for) else { return 1.0 };
    let time = up_for.as_secs_f64() / whole.as_secs_f64().max(0.001);
    (BEGINNING + (1.0 - BEGINNING) * time).min(1.0)
}

/// What is withheld from each member, of 65,536 queries: 0 from at least one, unless all have more than their bound.
pub fn withheld(members: &[Standing], wanted: Wanted) -> Vec<u16> {
    let cost = |member: &Standing| {
        let lost = (member.loss - USUAL_LOSS).max(0.0) * LOST;
        let latency = member.latency.map(|latency| latency.as_secs_f64());
        // Who loses queries may have no reply that could be timed.
        latency.or((lost > 0.0).then_some(0.0)).map(|latency| latency + lost + INDIFFERENT)
    };
    let least = members.iter().filter_map(cost).fold(f64::INFINITY, f64::min);
    let part = |member: &Standing| {
        let by_latency = match cost(member).filter(|_| wanted.by_latency) {
            Some(cost) => (least / cost).powi(2).clamp(SLOWEST, 1.0),
            None => 1.0,
        };
        since_up(member, wanted.slow_start) * by_latency
    };
    let parts: Vec<f64> = members.iter().map(part).collect();
    // Who has most gets all: what is withheld from everybody is no use to anybody.
    let most = parts.iter().copied().fold(0.0, f64::max);
    let bounded = |member: &Standing| wanted.bounded_load.map_or(1.0, |_| member.bounded);
    let kept = parts.iter().zip(members).map(|(part, member)| part / most * bounded(member));
    kept.map(|kept| (((1.0 - kept) * STEPS).round() / STEPS * 65536.0).min(65535.0) as u16).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MEMBER: Standing =
        Standing { weight: 1, up_for: None, latency: None, loss: 0.0, queries: 0, bounded: 1.0 };
    const BY_LATENCY: Wanted = Wanted { slow_start: None, by_latency: true, bounded_load: None };

    fn taking(milliseconds: u64) -> Standing {
        Standing { latency: Some(Duration::from_millis(milliseconds)), ..MEMBER }
    }

    #[test]
    fn who_comes_up_gets_a_tenth_and_then_more() {
        let wanted = Wanted { slow_start: Some(Duration::from_secs(10)), ..Wanted::default() };
        let kept = |seconds: u64| {
            let up = Standing { up_for: Some(Duration::from_secs(seconds)), ..MEMBER };
            let withheld = withheld(&[MEMBER, up], wanted);
            assert_eq!(withheld[0], 0);
            1.0 - f64::from(withheld[1]) / 65536.0
        };
        assert!((kept(0) - 0.1).abs() < 0.01 && (kept(5) - 0.55).abs() < 0.01, "{} {}", kept(0), kept(5));
        assert_eq!([kept(10), kept(3600)], [1.0, 1.0]);
        let all = [Standing { up_for: Some(Duration::ZERO), ..MEMBER }; 3];
        assert_eq!(withheld(&all, wanted), [0; 3], "with nobody else, all get all");
        assert_eq!(withheld(&all[..2], Wanted::default()), [0; 2], "only if it is wanted");
    }

    #[test]
    fn twenty_milliseconds_more_are_less_than_a_third() {
        for fast in [0, 1, 5, 20] {
            let withheld = withheld(&[taking(fast), taking(fast + 20), taking(fast)], BY_LATENCY);
            let kept = 1.0 - f64::from(withheld[1]) / 65536.0;
            assert!(withheld[0] == 0 && kept < 1.0 / 3.0, "{fast} ms: {kept}");
            assert!(kept > 0.01, "it is asked all the same, or nobody would see when it is fast again");
        }
        let micros = |micros| Standing { latency: Some(Duration::from_micros(micros)), ..MEMBER };
        let near = withheld(&[micros(80), micros(120)], BY_LATENCY);
        assert!(near[1] < 8000, "nobody notices: {near:?}");
        assert_eq!(withheld(&[MEMBER, taking(5)], BY_LATENCY), [0, 0], "of the other nothing is known");
    }

    #[test]
    fn losses_cost_as_asking_again_does() {
        let lossy = Standing { loss: 0.2, ..taking(1) };
        let silent = withheld(&[taking(1), Standing { loss: 1.0, ..MEMBER }], BY_LATENCY);
        assert!(silent[0] == 0 && silent[1] > 60_000, "nothing of it was ever timed: {silent:?}");
        let withheld = withheld(&[taking(1), lossy, Standing { loss: 0.04, ..taking(1) }], BY_LATENCY);
        assert!(withheld[0] == 0 && withheld[1] > 60_000 && withheld[2] == 0, "{withheld:?}");
    }

    #[test]
    fn a_hot_name_is_bounded_and_no_more_than_that() {
        // One name is three quarters of all queries; what its backend gives away goes to the next one.
        let mut parts = [1.0; 4];
        let mut hottest = 0.0;
        for _ in 0..60 {
            let own = [800.0, 70.0, 70.0, 60.0];
            let given: f64 = own.iter().zip(&parts).map(|(own, part)| own * (1.0 - part)).sum();
            let got = |index: usize| own[index] * parts[index] + if index == 1 { given } else { 0.0 };
            hottest = got(0);
            let members: Vec<Standing> = (0..4)
                .map(|index| Standing { queries: got(index) as u64, bounded: parts[index], ..MEMBER })
                .collect();
            parts.copy_from_slice(&bound(&members, 150, None));
        }
        assert!((300.0..450.0).contains(&hottest), "{hottest} of 1000, with a bound of 375");
        let calm = [Standing { queries: 100, bounded: 0.2, ..MEMBER }; 3];
        assert_eq!(bound(&calm, 125, None), [0.25; 3], "who is within its bound takes back");
        // Nine tenths of the queries are what is due while the other one is at a tenth.
        let rising = [
            Standing { queries: 900, ..MEMBER },
            Standing { queries: 100, up_for: Some(Duration::ZERO), ..MEMBER },
        ];
        assert_eq!(bound(&rising, 125, Some(Duration::from_secs(60))), [1.0, 1.0]);
        let few = [Standing { queries: 40, ..MEMBER }, MEMBER];
        assert_eq!(bound(&few, 101, None), [1.0, 1.0]);
    }

    proptest! {
        #[test]
        fn somebody_has_all_of_its_share(
            members in proptest::collection::vec(
                (0u16..=1000, proptest::option::of(0u64..7200), proptest::option::of(0u64..100_000), 0.0f64..=1.0),
                1..20,
            ),
            slow_start in proptest::option::of(1u64..3600),
            by_latency: bool,
        ) {
            let standing = |(weight, up_for, latency, loss): &(u16, Option<u64>, Option<u64>, f64)| Standing {
                weight: *weight,
                up_for: up_for.map(Duration::from_secs),
                latency: latency.map(Duration::from_millis),
                loss: *loss,
                ..MEMBER
            };
            let members: Vec<Standing> = members.iter().map(standing).collect();
            let wanted = Wanted { slow_start: slow_start.map(Duration::from_secs), by_latency, bounded_load: None };
            let withheld = withheld(&members, wanted);
            prop_assert_eq!(withheld.len(), members.len());
            prop_assert!(withheld.contains(&0), "{:?}", withheld);
        }

        #[test]
        fn bounds_are_numbers(
            queries in proptest::collection::vec((0u64..1 << 40, 0u16..=1000, 0.0f64..=1.0), 0..10),
            percent in 101u16..=1000,
        ) {
            let standing = |(queries, weight, bounded): &(u64, u16, f64)| {
                Standing { queries: *queries, weight: *weight, bounded: *bounded, ..MEMBER }
            };
            let members: Vec<Standing> = queries.iter().map(standing).collect();
            prop_assert!(bound(&members, percent, Some(Duration::from_secs(60))).iter().all(|part| (0.0..=1.0).contains(part)));
        }
    }
}
