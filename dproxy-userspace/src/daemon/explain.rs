//! Asks what would become of a query: the loaded program, and the slow path's own code.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{IpAddr, SocketAddr};

use dproxy_common::abi::Subject;
use dproxy_common::reason::{Reason, Verdict};

use super::view::route_view;
use super::{Engine, RecordType};
use crate::api::{ApiError, Code, Explanation, Path};
use crate::config::{HashInput, Name, Pattern, matching};
use crate::datapath::{dns_message, query_frame};
use crate::slow_path::{self, Asked, Decider, Decision};

/// Clients to ask for when none is given: of the addresses for documentation (RFC 5737, RFC 3849), two
/// each, because one may be in use as the listener.
const EXAMPLES: [IpAddr; 4] = [
    IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)),
    IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 1)),
    IpAddr::V6(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
    IpAddr::V6(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2)),
];
/// A port that clients use.
pub(crate) const EXAMPLE_PORT: u16 = 50000;

/// A query to explain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The name asked for.
    pub name: Name,
    /// The type asked for.
    pub record_type: RecordType,
    /// The client; any, if none is given.
    pub from: Option<SocketAddr>,
    /// The listener asked; the first of the client's IP version, if none is given.
    pub listener: Option<SocketAddr>,
}

/// A query that nobody has sent.
struct Query<'q> {
    question: &'q Question,
    from: SocketAddr,
    listener: SocketAddr,
    frame: Vec<u8>,
}

/// What becomes of a query.
struct Decided {
    /// Why it does not take the fast path, if it does not.
    left: Option<String>,
    verdict: Verdict,
    reason: &'static str,
    description: &'static str,
    subject: Subject,
}

impl Engine {
    /// What would become of a query. Nothing is changed or counted.
    ///
    /// The loaded program is asked; what that leaves to the slow path, or never sees, the slow path.
    pub fn explain(&self, question: &Question) -> Result<Explanation, ApiError> {
        let (from, listener) = self.ends(question)?;
        let frame = query_frame(from, listener, question.name.wire(), question.record_type.0)?;
        let query = Query { question, from, listener, frame };
        let decided = match self.fast_path_decides(&query)? {
            Ok(decided) => decided,
            Err(left) => self.slow_path_decides(&query, left)?,
        };
        Ok(self.explanation(&query, decided))
    }

    /// What the fast path does, or why it leaves the query to the slow path.
    fn fast_path_decides(&self, query: &Query<'_>) -> Result<Result<Decided, String>, ApiError> {
        if let Some(why) = self.datapath.absence() {
            return Ok(Err(format!("it is off ({why})")));
        }
        if query.from.ip().is_loopback() || query.listener.ip().is_loopback() {
            return Ok(Err("XDP sees no packets on the loopback interface".to_owned()));
        }
        let explained = self.datapath.explain(&query.frame, 0)?;
        let reason = explained.reason().unwrap_or(Reason::Internal);
        let (verdict, description) = (reason.verdict(), reason.description());
        if verdict == Verdict::Pass {
            return Ok(Err(description.trim().to_owned()));
        }
        Ok(Ok(Decided {
            left: None,
            verdict,
            reason: reason.label(),
            description,
            subject: explained.subject,
        }))
    }

    /// What the slow path does with a query that is left to it.
    fn slow_path_decides(&self, query: &Query<'_>, left: String) -> Result<Decided, ApiError> {
        let mut listeners = self.names().listeners.iter();
        let listener = listeners.find(|(_, address)| **address == query.listener);
        let Some((view, (&listener, _))) = self.view().zip(listener) else {
            return Err(ApiError::new(Code::Unavailable, "no generation is in force yet"));
        };
        let message = dns_message(&query.frame);
        let asked = Asked { message, client: query.from, listener, over_tcp: false };
        let decision = Decider::new(RandomState::new().build_hasher().finish()).decide(view, &asked);
        let (verdict, reason, subject) = match decision {
            Decision::Forward(forward) => {
                (Verdict::Forward, slow_path::Reason::UdpForwarded, forward.subject)
            }
            Decision::Answer(response) => (Verdict::Answer, response.reason, response.subject),
            Decision::Drop(reason, subject) => (Verdict::Drop, reason, subject),
        };
        let (reason, description) = (reason.label(), reason.description());
        Ok(Decided { left: Some(left), verdict, reason, description, subject })
    }

    fn explanation(&self, query: &Query<'_>, decided: Decided) -> Explanation {
        let Query { question: Question { name, record_type, .. }, from, listener, frame: _ } = *query;
        let Decided { left, verdict, reason, description, subject } = decided;
        let names = self.names();
        let is_applied = |pattern: &Pattern| self.route_id(pattern) == Some(subject.route);
        let applied = matching(&self.config, name).find(|(pattern, _)| is_applied(pattern));
        let applied = applied.map(|(pattern, _)| pattern);
        let others = matching(&self.config, name).filter(|(pattern, _)| Some(*pattern) != applied);
        let pool_name = names.pools.get(&subject.pool);
        let backend = names.backends.get(&subject.backend);
        Explanation {
            generation: self.generation,
            name: name.to_string(),
            record_type: record_type.to_string(),
            from,
            listener,
            path: if left.is_none() { Path::Fast } else { Path::Slow },
            left_by_fast_path: left,
            verdict: verdict.label().to_owned(),
            reason: reason.to_owned(),
            description: description.trim().to_owned(),
            route: applied.and_then(|pattern: &Pattern| self.route(pattern).ok()),
            also_matching: others.map(|(pattern, target)| route_view(pattern, target)).collect(),
            hashed: pool_name.and_then(|pool| self.hashed(pool, name, from.ip())),
            backend: pool_name.zip(backend).and_then(|(pool, member)| self.member(pool, member.address)),
            pool: pool_name.and_then(|name| self.pool(name).ok()),
        }
    }

    /// Client and listener, of one IP version.
    fn ends(&self, question: &Question) -> Result<(SocketAddr, SocketAddr), ApiError> {
        let listeners = &self.config.listen.addresses;
        let fits = |listener: &&SocketAddr| match (question.listener, question.from) {
            (Some(wanted), _) => **listener == wanted,
            (None, Some(from)) => listener.is_ipv4() == from.is_ipv4(),
            (None, None) => true,
        };
        let listed = || listeners.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        // The fast path's business, unless it is somebody on this host who asks.
        let is_local = question.from.is_some_and(|from| from.ip().is_loopback());
        let fitting = || listeners.iter().filter(fits);
        let alike = fitting().find(|listener| listener.ip().is_loopback() == is_local);
        let Some(&listener) = alike.or_else(|| fitting().next()) else {
            let message = match (question.listener, question.from) {
                (Some(wanted), _) => format!("there is no listener {wanted}"),
                (None, from) => {
                    let version = if from.is_some_and(|from| from.is_ipv6()) { 6 } else { 4 };
                    format!("there is no IPv{version} listener for this client")
                }
            };
            return Err(ApiError::new(Code::NotFound, message).place("listener").allowed(listed()));
        };
        let example = EXAMPLES
            .into_iter()
            .find(|ip| ip.is_ipv4() == listener.is_ipv4() && *ip != listener.ip())
            .unwrap_or(listener.ip());
        let from = question.from.unwrap_or(SocketAddr::new(example, EXAMPLE_PORT));
        if from.is_ipv4() != listener.is_ipv4() {
            let message = format!("client {from} and listener {listener} are of different IP versions");
            return Err(ApiError::new(Code::Malformed, message).place("from"));
        }
        Ok((from, listener))
    }

    /// What a pool's policy hashes of a query.
    fn hashed(&self, pool: &str, name: &Name, client: IpAddr) -> Option<String> {
        Some(match self.config.pools.get(pool)?.policy.hash()? {
            HashInput::Qname => name.to_string(),
            HashInput::Client => client.to_string(),
            HashInput::QnameClient => format!("{name} and {client}"),
        })
    }
}
