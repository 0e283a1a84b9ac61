//! How things ended in the slow path: one list that is counter index, metric label and text.

use dproxy_common::reason::Reason as FastReason;

dproxy_common::reasons! {
    "What the slow path counts.":

    /// Query over UDP forwarded to a backend.
    UdpForwarded = "udp-forwarded",
    /// Reply over UDP sent to its client.
    UdpReplied = "udp-replied",
    /// Query over TCP forwarded to a backend.
    TcpForwarded = "tcp-forwarded",
    /// Reply over TCP sent to its client.
    TcpReplied = "tcp-replied",
    /// Zone transfer begun, on a backend connection of its own.
    TransferForwarded = "transfer-forwarded",
    /// Message of a zone transfer sent to its client.
    TransferReplied = "transfer-replied",

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
    /// Answered FORMERR: more than one question (RFC 9619), and the route an answer.
    AnsweredFormerr = "answered-formerr",
    /// Answered NOTIMP: DNS stateful operations (RFC 8490), which do not pass through a proxy.
    AnsweredNotimp = "answered-notimp",

    /// Answered SERVFAIL: no backend of the pool can be reached.
    ServfailUnreachable = "servfail-unreachable",
    /// Answered SERVFAIL: the backends asked did not reply in time.
    ServfailTimeout = "servfail-timeout",
    /// Answered SERVFAIL: the backends asked refused the query or broke the connection.
    ServfailBroken = "servfail-broken",
    /// Answered SERVFAIL before the backend's time was up: too many queries in flight, this one the oldest.
    ServfailOverload = "servfail-overload",

    /// Sent again, to another backend if there is one: no reply so far.
    RetriedTimeout = "retried-timeout",
    /// Sent to another backend: the first one cannot be reached, or refuses connections.
    RetriedUnreachable = "retried-unreachable",
    /// Sent again: a pooled connection to the backend broke.
    RetriedBroken = "retried-broken",

    /// Dropped: no backend of the pool can be used, and it says so for that case.
    PoolDownDrop = "pool-down-drop",
    /// Dropped: the route says so.
    RouteDrop = "route-drop",
    /// Dropped: too short for a DNS message.
    NotDns = "not-dns",
    /// Dropped: the question's name has a reserved label type or more than 255 octets.
    BadName = "bad-name",
    /// Dropped: the question ends in the middle of name, type or class.
    QuestionCut = "question-cut",
    /// Dropped: a response (QR=1) sent to a listener.
    UnexpectedResponse = "unexpected-response",
    /// Dropped: from port 0, where no response could go.
    BadSource = "bad-source",
    /// Reply dropped: to no query under way.
    ReplyUnknown = "reply-unknown",
    /// Reply dropped: its client has gone.
    ClientGone = "client-gone",
    /// Reply dropped: too many wait for its client, and others, to read them.
    ReplyNoRoom = "reply-no-room",
    /// Reply dropped: not a DNS response.
    ReplyNotDns = "reply-not-dns",
    /// Reply dropped: to another question than the one asked.
    ReplyWrongQuestion = "reply-wrong-question",
    /// The kernel did not take a datagram.
    SendFailed = "send-failed",

    /// TCP connection accepted.
    ConnectionAccepted = "connection-accepted",
    /// TCP connection closed at once: its client has too many.
    ConnectionClientLimit = "connection-client-limit",
    /// TCP connection closed at once: there are too many.
    ConnectionLimit = "connection-limit",
    /// TCP connection closed: nothing was asked for long.
    ConnectionIdle = "connection-idle",
    /// TCP connection closed: its client does not read what it asked for.
    ConnectionStalled = "connection-stalled",
    /// TCP connection closed: what came is not DNS.
    ConnectionNotDns = "connection-not-dns",
    /// TCP connection not accepted: no descriptor or memory is free.
    ConnectionNotAccepted = "connection-not-accepted",
    /// TCP connection closed: a backend broke off a zone transfer in the middle.
    TransferBroken = "transfer-broken",
    /// TCP connection to a backend opened.
    BackendConnected = "backend-connected",
    /// TCP connection to a backend failed.
    BackendConnectFailed = "backend-connect-failed",

    /// A broken invariant of dproxy's own.
    Internal = "internal",
}

impl Reason {
    /// What the packet path, which finds routes and backends for both paths, calls by another name.
    pub(super) const fn of_packet_path(reason: FastReason) -> Self {
        match reason {
            FastReason::AnsweredRefused => Self::AnsweredRefused,
            FastReason::AnsweredNxdomain => Self::AnsweredNxdomain,
            FastReason::AnsweredServfail => Self::AnsweredServfail,
            FastReason::AnsweredTruncate => Self::AnsweredTruncate,
            FastReason::AnsweredBadvers => Self::AnsweredBadvers,
            FastReason::NoRoute => Self::NoRoute,
            FastReason::RouteDrop => Self::RouteDrop,
            FastReason::NotDns => Self::NotDns,
            FastReason::BadName => Self::BadName,
            FastReason::QuestionCut => Self::QuestionCut,
            FastReason::UnexpectedResponse => Self::UnexpectedResponse,
            FastReason::BadSource => Self::BadSource,
            FastReason::BackendUnresolved => Self::ServfailUnreachable,
            // The rest is about frames, headers and slots, which there are none of here.
            FastReason::QueryForwarded
            | FastReason::ReplyForwarded
            | FastReason::QueryDelivered
            | FastReason::ReplyDelivered
            | FastReason::NotIp
            | FastReason::NotForListener
            | FastReason::Tcp
            | FastReason::Fragment
            | FastReason::IpOptions
            | FastReason::ExtensionHeader
            | FastReason::UdpSurplus
            | FastReason::Opcode
            | FastReason::QuestionCount
            | FastReason::HashCollision
            | FastReason::BackendSlowPath
            | FastReason::PoolSlowPath
            | FastReason::EdnsSize
            | FastReason::ChecksumAbsent
            | FastReason::NoRoom
            | FastReason::ReplyUnknown
            | FastReason::BadLength
            | FastReason::BadIpChecksum
            | FastReason::TtlExpired
            | FastReason::UdpChecksumZero
            | FastReason::ReplyDuplicate
            | FastReason::ReplyLate
            | FastReason::ReplyWrongBackend
            | FastReason::ReplyWrongInterface
            | FastReason::Internal => Self::Internal,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn labels_are_unique_and_in_counter_order() {
        let labels: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.label()).collect();
        assert_eq!(labels.len(), Reason::COUNT);
        for (index, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, index, "{reason:?}");
        }
    }

    #[test]
    fn what_both_paths_know_has_one_label() {
        for fast in FastReason::ALL {
            let slow = Reason::of_packet_path(fast);
            if slow != Reason::Internal && slow != Reason::ServfailUnreachable {
                assert_eq!(slow.label(), fast.label());
            }
        }
    }
}
