//! Which way the queries took, as dproxy counted.

use std::fmt;

use dproxy_common::reason::Reason;
use dproxy_lab::Balancer;
use dproxy_userspace::slow_path;

use crate::net::Counters;

/// What dproxy counted.
pub struct Evidence(Counters);

impl Evidence {
    /// So far: on the fast path since its schema changed last, on the slow path since this process began.
    pub fn so_far(balancer: &Balancer) -> Self {
        Self(Counters::read(balancer))
    }

    /// From there until now.
    pub fn end(&self, balancer: &Balancer) -> Self {
        Self(Counters::read(balancer).since(&self.0))
    }

    /// Queries that the slow path forwarded.
    pub(super) fn slow_queries(&self) -> u64 {
        self.0.slow(slow_path::Reason::UdpForwarded)
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_noise = |reason: &Reason| matches!(reason, Reason::NotIp | Reason::NotForListener);
        let fast = Reason::ALL.into_iter().filter(|reason| !is_noise(reason));
        let fast = fast.map(|reason| (reason.label(), self.0.of(reason)));
        let slow = slow_path::Reason::ALL.into_iter();
        let slow = slow.map(|reason| (reason.label(), self.0.slow(reason)));
        let list = |counts: &mut dyn Iterator<Item = (&'static str, u64)>| {
            let counted = counts.filter(|(_, count)| *count > 0);
            let counted: Vec<String> = counted.map(|(label, count)| format!("{count} {label}")).collect();
            if counted.is_empty() { "nothing".to_owned() } else { counted.join(", ") }
        };
        let (fast, slow) = (list(&mut { fast }), list(&mut { slow }));
        write!(f, "dproxy counted: on the fast path {fast}; on the slow path {slow}; ")?;
        write!(f, "{} slots taken from queries under way", self.0.overwritten())
    }
}
