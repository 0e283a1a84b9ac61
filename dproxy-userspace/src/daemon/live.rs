//! What the datapath knows about the way to each backend.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use dproxy_common::abi::{BackendLive, NextHop};

use crate::control::{Capacity, Delivery, Hops, Member};
use crate::datapath::{Datapath, DatapathError, Inheritance};
use crate::health::Share;
use crate::network::Why;

/// The live words that the datapath has, and the next hops that they refer to.
pub(super) struct Live {
    hops: Hops,
    /// The way, and what is withheld.
    set: BTreeMap<u16, (Way, u16)>,
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
            self.set.insert(id, (way, live.withheld()));
            self.inherited.insert(id);
        }
    }

    /// Brings the live words of `backends` up to date. Those that are shut get no queries, whatever the way.
    pub(super) fn update(
        &mut self,
        datapath: &mut dyn Datapath,
        backends: impl Iterator<Item = (u16, Member)>,
        deliveries: &BTreeMap<SocketAddr, Delivery>,
        share: impl Fn(&Member) -> Share,
    ) -> Result<(), DatapathError> {
        for (id, member) in backends {
            let (delivery, share) = (deliveries.get(&member.address), share(&member));
            let is_asked = matches!(delivery, Some(Delivery::Unreachable(Why::Asked { .. })));
            if is_asked && self.inherited.contains(&id) && share != Share::Shut {
                continue;
            }
            self.inherited.remove(&id);
            let wanted = match share {
                Share::Open { withheld } => delivery.and_then(Way::of).map(|way| (way, withheld)),
                Share::Shut => None,
            };
            if self.set.get(&id) == wanted.as_ref() {
                continue;
            }
            let live = match &wanted {
                Some((way, withheld)) => self.word(datapath, way)?.withholding(*withheld),
                None => BackendLive::UNRESOLVED,
            };
            datapath.set_live(id, live)?;
            match wanted {
                Some(wanted) => drop(self.set.insert(id, wanted)),
                None => drop(self.set.remove(&id)),
            }
        }
        let Self { hops, set, inherited: _ } = self;
        hops.retain(|hop| set.values().any(|(way, _)| *way == Way::NextHop(*hop)));
        Ok(())
    }

    fn word(&mut self, datapath: &mut dyn Datapath, way: &Way) -> Result<BackendLive, DatapathError> {
        Ok(match way {
            Way::NextHop(hop) => BackendLive::reachable(self.index(datapath, hop)?),
            Way::Local => BackendLive::LOCAL,
            Way::SlowPath => BackendLive::SLOW,
        })
    }

    /// The backends that a query may be handed to on this host.
    pub(super) fn is_local(&self, id: u16) -> bool {
        self.set.get(&id).is_some_and(|(way, _)| *way == Way::Local)
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
