//! How queries get to a backend: by the fast path, by the slow path, or not at all.

use std::net::SocketAddr;

use dproxy_common::abi::NextHop;

use super::Engine;
use crate::api;
use crate::config::Pool;
use crate::control::Delivery;

/// How queries get to a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// The path.
    pub(super) path: api::Path,
    /// Why it is not the fast path.
    pub(super) why: Option<String>,
    /// The next hop on the fast path.
    pub(super) next_hop: Option<NextHop>,
}

impl Way {
    fn new(path: api::Path, why: Option<String>) -> Self {
        Self { path, why, next_hop: None }
    }

    fn of(delivery: &Delivery) -> Self {
        match delivery {
            Delivery::NextHop(hop) => Self { path: api::Path::Fast, why: None, next_hop: Some(*hop) },
            Delivery::Local(_) => Self::new(api::Path::Local, None),
            Delivery::SlowPath(why) => Self::new(api::Path::Slow, Some(why.to_string())),
            Delivery::Unreachable(why) => Self::new(api::Path::None, Some(why.to_string())),
        }
    }
}

impl Engine {
    /// How queries get to a backend of a pool.
    pub(super) fn way(&self, pool: &Pool, backend: SocketAddr) -> Way {
        if self.datapath.absence().is_some() {
            // Why it is so for all is said once.
            return Way::new(api::Path::Slow, None);
        }
        match self.deliveries.get(&backend) {
            Some(Delivery::NextHop(_) | Delivery::Local(_)) if pool.proxy_protocol => {
                Way::new(api::Path::Slow, Some("the pool uses the PROXY protocol".to_owned()))
            }
            Some(delivery) => Way::of(delivery),
            None => {
                Way::new(api::Path::None, Some("the kernel has not been asked for the way yet".to_owned()))
            }
        }
    }
}
