//! The generation in force, as both paths have it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use tracing::error;

use super::Engine;
use crate::config::Pattern;
use crate::control::SnapshotNames;
use crate::slow_path::View;

/// The generation in force, as the slow path has it, and the addresses in it that nobody can reach.
pub(super) struct InForce {
    view: View,
    pub(super) unreachable: BTreeSet<IpAddr>,
}

impl Engine {
    /// Whom the ids in the generation in force mean.
    pub(super) fn names(&self) -> &Arc<SnapshotNames> {
        self.layout.names()
    }

    /// The generation in force as the slow path has it.
    pub(super) fn view(&self) -> Option<&View> {
        self.in_force.as_ref().map(|in_force| &in_force.view)
    }

    /// The id of a route, unless others of the same name hide it.
    pub(super) fn route_id(&self, pattern: &Pattern) -> Option<u32> {
        self.datapath.held()?.route_id(pattern)
    }

    /// Hands the generation in force to the slow path, with the backends that can be reached now.
    pub(super) fn publish_view(&mut self) {
        let Some(held) = self.datapath.held() else { return };
        let unreachable = self.unreachable();
        let names = Arc::clone(self.names());
        let view = View::of(&self.config, held, names, |address| !unreachable.contains(&address));
        self.proxy.publish(view.clone());
        self.in_force = Some(InForce { view, unreachable });
    }

    /// Tells both paths the ways to the backends. If that fails, the next tick tries again.
    pub(super) fn update_live(&mut self) {
        self.reachability.note(&self.deliveries);
        let Some(InForce { unreachable, .. }) = &self.in_force else { return };
        if *unreachable != self.unreachable() {
            self.publish_view();
        }
        let names = Arc::clone(self.names());
        let updated = self.live.update(self.datapath.as_mut(), &names.backends, &self.deliveries);
        if let Err(problem) = updated {
            error!("cannot update the ways to the backends: {problem}");
        }
    }
}
