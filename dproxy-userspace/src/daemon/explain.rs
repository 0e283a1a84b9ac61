//! Asks the loaded program what it would do with a query.

use std::net::{IpAddr, SocketAddr};

use dproxy_common::abi::Subject;
use dproxy_common::reason::{Reason, Verdict};

use super::view::route_view;
use super::{Engine, RecordType, matching};
use crate::api::{ApiError, Code, Explanation};
use crate::config::{HashInput, Name, Pattern};
use crate::datapath::query_frame;

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

impl Engine {
    /// What the loaded program would do with a query. Nothing is changed or counted.
    pub fn explain(&self, question: &Question) -> Result<Explanation, ApiError> {
        let (from, listener) = self.ends(question)?;
        let Question { name, record_type, .. } = question;
        let frame = query_frame(from, listener, name.wire(), record_type.0)?;
        let explained = self.datapath.explain(&frame, self.generation)?;
        let reason = explained.reason().unwrap_or(Reason::Internal);
        let Subject { route, pool, backend, .. } = explained.subject;

        let applied = self.names.routes.get(&route);
        let others = matching::routes(&self.config, name).filter(|(pattern, _)| Some(*pattern) != applied);
        let pool_name = self.names.pools.get(&pool);
        let backend = self.names.backends.get(&backend);
        Ok(Explanation {
            generation: explained.generation,
            name: name.to_string(),
            record_type: record_type.to_string(),
            from,
            listener,
            verdict: verdict(reason.verdict()).to_owned(),
            reason: reason.label().to_owned(),
            description: reason.description().trim().to_owned(),
            route: applied.and_then(|pattern: &Pattern| self.route(pattern).ok()),
            also_matching: others.map(|(pattern, target)| route_view(pattern, target)).collect(),
            hashed: pool_name.and_then(|pool| self.hashed(pool, name, from.ip())),
            backend: pool_name.zip(backend).and_then(|(pool, address)| self.member(pool, *address)),
            pool: pool_name.and_then(|name| self.pool(name).ok()),
        })
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
        let Some(&listener) = listeners.iter().find(fits) else {
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

/// The word for what becomes of a packet.
pub(crate) const fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Forward => "forward",
        Verdict::Deliver => "deliver",
        Verdict::Answer => "answer",
        Verdict::Drop => "drop",
        Verdict::Abort => "abort",
    }
}
