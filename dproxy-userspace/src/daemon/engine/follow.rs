//! What is around: the ways to the backends.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use tracing::error;

use super::Engine;
use crate::control::{Delivery, Host, deliveries};
use crate::network::{NetworkError, Resolution, Why};

/// Thousands of neighbours are looked after less often: so that it takes a hundredth of the time, but at least so often.
const NEIGHBOURS: (u32, Duration) = (100, Duration::from_secs(10));

impl Engine {
    /// Brings the ways to the backends up to date. Only an address that queries have not come from so far, or
    /// other backends on this host, are written into the tables: they must be known before the first reply.
    pub(in crate::daemon) async fn follow_network(&mut self) {
        if let Err(problem) = self.resolve(&self.addresses()).await {
            error!("{problem}");
            return;
        }
        let deliveries = self.decide();
        let Host { sources, locals } = Host::new(self.sources.all(), &deliveries);
        if sources.is_subset(&self.host.sources) && locals == self.host.locals {
            self.deliveries = deliveries;
            self.update_live();
        } else if let Err(problem) = self.put_in_force(None, None) {
            error!("cannot follow a change of the network: {problem}");
        }
    }

    /// Asks how addresses are reached.
    pub(in crate::daemon) async fn resolve(
        &mut self,
        addresses: &BTreeSet<IpAddr>,
    ) -> Result<(), NetworkError> {
        let begin = Instant::now();
        let addresses: Vec<IpAddr> = addresses.iter().copied().collect();
        let attachments = self.datapath.attachments();
        let interfaces: Vec<u32> = attachments.iter().map(|attachment| attachment.index).collect();
        self.seen = self.network.resolve(&addresses, &interfaces).await?;
        let (part, seldom) = NEIGHBOURS;
        self.look = begin + (begin.elapsed() * part).min(seldom);
        let resolutions = &self.seen.resolutions;
        self.sources.note(resolutions.values(), Instant::now());
        let is_asked =
            |resolution: &Resolution| matches!(resolution, Resolution::Unreachable(Why::Asked { .. }));
        let asked = resolutions.iter().filter(|(_, resolution)| is_asked(resolution));
        self.asking.send_replace(asked.map(|(address, _)| *address).collect());
        Ok(())
    }

    /// How the backends get their queries, after what was last seen.
    pub(in crate::daemon) fn decide(&self) -> BTreeMap<SocketAddr, Delivery> {
        deliveries(&self.config, &self.seen, &self.datapath.egress())
    }

    /// The addresses of all backends.
    pub(in crate::daemon) fn addresses(&self) -> BTreeSet<IpAddr> {
        let backends = self.config.pools.values().flat_map(|pool| &pool.backends);
        backends.map(|backend| backend.address.ip()).collect()
    }
}
