//! How a question comes to its answer, and what dproxy must count for it.

use std::collections::BTreeMap;

use dproxy_common::reason::Reason;

use crate::internet::Host;

/// The ways there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    /// The XDP program answers, for this reason.
    Answered(Reason),
    /// The XDP program sends the query to another host, and the reply back.
    Forwarded,
    /// The XDP program hands the query to a server on this host, the TC program sends the reply on.
    Delivered,
    /// The slow path, for this reason: what the fast path does not carry.
    Slow(&'static str),
}

/// Packets with one reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) packets: u64,
    /// There may be more.
    pub(crate) at_least: bool,
}

/// Packets that dproxy must have counted, by the reason's label.
pub(crate) type Expectation = BTreeMap<&'static str, Expected>;

/// What the tour moves, in the order in which the proof shows it, and what it means.
pub(crate) const SHOWN: [(&str, &str); 8] = [
    (FORWARDED[0], "one for each question to a server on another host"),
    (FORWARDED[1], "and as many the other way"),
    (DELIVERED[0], "one for each question to a server beside dproxy"),
    (DELIVERED[1], "and as many the other way"),
    (Reason::AnsweredNxdomain.label(), "blocked.test, answered in the kernel"),
    (Reason::AnsweredRefused.label(), "private.test, answered in the kernel"),
    (SLOW_BACKEND, "IPv6 clients of local IPv4 servers: the slow path"),
    (TCP, "packets of clients' TCP connections: the slow path"),
];

const FORWARDED: [&str; 2] = [Reason::QueryForwarded.label(), Reason::ReplyForwarded.label()];
const DELIVERED: [&str; 2] = ["query-delivered", "reply-delivered"];
const SLOW_BACKEND: &str = "backend-slow-path";
const TCP: &str = Reason::Tcp.label();
/// SYN, ACK, and a query; what else there is depends on when whom is acknowledged.
const TCP_PACKETS: u64 = 3;

impl Path {
    /// The way of a question to a server on `host`; whether server and client speak the same version of IP.
    pub(crate) fn to(host: Host, same_family: bool, tcp: bool) -> Self {
        match host {
            _ if tcp => Self::Slow(TCP),
            Host::Backend(_) => Self::Forwarded,
            Host::Balancer if same_family => Self::Delivered,
            // Who rewrites no more than the destination cannot change the version of IP.
            Host::Balancer => Self::Slow(SLOW_BACKEND),
        }
    }

    /// Adds what one question moves.
    pub(crate) fn add_to(self, expectation: &mut Expectation) {
        let mut add = |label, packets, at_least| {
            let expected = expectation.entry(label).or_default();
            *expected = Expected { packets: expected.packets + packets, at_least };
        };
        match self {
            Self::Answered(reason) => add(reason.label(), 1, false),
            Self::Forwarded => FORWARDED.into_iter().for_each(|label| add(label, 1, false)),
            Self::Delivered => DELIVERED.into_iter().for_each(|label| add(label, 1, false)),
            Self::Slow(TCP) => add(TCP, TCP_PACKETS, true),
            Self::Slow(label) => add(label, 1, false),
        }
    }
}

impl Expected {
    pub(crate) fn is_met_by(self, packets: u64) -> bool {
        packets == self.packets || self.at_least && packets > self.packets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_moves_counters_of_its_own() {
        let remote = Host::Backend(1);
        for (host, same_family, tcp, expected) in [
            (remote, true, false, &["query-forwarded 1", "reply-forwarded 1"][..]),
            (remote, false, false, &["query-forwarded 1", "reply-forwarded 1"]),
            (Host::Balancer, true, false, &["query-delivered 1", "reply-delivered 1"]),
            (Host::Balancer, false, false, &["backend-slow-path 1"]),
            (remote, true, true, &["tcp 3 or more"]),
            (Host::Balancer, false, true, &["tcp 3 or more"]),
        ] {
            let mut expectation = Expectation::new();
            Path::to(host, same_family, tcp).add_to(&mut expectation);
            let shown = expectation.iter().map(|(label, Expected { packets, at_least })| {
                format!("{label} {packets}{}", if *at_least { " or more" } else { "" })
            });
            assert_eq!(shown.collect::<Vec<_>>(), expected, "{host}, {same_family}, {tcp}");
        }
    }
}
