//! Queries that wait for a reply from one socket, by the ID that they were sent with.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

use super::flights::Ticket;
use crate::random::Random;

/// IDs are random: they are their own hash.
#[derive(Default)]
pub(super) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, octets: &[u8]) {
        octets.iter().for_each(|octet| self.0 = self.0 << 8 | u64::from(*octet));
    }

    fn write_u16(&mut self, id: u16) {
        // The table looks at the highest and at the lowest bits.
        self.0 = u64::from(id).wrapping_mul(0x0001_0001_0001_0001);
    }
}

/// How a table by ID hashes.
pub(super) type ById = BuildHasherDefault<IdHasher>;

/// The queries that wait.
#[derive(Default)]
pub(super) struct Waiting(HashMap<u16, Ticket, ById>);

impl Waiting {
    /// An ID that no other query has. There are far fewer than 65,536.
    pub(super) fn take_id(&mut self, ticket: Ticket, random: &mut Random) -> u16 {
        loop {
            let id = random.next_u16();
            if let Entry::Vacant(free) = self.0.entry(id) {
                free.insert(ticket);
                return id;
            }
        }
    }

    /// Whose ID this is.
    pub(super) fn get(&self, id: u16) -> Option<Ticket> {
        self.0.get(&id).copied()
    }

    /// Gives an ID back.
    pub(super) fn release(&mut self, id: u16) {
        self.0.remove(&id);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn into_tickets(self) -> impl Iterator<Item = Ticket> {
        self.0.into_values()
    }
}
