//! Indices of next hops.

use dproxy_common::abi::NextHop;

use super::ids::Numbering;

/// Which next hop has which index. Backends behind one neighbour share an entry; an entry that backends
/// still refer to never changes.
#[derive(Clone, Debug)]
pub struct Hops(Numbering<NextHop>);

impl Hops {
    /// For a table of so many entries.
    pub fn new(capacity: u32) -> Self {
        Self(Numbering::new(capacity))
    }

    /// The index of a next hop; if the second value is true, it is new and has to be written. `None`: the
    /// table is full.
    pub fn index(&mut self, hop: &NextHop) -> Option<(u32, bool)> {
        self.0.number(hop)
    }

    /// A next hop has an index already.
    pub fn restore(&mut self, hop: NextHop, index: u32) {
        self.0.restore(hop, index);
    }

    /// Frees all entries but those that backends refer to.
    pub fn retain(&mut self, referred: impl FnMut(&NextHop) -> bool) {
        self.0.retain(referred);
    }
}
