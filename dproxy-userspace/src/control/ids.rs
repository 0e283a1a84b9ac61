//! Ids that outlive generations.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet, VecDeque, btree_map::Entry};
use std::net::SocketAddr;

use dproxy_common::select::mix;

use super::Capacity;

/// Gives out small numbers for keys, keeps each while generations refer to it, and gives a freed one out
/// again as late as possible: its number may still be in the slots of queries under way.
#[derive(Clone, Debug)]
pub(super) struct Numbering<K: Ord> {
    numbers: BTreeMap<K, u32>,
    resting: VecDeque<u32>,
    unused: u32,
    capacity: u32,
}

impl<K: Ord + Clone> Numbering<K> {
    /// Lets `key` have a number that is not given out, if it has none. Nobody gets those below it that are free
    /// before all others are taken.
    pub(super) fn restore(&mut self, key: K, number: u32) {
        if number >= self.capacity {
            return;
        }
        if number >= self.unused {
            self.resting.extend(self.unused..number);
            self.unused = number + 1;
        } else {
            self.resting.retain(|resting| *resting != number);
        }
        match self.numbers.entry(key) {
            Entry::Vacant(entry) => drop(entry.insert(number)),
            // One that it had before: the slots of queries under way may name it.
            Entry::Occupied(_) => self.resting.push_back(number),
        }
    }

    pub(super) fn new(capacity: u32) -> Self {
        Self { numbers: BTreeMap::new(), resting: VecDeque::new(), unused: 0, capacity }
    }

    /// The number of `key`; a new one, if it has none, and then the second value is true. `None`: all
    /// numbers are taken.
    pub(super) fn number<Q>(&mut self, key: &Q) -> Option<(u32, bool)>
    where
        K: Borrow<Q>,
        Q: Ord + ToOwned<Owned = K> + ?Sized,
    {
        if let Some(&number) = self.numbers.get(key) {
            return Some((number, false));
        }
        let number = if self.unused < self.capacity {
            self.unused += 1;
            self.unused - 1
        } else {
            self.resting.pop_front()?
        };
        self.numbers.insert(key.to_owned(), number);
        Some((number, true))
    }

    /// Frees the numbers of all keys that are not wanted any more.
    pub(super) fn retain(&mut self, mut wanted: impl FnMut(&K) -> bool) {
        let resting = &mut self.resting;
        self.numbers.retain(|key, number| {
            let keep = wanted(key);
            if !keep {
                resting.push_back(*number);
            }
            keep
        });
    }
}

/// An id, by what it numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Id {
    /// A listener's.
    Listener(u16),
    /// A backend's.
    Backend(u16),
    /// A pool's.
    Pool(u16),
    /// A route's.
    Route(u32),
}

/// A member of a pool, by what it is recognised by after a restart, when ids of pools are others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MemberKey {
    /// A hash of the pool's name.
    pub pool: u64,
    /// Where it listens.
    pub address: SocketAddr,
}

impl MemberKey {
    /// Of a pool's member.
    pub fn new(pool: &str, address: SocketAddr) -> Self {
        let pool = pool.bytes().fold(pool.len() as u64, |hash, octet| mix(hash ^ u64::from(octet)));
        Self { pool, address }
    }
}

/// All ids. A clone is a draft: an edit that is refused leaves nothing behind.
#[derive(Clone, Debug)]
pub struct Ids {
    listeners: Numbering<SocketAddr>,
    backends: Numbering<MemberKey>,
    pools: Numbering<String>,
    new: Vec<Id>,
}

impl Ids {
    /// None given out yet.
    pub fn new(capacity: &Capacity) -> Self {
        Self {
            listeners: Numbering::new(capacity.listener_ids),
            backends: Numbering::new(capacity.backend_ids),
            pools: Numbering::new(capacity.pool_ids()),
            new: Vec::new(),
        }
    }

    /// The id of a listener.
    pub fn listener(&mut self, address: &SocketAddr) -> Option<u16> {
        let (number, is_new) = self.listeners.number(address)?;
        self.narrow(number, is_new, Id::Listener)
    }

    /// The id of a backend as a member of a pool.
    pub fn backend(&mut self, pool: &str, address: SocketAddr) -> Option<u16> {
        let (number, is_new) = self.backends.number(&MemberKey::new(pool, address))?;
        self.narrow(number, is_new, Id::Backend)
    }

    /// The id of a pool.
    pub fn pool(&mut self, name: &str) -> Option<u16> {
        let (number, is_new) = self.pools.number(name)?;
        self.narrow(number, is_new, Id::Pool)
    }

    /// Routes have got ids that others had before.
    pub(super) fn note_reused_routes(&mut self, ids: &[u32]) {
        self.new.extend(ids.iter().copied().map(Id::Route));
    }

    /// Somebody has an id already: a program that was loaded before uses it.
    pub fn restore_backend(&mut self, id: u16, member: MemberKey) {
        self.backends.restore(member, u32::from(id));
    }

    /// The same of a listener.
    pub fn restore_listener(&mut self, id: u16, address: SocketAddr) {
        self.listeners.restore(address, u32::from(id));
    }

    fn narrow(&mut self, number: u32, is_new: bool, id: fn(u16) -> Id) -> Option<u16> {
        let number = u16::try_from(number).ok()?;
        if is_new {
            self.new.push(id(number));
        }
        Some(number)
    }

    /// The ids given out since the last call. Their counters have to begin at zero.
    pub fn take_new(&mut self) -> Vec<Id> {
        std::mem::take(&mut self.new)
    }

    /// Frees all ids but those that a generation names. To be called when that generation is in force and
    /// no packet can see the one before it.
    pub fn retain(&mut self, names: &super::SnapshotNames) {
        let listeners: BTreeSet<_> = names.listeners.values().collect();
        let backends: BTreeSet<MemberKey> = names.backends.values().filter_map(|it| names.key(it)).collect();
        let pools: BTreeSet<_> = names.pools.values().collect();
        self.listeners.retain(|key| listeners.contains(key));
        self.backends.retain(|key| backends.contains(key));
        self.pools.retain(|key| pools.contains(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_keeps_its_number_and_a_freed_one_rests_longest() {
        let mut numbering = Numbering::new(3);
        assert_eq!(numbering.number(&"a"), Some((0, true)));
        assert_eq!(numbering.number(&"b"), Some((1, true)));
        assert_eq!(numbering.number(&"a"), Some((0, false)));
        numbering.retain(|key| *key == "b");
        assert_eq!(numbering.number(&"c"), Some((2, true)), "an unused number comes before a freed one");
        assert_eq!(numbering.number(&"d"), Some((0, true)));
        assert_eq!(numbering.number(&"e"), None);
        assert_eq!(numbering.number(&"b"), Some((1, false)));
    }
}
