//! The generation in force, as both paths have it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use tracing::error;

use super::Engine;
use crate::config::Pattern;
use crate::control::SnapshotNames;
use crate::slow_path::View;

/// The generation in force, as the slow path has it, and the backends in it that get no queries.
pub(super) struct InForce {
    view: View,
    unusable: BTreeSet<SocketAddr>,
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

    /// Hands the generation in force to the slow path, with the backends that can be used now.
    pub(super) fn publish_view(&mut self) {
        let Some(held) = self.datapath.held() else { return };
        let unusable = self.unusable();
        let names = Arc::clone(self.names());
        let view = View::of(&self.config, held, names, |backend| !unusable.contains(&backend));
        self.proxy.publish(view.clone());
        self.in_force = Some(InForce { view, unusable });
    }

    /// Tells both paths the ways to the backends, and who gets no queries. If that fails, the next tick tries again.
    pub(super) fn update_live(&mut self) {
        self.reachability.note(&self.deliveries);
        self.tell_sources();
        self.judge();
        let Some(InForce { unusable, .. }) = &self.in_force else { return };
        if *unusable != self.unusable() {
            self.publish_view();
        }
        let names = Arc::clone(self.names());
        let updated =
            self.live.update(self.datapath.as_mut(), &names.backends, &self.deliveries, self.health.shut());
        if let Err(problem) = updated {
            error!("cannot update the ways to the backends: {problem}");
        }
    }
}
