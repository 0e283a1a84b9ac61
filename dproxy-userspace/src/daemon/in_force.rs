//! The generation in force, as both paths have it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use tracing::error;

use super::Engine;
use crate::control::{Snapshot, SnapshotNames};
use crate::slow_path::View;

/// The generation in force.
pub(super) struct InForce {
    pub(super) snapshot: Arc<Snapshot>,
    /// As the slow path has it, and the addresses in it that nobody can reach.
    view: View,
    pub(super) unreachable: BTreeSet<IpAddr>,
}

impl Engine {
    /// Whom the ids in the generation in force mean.
    pub(super) fn names(&self) -> &SnapshotNames {
        static NOBODY: SnapshotNames = SnapshotNames::new();
        self.in_force.as_ref().map_or(&NOBODY, |in_force| &in_force.snapshot.names)
    }

    /// The generation in force as the slow path has it.
    pub(super) fn view(&self) -> Option<&View> {
        self.in_force.as_ref().map(|in_force| &in_force.view)
    }

    /// Hands a generation to the slow path, or the one in force with other backends to be reached.
    pub(super) fn publish_view(&mut self, snapshot: Arc<Snapshot>) {
        let unreachable = self.unreachable();
        let view = View::of(&self.config, Arc::clone(&snapshot), |address| !unreachable.contains(&address));
        self.proxy.publish(view.clone());
        self.in_force = Some(InForce { snapshot, view, unreachable });
    }

    /// Tells both paths the ways to the backends. If that fails, the next tick tries again.
    pub(super) fn update_live(&mut self) {
        self.reachability.note(&self.deliveries);
        let Some(InForce { snapshot, unreachable, .. }) = &self.in_force else { return };
        let snapshot = Arc::clone(snapshot);
        if *unreachable != self.unreachable() {
            self.publish_view(Arc::clone(&snapshot));
        }
        let backends = &snapshot.names.backends;
        let updated = self.live.update(self.datapath.as_mut(), backends, &self.deliveries);
        if let Err(problem) = updated {
            error!("cannot update the ways to the backends: {problem}");
        }
    }
}
