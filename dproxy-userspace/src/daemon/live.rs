//! What the datapath knows about the way to each backend.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use dproxy_common::abi::{BackendLive, NextHop};

use crate::control::{Capacity, Hops};
use crate::datapath::{Datapath, DatapathError};
use crate::network::Resolution;

/// The live words that the datapath has, and the next hops that they refer to.
pub(super) struct Live {
    hops: Hops,
    set: BTreeMap<u16, NextHop>,
}

impl Live {
    pub(super) fn new(capacity: &Capacity) -> Self {
        Self { hops: Hops::new(capacity.next_hops), set: BTreeMap::new() }
    }

    /// Brings the live words of `backends` up to date.
    pub(super) fn update(
        &mut self,
        datapath: &mut dyn Datapath,
        backends: &BTreeMap<u16, SocketAddr>,
        resolutions: &BTreeMap<IpAddr, Resolution>,
    ) -> Result<(), DatapathError> {
        for (&id, address) in backends {
            let wanted = match resolutions.get(&address.ip()) {
                Some(Resolution::Reachable(hop)) => Some(hop),
                Some(Resolution::Unreachable(_)) | None => None,
            };
            if self.set.get(&id) == wanted {
                continue;
            }
            match wanted {
                Some(hop) => {
                    let index = self.index(datapath, hop)?;
                    datapath.set_live(id, BackendLive::reachable(index))?;
                    self.set.insert(id, *hop);
                }
                None => {
                    datapath.set_live(id, BackendLive::UNRESOLVED)?;
                    self.set.remove(&id);
                }
            }
        }
        let Self { hops, set } = self;
        hops.retain(|hop| set.values().any(|used| used == hop));
        Ok(())
    }

    /// Forgets a backend whose id means another one from now on. To the datapath, that is unresolved.
    pub(super) fn forget(&mut self, id: u16) {
        self.set.remove(&id);
    }

    fn index(&mut self, datapath: &mut dyn Datapath, hop: &NextHop) -> Result<u32, DatapathError> {
        let (index, is_new) = self.hops.index(hop).ok_or_else(|| {
            DatapathError("too many next hops: backends have too many different neighbours".to_owned())
        })?;
        if is_new {
            datapath.set_next_hop(index, hop)?;
        }
        Ok(index)
    }
}
