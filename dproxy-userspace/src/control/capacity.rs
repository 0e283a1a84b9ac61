//! How much the tables hold.

use super::route_index::buckets_for;

/// How much the maps hold: fixed when the program is loaded. Of halved tables, the entries of one half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Routes, that is names with routes besides the root.
    pub routes: u32,
    /// Route buckets; a power of two.
    pub route_buckets: u32,
    /// Names of more than 40 octets.
    pub long_names: u32,
    /// Pools; there are twice as many ids, so that a removed one's may rest.
    pub pools: u32,
    /// Candidate lines.
    pub candidate_lines: u32,
    /// Ids of route counters.
    pub route_ids: u32,
    /// Ids of backends.
    pub backend_ids: u32,
    /// Ids of listeners.
    pub listener_ids: u32,
    /// Next hops.
    pub next_hops: u32,
    /// The slot ring has 2 to this power entries.
    pub slot_bits: u32,
}

/// Ids of routes that the largest tables have.
pub const MAX_ROUTE_IDS: u32 = 3 * MAX_ROUTES;
/// Names with routes at most, besides the root.
pub const MAX_ROUTES: u32 = 1 << 22;

impl Capacity {
    /// Do routes for so many names fit, and long ones among them?
    pub const fn holds(&self, names: usize, long: usize) -> bool {
        names <= self.routes as usize && long <= self.long_names as usize
    }

    /// For so many names, and long ones among them: what there is too little of has room for as many again before the
    /// next time; `None` if that is too many.
    pub fn with_routes(&self, names: usize, long: usize) -> Option<Self> {
        let mut larger = Self::for_routes(room_for(names, self.routes)?, self.slot_bits);
        larger.long_names = room_for(long, self.long_names)?.max(larger.long_names);
        (larger.routes > self.routes || larger.long_names > self.long_names).then_some(larger)
    }

    /// Ids of pools: twice as many as pools, so that a removed one's may rest.
    pub const fn pool_ids(&self) -> u32 {
        let twice = self.pools.saturating_mul(2);
        if twice < u16::MAX as u32 { twice } else { u16::MAX as u32 }
    }

    /// For so many names with routes and 2 to the power `slot_bits` queries in flight.
    pub fn for_routes(routes: u32, slot_bits: u32) -> Self {
        Self {
            routes,
            route_buckets: buckets_for(routes),
            long_names: (routes / 16).max(1024),
            pools: 4096,
            candidate_lines: 65536,
            // A name has up to two routes that are not hidden; the third is room for edits, until freed ids are free.
            route_ids: routes.saturating_mul(3).max(1024),
            backend_ids: 16384,
            listener_ids: 256,
            next_hops: 16384,
            slot_bits,
        }
    }
}

/// Entries that a table for routes must have for `wanted` of them, when it has `has`.
fn room_for(wanted: usize, has: u32) -> Option<u32> {
    if wanted <= has as usize {
        return Some(has);
    }
    let room = wanted.checked_next_power_of_two()?.max(2 * has as usize).min(MAX_ROUTES as usize);
    (wanted <= room).then_some(room as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_grow_by_themselves() {
        let capacity = Capacity::for_routes(1 << 20, 10);
        assert_eq!(capacity.long_names, 1 << 16);
        assert_eq!(capacity.with_routes(1 << 20, 1 << 16), None, "they fit");
        let larger = capacity.with_routes(1 << 20, (1 << 16) + 1).unwrap();
        assert_eq!((larger.routes, larger.long_names), (1 << 20, 1 << 17));
        assert!(larger.holds(1 << 20, 1 << 17));
        // What they have got, they keep when routes get more.
        let both = larger.with_routes((1 << 20) + 1, 7).unwrap();
        assert_eq!((both.routes, both.long_names), (1 << 21, 1 << 17));
        let all = Capacity::for_routes(16, 10).with_routes(MAX_ROUTES as usize, MAX_ROUTES as usize).unwrap();
        assert_eq!((all.routes, all.long_names), (MAX_ROUTES, MAX_ROUTES));
    }
}
