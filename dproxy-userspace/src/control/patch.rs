//! What is written into a half of the tables, to make another generation of what it holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use dproxy_common::abi::{
    CandidateLine, Destination, Generation, LongName, Pool, Route, RouteBucket, RouteTarget,
};

use super::SnapshotNames;
use super::find::kind;
use crate::config::{Name, Pattern};

/// What becomes of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rows<T> {
    /// All of it, from the front; what is behind that does not matter.
    All(Vec<T>),
    /// Some entries, by index.
    Some(Vec<(u32, T)>),
}

impl<T> Rows<T> {
    /// Nothing.
    pub const NONE: Self = Self::Some(Vec::new());

    /// The entries with their indices.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let (all, some): (&[T], &[(u32, T)]) = match self {
            Self::All(all) => (all, &[]),
            Self::Some(some) => (&[], some),
        };
        (0..).zip(all).chain(some.iter().map(|(index, entry)| (*index, entry)))
    }

    /// Writes them into a table.
    pub fn write_to(&self, table: &mut Vec<T>)
    where
        T: Clone,
    {
        match self {
            Self::All(all) => table.clone_from(all),
            Self::Some(some) => {
                for (index, entry) in some {
                    let index = *index as usize;
                    if table.len() <= index {
                        table.resize(index + 1, entry.clone());
                    }
                    table[index] = entry.clone();
                }
            }
        }
    }
}

/// What makes a generation of the one before, whose half of the tables is equal to that to be written.
#[derive(Clone, Debug)]
pub struct Patch {
    /// What holds for the whole of it; its number says which half it goes to.
    pub generation: Generation,
    /// The destination table, if it changes.
    pub destinations: Option<Vec<Destination>>,
    /// The route index.
    pub buckets: Rows<RouteBucket>,
    /// Routes by index.
    pub routes: Rows<Route>,
    /// Long names by index.
    pub long_names: Rows<LongName>,
    /// Pools by id.
    pub pools: Rows<Pool>,
    /// The pools' candidates.
    pub candidates: Rows<CandidateLine>,
    /// Who is meant by the ids in it.
    pub names: Arc<SnapshotNames>,
    /// What to ask the program before it is put in force.
    pub questions: Vec<Question>,
}

impl Patch {
    /// The routes in it, by id, but for those of names whose long form is not in it.
    pub fn route_names(&self) -> BTreeMap<u32, Pattern> {
        let long_names: BTreeMap<u32, &LongName> = self.long_names.iter().collect();
        let mut names = BTreeMap::new();
        let mut add = |name: &Name, target: RouteTarget| {
            if let Some(kind) = kind(target.kind) {
                names.insert(target.route, Pattern { name: name.clone(), kind });
            }
        };
        for (_, route) in self.routes.iter() {
            let length = route.name_length as usize;
            let name = match long_names.get(&route.long_name).filter(|_| length > 8 * route.name.len()) {
                Some(long) => name(&long.0, length),
                None => name(&route.name, length),
            };
            if let Some(name) = name {
                add(&name, route.at);
                add(&name, route.below);
            }
        }
        add(&Name::root(), self.generation.root_at);
        add(&Name::root(), self.generation.root_below);
        names
    }
}

/// A name whose last octet is at the top of the last word.
fn name(words: &[u64], length: usize) -> Option<Name> {
    let octets: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    Name::from_wire(octets.get(octets.len().checked_sub(length)?..)?)
}

/// A name, and the route that a program has to find for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// In wire form, without the root octet.
    pub name: Vec<u8>,
    /// The route's id; `None`: no route.
    pub route: Option<u32>,
}
