//! What the datapath knows about the way to each backend.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use dproxy_common::abi::{BackendLive, NextHop};

use crate::control::{Capacity, Delivery, Hops};
use crate::datapath::{Datapath, DatapathError, Inheritance};
use crate::network::Why;

/// The live words that the datapath has, and the next hops that they refer to.
pub(super) struct Live {
    hops: Hops,
    set: BTreeMap<u16, Way>,
    /// Backends whose way was found by the daemon before. They keep it until more is known.
    inherited: BTreeSet<u16>,
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
        Self { hops: Hops::new(capacity.next_hops), set: BTreeMap::new(), inherited: BTreeSet::new() }
    }

    /// What a program before has left in the datapath.
    pub(super) fn inherit(&mut self, inheritance: &Inheritance) {
        for (index, hop) in &inheritance.next_hops {
            self.hops.restore(*hop, *index);
        }
        for (&id, &live) in &inheritance.live {
            let way = match live.next_hop().and_then(|index| inheritance.next_hops.get(&index)) {
                Some(hop) => Way::NextHop(*hop),
                None if live.is_local() => Way::Local,
                None => Way::SlowPath,
            };
            self.set.insert(id, way);
            self.inherited.insert(id);
        }
    }

    /// Brings the live words of `backends` up to date. Those that are `shut` get no queries, whatever the way.
    pub(super) fn update(
        &mut self,
        datapath: &mut dyn Datapath,
        backends: &BTreeMap<u16, SocketAddr>,
        deliveries: &BTreeMap<SocketAddr, Delivery>,
        shut: &BTreeSet<SocketAddr>,
    ) -> Result<(), DatapathError> {
        for (&id, address) in backends {
            let delivery = deliveries.get(address);
            let is_asked = matches!(delivery, Some(Delivery::Unreachable(Why::Asked { .. })));
            if is_asked && self.inherited.contains(&id) && !shut.contains(address) {
                continue;
            }
            self.inherited.remove(&id);
            let wanted = delivery.filter(|_| !shut.contains(address)).and_then(Way::of);
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
        let Self { hops, set, inherited: _ } = self;
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
        self.inherited.remove(&id);
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
