//! The addresses that forwarded queries come from.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use dproxy_common::abi::NextHop;

use crate::network::Resolution;

/// How long replies are taken to an address that queries do not come from any more: longer than any
/// resolver waits.
const LINGER: Duration = Duration::from_secs(30);

/// Addresses of ours, and when each was last in use.
#[derive(Debug, Default)]
pub(super) struct Sources(BTreeMap<IpAddr, Instant>);

impl Sources {
    /// Notes which are in use.
    pub(super) fn note<'r>(&mut self, resolutions: impl IntoIterator<Item = &'r Resolution>, now: Instant) {
        for resolution in resolutions {
            match resolution {
                Resolution::Reachable(hop) => {
                    self.0.insert(hop.source.into(), now);
                }
                Resolution::Unreachable(_) => {}
            }
        }
        self.0.retain(|_, used| now.duration_since(*used) < LINGER);
    }

    /// Notes which were in use before this process began.
    pub(super) fn inherit<'h>(&mut self, hops: impl IntoIterator<Item = &'h NextHop>, now: Instant) {
        self.0.extend(hops.into_iter().map(|hop| (hop.source.into(), now)));
    }

    /// Those to which replies may come.
    pub(super) fn all(&self) -> BTreeSet<IpAddr> {
        self.0.keys().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_stays_for_the_replies_under_way() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let by = |text: &str| {
            [Resolution::Reachable(NextHop { source: address(text).into(), ..NextHop::default() })]
        };
        let (start, mut sources) = (Instant::now(), Sources::default());
        sources.note(&by("192.0.2.1"), start);
        sources.note(&by("192.0.2.2"), start + LINGER / 2);
        assert_eq!(sources.all(), BTreeSet::from(["192.0.2.1", "192.0.2.2"].map(address)));
        sources.note(&by("192.0.2.2"), start + LINGER);
        assert_eq!(sources.all(), BTreeSet::from([address("192.0.2.2")]));
    }
}
