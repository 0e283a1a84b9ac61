//! Why a check failed and why a member is down, in words for people.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::config::{Rcode, Transport, listed};

/// Why a check failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No reply in time.
    Timeout(Transport, Duration),
    /// Nobody listens there: ICMP says so, or a reset.
    Closed(Transport),
    /// The kernel has no way there, or a router says so.
    NoWay(Transport, String),
    /// The TCP connection ended without a reply.
    Broken,
    /// What came is no response to the query.
    NoResponse(Transport),
    /// Another response code than those expected.
    Rcode {
        /// How it was asked.
        transport: Transport,
        /// The code that came.
        got: u16,
        /// Those that were expected.
        expected: Vec<Rcode>,
    },
    /// The answer lacks the data expected.
    Answer {
        /// What was expected.
        expected: String,
        /// What there was.
        got: Vec<String>,
    },
    /// There is no SOA record in the answer, and so no serial.
    NoSerial,
    /// The zone is older than that of others.
    Lag {
        /// Its serial.
        serial: u32,
        /// The highest one of the pool.
        highest: u32,
    },
}

/// Why a member is down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Checks failed; the last of them so.
    Check(Failure),
    /// Real queries got no reply.
    Silent {
        /// So many were sent since the last reply.
        queries: u64,
        /// So long ago that was.
        time: Duration,
    },
    /// Many real queries got no reply, unlike those to other members.
    Lossy {
        /// The share answered, in percent.
        answered: u64,
        /// The same of the others.
        others: u64,
    },
    /// Many replies to real queries are SERVFAIL or REFUSED, unlike those of other members.
    Failing {
        /// Their share, in percent.
        failing: u64,
        /// The same of the others.
        others: u64,
    },
    /// It was down when the daemon ended.
    Before(String),
}

impl Cause {
    /// Did real queries get no reply?
    pub const fn is_silence(&self) -> bool {
        matches!(self, Self::Silent { .. })
    }
}

fn upper(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "UDP",
        Transport::Tcp => "TCP",
    }
}

/// The name of a response code, as people write it.
fn rcode(code: u16) -> String {
    let known = [
        Rcode::Noerror,
        Rcode::Formerr,
        Rcode::Servfail,
        Rcode::Nxdomain,
        Rcode::Notimp,
        Rcode::Refused,
        Rcode::Notauth,
    ];
    let found = known.into_iter().find(|known| known.number() == code);
    found.map_or_else(|| format!("response code {code}"), |known| known.word().to_uppercase())
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout(transport, time) => {
                write!(f, "no reply over {} within {} ms", upper(*transport), time.as_millis())
            }
            Self::Closed(transport) => write!(f, "nobody listens on its port ({})", upper(*transport)),
            Self::NoWay(transport, why) => write!(f, "cannot be reached over {}: {why}", upper(*transport)),
            Self::Broken => f.write_str("ended the TCP connection without a reply"),
            Self::NoResponse(transport) => {
                write!(f, "what it sends over {} is no response to the query", upper(*transport))
            }
            Self::Rcode { transport, got, expected } => {
                let expected: Vec<String> = expected.iter().map(|code| rcode(code.number())).collect();
                let (got, over) = (rcode(*got), upper(*transport));
                write!(f, "answers {got} over {over} instead of {}", expected.join(" or "))
            }
            Self::Answer { expected, got } if got.is_empty() => {
                write!(f, "answers with no record instead of {expected}")
            }
            Self::Answer { expected, got } => {
                write!(f, "answers {} instead of {expected}", listed(got.iter().map(String::as_str)))
            }
            Self::NoSerial => f.write_str("answers without an SOA record, so that its serial is not known"),
            Self::Lag { serial, highest } => {
                let lag = highest.wrapping_sub(*serial);
                write!(f, "has serial {serial}, {lag} behind the pool's highest, {highest}")
            }
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Check(failure) => write!(f, "{failure}"),
            Self::Silent { queries, time } => {
                write!(f, "no reply to the last {queries} queries, for {} ms", time.as_millis())
            }
            Self::Lossy { answered, others } => {
                write!(f, "answers {answered} % of its queries, while the others answer {others} %")
            }
            Self::Failing { failing, others } => {
                write!(f, "{failing} % of its replies are SERVFAIL or REFUSED, {others} % of the others'")
            }
            Self::Before(why) => write!(f, "as before the restart: {why}"),
        }
    }
}

/// Something of this host's, and not of the backend's, kept a check from being made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Void {
    /// The kernel refused something.
    #[error("this host cannot ask: {0}")]
    Local(String),
    /// Queries come from this address, which is not this host's any more.
    #[error("this host has no address {0} any more, which queries come from")]
    Source(IpAddr),
    /// This process did not run when the reply may have come.
    #[error("this daemon did not run for a while")]
    Stalled,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let texts: [(Cause, &str); 6] = [
            (
                Cause::Check(Failure::Timeout(Transport::Udp, Duration::from_millis(200))),
                "no reply over UDP within 200 ms",
            ),
            (
                Cause::Check(Failure::Rcode {
                    transport: Transport::Tcp,
                    got: 2,
                    expected: vec![Rcode::Noerror, Rcode::Nxdomain],
                }),
                "answers SERVFAIL over TCP instead of NOERROR or NXDOMAIN",
            ),
            (
                Cause::Check(Failure::Lag { serial: u32::MAX, highest: 4 }),
                "has serial 4294967295, 5 behind the pool's highest, 4",
            ),
            (
                Cause::Check(Failure::Answer { expected: "a".into(), got: vec!["b".into(), "c".into()] }),
                "answers b, c instead of a",
            ),
            (
                Cause::Silent { queries: 34, time: Duration::from_millis(250) },
                "no reply to the last 34 queries, for 250 ms",
            ),
            (Cause::Before("x".to_owned()), "as before the restart: x"),
        ];
        for (cause, text) in texts {
            assert_eq!(cause.to_string(), text);
        }
        assert_eq!(rcode(23), "response code 23");
    }
}
