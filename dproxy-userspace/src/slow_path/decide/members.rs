//! A pool's members, whatever its policy.

use dproxy_common::{
    abi::{Pool, Subject},
    reason::Reason as FastReason,
    tables::Tables,
};

use super::{Decider, Forward, View};

impl Decider {
    /// Another backend for a query that the one chosen did not answer: one of the pool's members that can be
    /// reached. If there is none, `None`.
    pub fn another(&self, view: &View, forward: &Forward) -> Option<Forward> {
        if !forward.is_for_any {
            return None;
        }
        // It may have been removed meanwhile.
        let pool: &Pool = view.pool_in_use(forward.subject.pool)?;
        let failed = forward.subject.backend;
        let backend = self.next_member(view, pool, |id: &u16| *id != failed && view.is_reachable(*id))?;
        let address = view.address(backend)?;
        Some(Forward { subject: Subject { backend, ..forward.subject }, address, ..*forward })
    }

    /// Takes whoever can be reached. The packet path tries so many only, and leaves to us what it does not find: a pool
    /// may have a hundred members of which three are open.
    pub(super) fn take_any(&mut self, view: &View, pool: &Pool) -> Result<(), FastReason> {
        let id = self.next_member(view, pool, |id| view.is_reachable(*id));
        let id = id.ok_or(FastReason::BackendUnresolved)?;
        self.work.live = view.backend(id).ok_or(FastReason::Internal)?.live;
        self.work.subject.backend = id;
        Ok(())
    }

    /// A member that is usable. Beginning with another one each time, so that not all of a dead backend's load falls on
    /// one.
    fn next_member(&self, view: &View, pool: &Pool, usable: impl Fn(&u16) -> bool) -> Option<u16> {
        let turn = self.turn.get();
        self.turn.set(turn.wrapping_add(1));
        let skipped = turn % (pool.members as usize).max(1);
        let behind = view.members(pool).skip(skipped).find(&usable);
        behind.or_else(|| view.members(pool).find(&usable))
    }
}
