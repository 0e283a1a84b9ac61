//! How each backend gets its queries.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use dproxy_common::abi::NextHop;

use crate::config::Config;
use crate::network::{Resolution, View, Why};

/// Backends on this host that the fast path serves: so many more entries are no trouble to the perfect hash
/// of destinations.
const MAX_LOCAL: usize = 16;

/// How a backend gets its queries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The fast path sends them to a neighbour.
    NextHop(NextHop),
    /// It is on this host: the fast path writes its address into them. Its replies leave as this listener's.
    Local(SocketAddr),
    /// The slow path sends them.
    SlowPath(SlowPath),
    /// Not at all.
    Unreachable(Why),
}

impl Delivery {
    /// May the kernel's own stack reach the backend? Also one whose neighbour is still being asked: the stack
    /// keeps packets until there is an answer. The fast path cannot wait, and takes another backend meanwhile.
    pub const fn is_worth_trying(&self) -> bool {
        match self {
            Self::NextHop(_) | Self::Local(_) | Self::SlowPath(_) => true,
            Self::Unreachable(why) => matches!(why, Why::Asked { .. }),
        }
    }
}

/// Why the fast path leaves a backend to the slow path. The text completes "through the slow path: …".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SlowPath {
    /// The kernel's stack has a way, and the fast path has not.
    #[error(transparent)]
    Way(Why),
    /// A loopback address: packets from other hosts must not have one (RFC 1122 §3.2.1.3).
    #[error("{0} is a loopback address, which the kernel takes from this host alone")]
    Loopback(IpAddr),
    /// No egress program.
    #[error("it is on this host, and {0}")]
    NoEgress(String),
    /// Its clients would have no address of its IP version.
    #[error("it is on this host, and no listener for other hosts has an {0} address as it does")]
    NoListener(&'static str),
    /// A reply does not tell who was asked.
    #[error("it is on this host, and its replies do not tell which of {count} {version} listeners was asked")]
    Listeners {
        /// How many there are.
        count: usize,
        /// Of this IP version.
        version: &'static str,
    },
    /// Replies may leave past the egress program.
    #[error("it is on this host, and its replies may leave by {0}, which is not among listen.interfaces")]
    Bypass(String),
    /// Too many.
    #[error("it is on this host, where the fast path serves {MAX_LOCAL} backends and no more")]
    TooMany,
}

/// Decides for all backends of a configuration; those whose way has not been asked for are left out.
///
/// `egress` says whether replies of backends on this host can be changed on their way out, or why not.
pub fn deliveries(
    config: &Config,
    view: &View,
    egress: &Result<(), String>,
) -> BTreeMap<SocketAddr, Delivery> {
    let backends = config.pools.values().flat_map(|pool| &pool.backends).map(|backend| backend.address);
    let known = backends.filter_map(|backend| Some((backend, view.resolutions.get(&backend.ip())?)));
    let mut deliveries: BTreeMap<SocketAddr, Delivery> = known
        .map(|(backend, resolution)| {
            let delivery = match resolution {
                Resolution::Reachable(hop) => Delivery::NextHop(*hop),
                Resolution::Unreachable(Why::Local(_)) => {
                    local(backend, &config.listen.addresses, view, egress)
                        .map_or_else(Delivery::SlowPath, Delivery::Local)
                }
                Resolution::Unreachable(why) => without_next_hop(why),
            };
            (backend, delivery)
        })
        .collect();
    let local = deliveries.values_mut().filter(|delivery| matches!(delivery, Delivery::Local(_)));
    local.skip(MAX_LOCAL).for_each(|delivery| *delivery = Delivery::SlowPath(SlowPath::TooMany));
    deliveries
}

/// The listener that a backend on this host stands for, if it stands for one alone and all its replies can be
/// made to come from there.
fn local(
    backend: SocketAddr,
    listeners: &[SocketAddr],
    view: &View,
    egress: &Result<(), String>,
) -> Result<SocketAddr, SlowPath> {
    if backend.ip().is_loopback() {
        return Err(SlowPath::Loopback(backend.ip()));
    }
    let version = if backend.is_ipv4() { "IPv4" } else { "IPv6" };
    // The slow path alone serves listeners on loopback addresses: no reply leaves for their clients.
    let is_alike =
        |listener: &&SocketAddr| listener.is_ipv4() == backend.is_ipv4() && !listener.ip().is_loopback();
    let mut alike = listeners.iter().filter(is_alike);
    let listener = match (alike.next(), alike.count()) {
        (None, _) => return Err(SlowPath::NoListener(version)),
        (Some(listener), 0) => *listener,
        (Some(_), others) => return Err(SlowPath::Listeners { count: 1 + others, version }),
    };
    if let Err(reason) = egress {
        return Err(SlowPath::NoEgress(reason.clone()));
    }
    match view.bypass.of(backend.ip()) {
        Some(interface) => Err(SlowPath::Bypass(interface.to_owned())),
        None => Ok(listener),
    }
}

/// A backend that the fast path has no next hop for: has the kernel's stack a way?
fn without_next_hop(why: &Why) -> Delivery {
    match why {
        Why::Local(_)
        | Why::Encapsulated(_)
        | Why::NotAttached { .. }
        | Why::TooManyTags { .. }
        | Why::NotEthernet(_)
        | Why::NoSource { .. } => Delivery::SlowPath(SlowPath::Way(why.clone())),
        Why::NoRoute { .. }
        | Why::Refusing { .. }
        | Why::RouteUnknown { .. }
        | Why::NotUnicast { .. }
        | Why::NoInterface(_)
        | Why::Down(_)
        | Why::NoCarrier(_)
        | Why::Asked { .. }
        | Why::Silent { .. }
        | Why::CannotAsk { .. } => Delivery::Unreachable(why.clone()),
    }
}

#[cfg(test)]
mod tests;
