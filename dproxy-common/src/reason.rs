//! Why a packet ended as it did: one list that is error code, counter index, metric label and text.

/// What happens to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Goes on to the kernel's network stack, untouched.
    Pass,
    /// Rewritten where it is, and left to the kernel's network stack.
    Deliver,
    /// Rewritten and sent on.
    Forward,
    /// Rewritten into a response and sent back.
    Answer,
    /// Ends here.
    Drop,
    /// Ends here, and the kernel traces it: a broken invariant of dproxy's own.
    Abort,
}

impl Verdict {
    /// The word for it in statistics, in `explain` and in the log.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Deliver => "deliver",
            Self::Forward => "forward",
            Self::Answer => "answer",
            Self::Drop => "drop",
            Self::Abort => "abort",
        }
    }
}

/// Declares a `Reason`: error code, counter index, metric label and text in one.
#[macro_export]
macro_rules! reasons {
    ($about:literal: $($(#[doc = $doc:literal])+ $name:ident = $label:literal,)+) => {
        #[doc = $about]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u32)]
        pub enum Reason { $($(#[doc = $doc])+ $name),+ }

        impl Reason {
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// All of them, in the order of their counters.
            pub const ALL: [Self; [$(Self::$name),+].len()] = [$(Self::$name),+];

            /// The label in metrics, statistics and `explain`.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$name => $label),+ }
            }

            /// One sentence for people.
            pub const fn description(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+)),+ }
            }
        }
    };
}

reasons! {
    "Why a packet ended as it did. Every packet ends with exactly one.":

    /// Query forwarded to a backend.
    QueryForwarded = "query-forwarded",
    /// Reply forwarded to its client.
    ReplyForwarded = "reply-forwarded",
    /// Query handed to a backend on this host.
    QueryDelivered = "query-delivered",
    /// Reply of a backend on this host, sent on as its listener's.
    ReplyDelivered = "reply-delivered",
    /// Answered REFUSED: the route says so.
    AnsweredRefused = "answered-refused",
    /// Answered NXDOMAIN: the route says so.
    AnsweredNxdomain = "answered-nxdomain",
    /// Answered SERVFAIL: the route says so.
    AnsweredServfail = "answered-servfail",
    /// Answered TC=1: the route says so.
    AnsweredTruncate = "answered-truncate",
    /// Answered BADVERS: the query has an EDNS version other than 0, and the route an answer.
    AnsweredBadvers = "answered-badvers",
    /// Answered REFUSED: no route matches and there is no default.
    NoRoute = "no-route",

    /// Neither IPv4 nor IPv6, or behind more than two VLAN tags.
    NotIp = "not-ip",
    /// Not for a listener.
    NotForListener = "not-for-listener",
    /// TCP to a listener.
    Tcp = "tcp",
    /// A fragment to a listener's address.
    Fragment = "fragment",
    /// IPv4 options.
    IpOptions = "ip-options",
    /// IPv6 extension header to a listener's address.
    ExtensionHeader = "extension-header",
    /// The IP payload goes on behind the UDP datagram (UDP options, RFC 9868).
    UdpSurplus = "udp-surplus",
    /// Opcode other than QUERY.
    Opcode = "opcode",
    /// Not exactly one question.
    QuestionCount = "question-count",
    /// The name's hashes collide with those of several routes.
    HashCollision = "hash-collision",
    /// No backend of the pool can be reached by the fast path.
    BackendUnresolved = "backend-unresolved",
    /// The backend chosen is reached through the slow path.
    BackendSlowPath = "backend-slow-path",
    /// All queries of the pool go through the slow path.
    PoolSlowPath = "pool-slow-path",
    /// Announces a UDP size whose replies may come in fragments.
    EdnsSize = "edns-size",
    /// No UDP checksum, and the backend is of the other IP version, which needs one.
    ChecksumAbsent = "checksum-absent",
    /// The driver left no room to change the length of the headers.
    NoRoom = "no-room",
    /// A packet to the NAT range that belongs to no query of ours.
    ReplyUnknown = "reply-unknown",

    /// Dropped: the route says so.
    RouteDrop = "route-drop",
    /// A length field disagrees with the packet.
    BadLength = "bad-length",
    /// Wrong IPv4 header checksum.
    BadIpChecksum = "bad-ip-checksum",
    /// Time to live or hop limit used up.
    TtlExpired = "ttl-expired",
    /// IPv6 without a UDP checksum (RFC 8200 §8.1).
    UdpChecksumZero = "udp-checksum-zero",
    /// A source that no response could reach: port 0, loopback, multicast, broadcast, or the listener itself.
    BadSource = "bad-source",
    /// Too short for a DNS message with a question.
    NotDns = "not-dns",
    /// The question's name has a reserved label type or more than 255 octets.
    BadName = "bad-name",
    /// The question ends in the middle of name, type or class.
    QuestionCut = "question-cut",
    /// A response (QR=1) sent to a listener.
    UnexpectedResponse = "unexpected-response",
    /// A further reply to a query that has been replied to.
    ReplyDuplicate = "reply-duplicate",
    /// A reply so late that its client has long given up.
    ReplyLate = "reply-late",
    /// Port and ID of a query under way, but not from its backend.
    ReplyWrongBackend = "reply-wrong-backend",
    /// Port and ID of a query under way, but from another interface.
    ReplyWrongInterface = "reply-wrong-interface",

    /// A table entry that must exist does not, or a write that must succeed failed.
    Internal = "internal",
}

impl Reason {
    /// The table of what happens to what.
    ///
    /// What is not ours, and what the fast path leaves to the slow path, passes untouched; what
    /// cannot be a query, or is a reply that nobody waits for, is dropped.
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::QueryForwarded | Self::ReplyForwarded => Verdict::Forward,

            Self::QueryDelivered | Self::ReplyDelivered => Verdict::Deliver,

            Self::AnsweredRefused
            | Self::AnsweredNxdomain
            | Self::AnsweredServfail
            | Self::AnsweredTruncate
            | Self::AnsweredBadvers
            | Self::NoRoute => Verdict::Answer,

            // Not ours.
            Self::NotIp | Self::NotForListener | Self::ReplyUnknown => Verdict::Pass,

            // For the slow path.
            Self::Tcp
            | Self::Fragment
            | Self::IpOptions
            | Self::ExtensionHeader
            | Self::UdpSurplus
            | Self::Opcode
            | Self::QuestionCount
            | Self::HashCollision
            | Self::BackendUnresolved
            | Self::BackendSlowPath
            | Self::PoolSlowPath
            | Self::EdnsSize
            | Self::ChecksumAbsent
            | Self::NoRoom => Verdict::Pass,

            Self::RouteDrop
            | Self::BadLength
            | Self::BadIpChecksum
            | Self::TtlExpired
            | Self::UdpChecksumZero
            | Self::BadSource
            | Self::NotDns
            | Self::BadName
            | Self::QuestionCut
            | Self::UnexpectedResponse
            | Self::ReplyDuplicate
            | Self::ReplyLate
            | Self::ReplyWrongBackend
            | Self::ReplyWrongInterface => Verdict::Drop,

            Self::Internal => Verdict::Abort,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn labels_are_unique_and_in_counter_order() {
        let labels: BTreeSet<_> = Reason::ALL.iter().map(|r| r.label()).collect();
        assert_eq!(labels.len(), Reason::COUNT);
        for (index, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, index, "{reason:?}");
        }
    }
}
