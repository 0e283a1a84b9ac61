//! Do packets that interfaces take in get to the fast path? Pure.
//!
//! The fast path counts what it sees over all interfaces together. So an interface is known to be cut off if as many
//! packets are missing as it has taken in.

use std::collections::BTreeMap;

/// Packets that an interface may take in without one being seen: some are taken off before XDP, or are no IP.
const UNSEEN: u64 = 500;
/// An interface with a smaller share than this one in so many of the packets says nothing: so many may be on their way.
const SHARE: u64 = 20;

/// What was counted so far.
#[derive(Debug, Default)]
pub(super) struct Packets {
    /// Packets that each interface took in, and that the program has seen.
    before: Option<(BTreeMap<String, u64>, u64)>,
    /// Packets that came in by each interface, and were not seen.
    unseen: BTreeMap<String, u64>,
}

impl Packets {
    /// Takes note of what interfaces took in and of what the program has seen; says what is wrong with that. Unless
    /// the numbers are exact, it is only if none has been seen at all.
    pub(super) fn note(&mut self, taken: BTreeMap<String, u64>, seen: u64, is_exact: bool) -> Vec<String> {
        if let Some((before, seen_before)) = &self.before {
            let new = |(name, packets): (&String, &u64)| {
                (name.clone(), before.get(name).map_or(0, |before| packets.saturating_sub(*before)))
            };
            let new: BTreeMap<String, u64> = taken.iter().map(new).collect();
            self.compare(&new, seen.saturating_sub(*seen_before), is_exact);
        }
        self.unseen.retain(|name, _| taken.contains_key(name));
        self.before = Some((taken, seen));
        let cut_off = self.unseen.iter().filter(|(_, packets)| **packets > UNSEEN);
        cut_off
            .map(|(name, _)| format!("the fast path sees nothing of what interface {name} takes in"))
            .collect()
    }

    fn compare(&mut self, new: &BTreeMap<String, u64>, seen: u64, is_exact: bool) {
        let all: u64 = new.values().sum();
        let missing = if is_exact || seen == 0 { all.saturating_sub(seen) } else { 0 };
        for (name, packets) in new.iter().filter(|(_, packets)| **packets > 0) {
            let is_cut_off = missing >= *packets;
            // With few packets, neither is known.
            if is_cut_off && packets * SHARE < all {
                continue;
            }
            let unseen = self.unseen.entry(name.clone()).or_default();
            *unseen = if is_cut_off { *unseen + packets } else { 0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Lab {
        packets: Packets,
        taken: BTreeMap<String, u64>,
        seen: u64,
    }

    impl Lab {
        fn new() -> Self {
            let mut lab = Self { packets: Packets::default(), taken: BTreeMap::new(), seen: 7 };
            assert_eq!(lab.next([1000, 1000], 900, true), [""; 0], "nothing is known before");
            lab
        }

        /// So many packets come by each interface, and so many are seen.
        fn next(&mut self, new: [u64; 2], seen: u64, is_exact: bool) -> Vec<String> {
            for (name, new) in ["eth0", "eth1"].into_iter().zip(new) {
                *self.taken.entry(name.to_owned()).or_default() += new;
            }
            self.seen += seen;
            self.packets.note(self.taken.clone(), self.seen, is_exact)
        }
    }

    const SAYS: [&str; 2] = [
        "the fast path sees nothing of what interface eth0 takes in",
        "the fast path sees nothing of what interface eth1 takes in",
    ];

    #[test]
    fn packets_that_nobody_sees_are_a_fault_until_one_is_seen() {
        let mut lab = Lab::new();
        assert_eq!(lab.next([400, 0], 0, false), [""; 0], "few may be something else");
        assert_eq!(lab.next([0, 0], 0, false), [""; 0]);
        assert_eq!(lab.next([101, 0], 0, false), SAYS[..1]);
        assert_eq!(lab.next([0, 0], 0, false), SAYS[..1], "it is not over because nothing comes");
        assert_eq!(lab.next([1, 0], 1, false), [""; 0]);
    }

    #[test]
    fn one_interface_that_is_cut_off_is_found_beside_one_that_is_not() {
        let mut lab = Lab::new();
        assert_eq!(lab.next([10_000, 3_000], 12_995, true), [""; 0]);
        assert_eq!(lab.next([10_000, 3_000], 10_000, true), SAYS[1..]);
        assert_eq!(lab.next([10_000, 3_000], 12_990, true), [""; 0]);
        for _ in 0..9 {
            assert_eq!(lab.next([100_000, 60], 99_950, true), [""; 0], "so many may be on their way");
            assert_eq!(lab.next([900, 900], 100, false), [""; 0], "the stack has joined them");
        }
    }
}
