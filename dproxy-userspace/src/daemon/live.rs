//! What the datapath knows about the way to each backend.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use dproxy_common::abi::{BackendLive, NextHop};

use crate::control::{Capacity, Delivery, Hops};
use crate::datapath::{Datapath, DatapathError};

/// The live words that the datapath has, and the next hops that they refer to.
pub(super) struct Live {
    hops: Hops,
    set: BTreeMap<u16, Way>,
}

/// What a live word says; there is none for the unresolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    NextHop(NextHop),
    Local,
    SlowPath,
}

impl Way {
    fn of(delivery: &Delivery) -> Option<Self> {
        match delivery {
            Delivery::NextHop(hop) => Some(Self::NextHop(*hop)),
            Delivery::Local(_) => Some(Self::Local),
            Delivery::SlowPath(_) => Some(Self::SlowPath),
            Delivery::Unreachable(_) => None,
        }
    }
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
        deliveries: &BTreeMap<SocketAddr, Delivery>,
    ) -> Result<(), DatapathError> {
        for (&id, address) in backends {
            let wanted = deliveries.get(address).and_then(Way::of);
            if self.set.get(&id) == wanted.as_ref() {
                continue;
            }
            let live = match &wanted {
                Some(Way::NextHop(hop)) => BackendLive::reachable(self.index(datapath, hop)?),
                Some(Way::Local) => BackendLive::LOCAL,
                Some(Way::SlowPath) => BackendLive::SLOW,
                None => BackendLive::UNRESOLVED,
            };
            datapath.set_live(id, live)?;
            match wanted {
                Some(way) => drop(self.set.insert(id, way)),
                None => drop(self.set.remove(&id)),
            }
        }
        let Self { hops, set } = self;
        hops.retain(|hop| set.values().any(|way| *way == Way::NextHop(*hop)));
        Ok(())
    }

    /// The backends that a query may be handed to on this host.
    pub(super) fn is_local(&self, id: u16) -> bool {
        self.set.get(&id) == Some(&Way::Local)
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
