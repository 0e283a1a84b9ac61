//! The generation in force, as both paths have it.

use std::collections::BTreeMap;
use std::sync::Arc;

use dproxy_common::abi::BackendLive;

use tracing::error;

use super::Engine;
use crate::config::Pattern;
use crate::control::{Member, SnapshotNames};
use crate::health::Share;
use crate::slow_path::View;

/// The generation in force, as the slow path has it, and the words of its backends.
pub(super) struct InForce {
    view: View,
    lives: BTreeMap<u16, BackendLive>,
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
        let (names, lives) = (Arc::clone(self.names()), self.lives());
        let view = View::of(&self.config, held, names, |id| lives.get(&id).copied().unwrap_or_default());
        self.proxy.publish(view.clone());
        self.in_force = Some(InForce { view, lives });
    }

    /// The words of all backends as the slow path has them: the way is the stack's business.
    fn lives(&self) -> BTreeMap<u16, BackendLive> {
        let names = self.names();
        let live = |(id, member): (&u16, &Member)| {
            let share = self.health.share(names.pool_of(member).unwrap_or_default(), member.address);
            let live = match share {
                Share::Open { withheld } if self.is_reachable(member.address) => {
                    BackendLive::reachable(0).withholding(withheld)
                }
                Share::Open { .. } | Share::Shut => BackendLive::UNRESOLVED,
            };
            (*id, live)
        };
        names.backends.iter().map(live).collect()
    }

    /// Tells both paths the ways to the backends, and who gets no queries. If that fails, the next tick tries again.
    pub(super) fn update_live(&mut self) {
        self.reachability.note(&self.deliveries);
        self.tell_sources();
        self.judge();
        self.publish_live();
    }

    /// Tells both paths what was found out.
    pub(super) fn publish_live(&mut self) {
        let lives = self.lives();
        let Some(InForce { view, lives: before }) = &mut self.in_force else { return };
        if *before != lives {
            view.set_lives(|id| lives.get(&id).copied().unwrap_or_default());
            self.proxy.publish(view.clone());
            *before = lives;
        }
        let (names, health) = (Arc::clone(self.layout.names()), &self.health);
        let backends = names.backends.iter().map(|(id, member)| (*id, *member));
        let share = |member: &Member| health.share(names.pool_of(member).unwrap_or_default(), member.address);
        let updated = self.live.update(self.datapath.as_mut(), backends, &self.deliveries, share);
        if let Err(problem) = updated {
            error!("cannot update the ways to the backends: {problem}");
        }
    }
}
