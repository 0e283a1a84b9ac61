//! Ids of routes: the numbers of their counters.
//!
//! Which route has which id stands in the tables themselves, beside where it leads: no map of hundreds of
//! thousands of names is needed here.

use std::collections::VecDeque;

/// Which ids are free.
#[derive(Clone, Debug, Default)]
pub(super) struct RouteIds {
    /// From this one on, none has been given out yet.
    unused: u32,
    /// Given out before, and free; the one at the front has been so for longest.
    resting: VecDeque<u32>,
    /// Free as soon as no packet can see the generation before.
    released: Vec<u32>,
}

impl RouteIds {
    /// A free id below `capacity`, and whether somebody else has had it.
    pub(super) fn take(&mut self, capacity: u32) -> Option<(u32, bool)> {
        if self.unused < capacity {
            self.unused += 1;
            return Some((self.unused - 1, false));
        }
        self.resting.pop_front().map(|id| (id, true))
    }

    /// Frees an id when the generation that is about to come has replaced the one before.
    pub(super) fn release(&mut self, id: u32) {
        self.released.push(id);
    }

    /// Frees all but these, as [`release`](Self::release) does.
    pub(super) fn release_others(&mut self, used: impl Iterator<Item = u32>) {
        let mut taken = vec![false; self.unused as usize];
        used.chain(self.resting.iter().copied()).for_each(|id| taken[id as usize] = true);
        self.released = (0..self.unused).filter(|id| !taken[*id as usize]).collect();
    }

    /// The generation before has been replaced.
    pub(super) fn settle(&mut self) {
        self.resting.extend(self.released.drain(..));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freed_id_rests_as_long_as_there_are_others() {
        let mut ids = RouteIds::default();
        assert_eq!([ids.take(3), ids.take(3)], [Some((0, false)), Some((1, false))]);
        ids.release(0);
        assert_eq!(ids.take(3), Some((2, false)));
        assert_eq!(ids.take(3), None, "the generation before may still count for it");
        ids.settle();
        assert_eq!(ids.take(3), Some((0, true)));
        ids.release_others([1].into_iter());
        ids.settle();
        assert_eq!([ids.take(3), ids.take(3), ids.take(3)], [Some((0, true)), Some((2, true)), None]);
    }
}
