//! What makes one configuration out of another.
//!
//! Whatever happens to the configuration in force, be it an edit, a whole file or a way back, is a change:
//! it is made in place, undone if anything goes wrong, written down, and tells the tables what to write.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::iter::Peekable;
use std::mem;

use serde::{Deserialize, Serialize};

use super::health::Health;
use super::model::{Config, Control, FastPath, Listen, Pool, SlowPath, Target};
use super::pattern::Pattern;

/// A change: what something becomes, or `None` if it is removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// All settings, if one of them changes.
    pub settings: Option<Box<Settings>>,
    /// Pools by name.
    pub pools: BTreeMap<String, Option<Pool>>,
    /// Routes by what they match.
    pub routes: BTreeMap<Pattern, Option<Target>>,
}

/// All of a configuration but its pools and routes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Where clients are served.
    pub listen: Listen,
    /// Sizes of the fast path.
    pub fast_path: FastPath,
    /// Limits of the slow path.
    pub slow_path: SlowPath,
    /// Where the daemon is controlled and keeps its pins.
    pub control: Control,
    /// What concerns the health of all pools.
    pub health: Health,
}

impl Change {
    /// What makes `new` out of `old`.
    pub fn between(old: &Config, new: &Config) -> Self {
        let settings = (old.settings() != new.settings()).then(|| Box::new(new.settings()));
        let pools = differences(&old.pools, &new.pools).collect();
        // Collected and not put in one by one, as they come in order.
        Self { settings, pools, routes: differences(&old.routes, &new.routes).collect() }
    }

    /// Does it change nothing?
    pub fn is_empty(&self) -> bool {
        let Self { settings, pools, routes } = self;
        settings.is_none() && pools.is_empty() && routes.is_empty()
    }

    /// Lets another change follow this one: together they are one.
    pub fn followed_by(&mut self, next: Self) {
        let Self { settings, pools, routes } = next;
        self.settings = settings.or(self.settings.take());
        self.pools.extend(pools);
        self.routes.extend(routes);
    }
}

impl Config {
    /// Makes a change; returns the one that undoes it.
    pub fn make(&mut self, change: &Change) -> Change {
        let Change { settings, pools, routes } = change;
        let mut undo = Change::default();
        if let Some(settings) = settings {
            undo.settings = Some(Box::new(self.settings()));
            let Settings { listen, fast_path, slow_path, control, health } = Settings::clone(settings);
            (self.listen, self.fast_path, self.slow_path, self.control, self.health) =
                (listen, fast_path, slow_path, control, health);
        }
        undo.pools = set_all(&mut self.pools, pools);
        undo.routes = set_all(&mut self.routes, routes);
        undo
    }

    /// All but pools and routes.
    pub fn settings(&self) -> Settings {
        let Self { listen, fast_path, slow_path, control, health, pools: _, routes: _ } = self;
        Settings {
            listen: listen.clone(),
            fast_path: fast_path.clone(),
            slow_path: slow_path.clone(),
            control: control.clone(),
            health: health.clone(),
        }
    }
}

/// Sets or removes entries; returns what was there before.
fn set_all<K: Ord + Clone, V: Clone>(
    map: &mut BTreeMap<K, V>,
    wanted: &BTreeMap<K, Option<V>>,
) -> BTreeMap<K, Option<V>> {
    // Putting them in one by one takes a search each.
    if wanted.len() > map.len() / 8 {
        return merge(map, wanted);
    }
    let set = |(key, value): (&K, &Option<V>)| {
        let before = match value {
            Some(value) => map.insert(key.clone(), value.clone()),
            None => map.remove(key),
        };
        (key.clone(), before)
    };
    wanted.iter().map(set).collect()
}

/// The same by going through both once, side by side.
fn merge<K: Ord + Clone, V: Clone>(
    map: &mut BTreeMap<K, V>,
    wanted: &BTreeMap<K, Option<V>>,
) -> BTreeMap<K, Option<V>> {
    let mut rest = mem::take(map).into_iter().peekable();
    let mut merged = Vec::with_capacity(rest.len() + wanted.len());
    let mut before = Vec::with_capacity(wanted.len());
    for (key, value) in wanted {
        while let Some(other) = rest.next_if(|(other, _)| other < key) {
            merged.push(other);
        }
        let (kept, old) = rest.next_if(|(other, _)| other == key).unzip();
        before.push((key.clone(), old));
        merged.extend(value.clone().map(|value| (kept.unwrap_or_else(|| key.clone()), value)));
    }
    merged.extend(rest);
    // They are in order, so that this takes no searches either.
    *map = merged.into_iter().collect();
    before.into_iter().collect()
}

/// What has to be set or removed in `old` to get `new`: both are gone through once, side by side.
fn differences<'m, K: Ord + Clone, V: Clone + PartialEq>(
    old: &'m BTreeMap<K, V>,
    new: &'m BTreeMap<K, V>,
) -> impl Iterator<Item = (K, Option<V>)> + use<'m, K, V> {
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    std::iter::from_fn(move || {
        loop {
            match order(&mut old, &mut new)? {
                Ordering::Less => return old.next().map(|(key, _)| (key.clone(), None)),
                Ordering::Greater => {
                    return new.next().map(|(key, value)| (key.clone(), Some(value.clone())));
                }
                Ordering::Equal => {
                    let ((_, before), (key, after)) = (old.next()?, new.next()?);
                    if before != after {
                        return Some((key.clone(), Some(after.clone())));
                    }
                }
            }
        }
    })
}

/// Which of the two has the next key; `None` at the end of both.
fn order<K: Ord, V>(
    old: &mut Peekable<impl Iterator<Item = (K, V)>>,
    new: &mut Peekable<impl Iterator<Item = (K, V)>>,
) -> Option<Ordering> {
    match (old.peek(), new.peek()) {
        (Some((old, _)), Some((new, _))) => Some(old.cmp(new)),
        (Some(_), None) => Some(Ordering::Less),
        (None, Some(_)) => Some(Ordering::Greater),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        let listen = "[listen]\naddresses = [\"192.0.2.53\"]\nxdp = \"off\"\n";
        Config::parse(&format!("{listen}{text}"), "test").unwrap()
    }

    const POOLS: &str = "[pools]\na.backends = [\"192.168.1.1\"]\nb.backends = [\"192.168.1.2\"]\n";

    #[test]
    fn a_change_leads_from_one_to_the_other_and_its_undo_back() {
        let texts = [
            format!("{POOLS}[routes]\n\"x.test\" = \"a\"\n\"y.test\" = \"b\"\n"),
            format!("{POOLS}[routes]\n\"x.test\" = \"b\"\n\"=x.test\" = \"a\"\n\".\" = \"a\"\n"),
            "[pools]\na.backends = [\"192.168.1.3\"]\n[slow_path]\ntimeout = \"1s\"\n".to_owned(),
            String::new(),
        ];
        let configs: Vec<Config> = texts.iter().map(|text| config(text)).collect();
        for old in &configs {
            for new in &configs {
                let change = Change::between(old, new);
                assert_eq!(change.is_empty(), old == new);
                let mut changed = old.clone();
                let undo = changed.make(&change);
                assert_eq!(changed, *new);
                changed.make(&undo);
                assert_eq!(changed, *old);
            }
        }
    }

    #[test]
    fn few_entries_are_set_as_many_are() {
        let map: BTreeMap<u8, u8> = (0..40).map(|key| (2 * key, 0)).collect();
        let few = [vec![(0, None), (5, Some(1))], vec![(78, Some(1))], vec![(79, Some(1)), (80, None)]];
        let many = (0..80).map(|key| (key, (key % 3 > 0).then_some(1))).collect();
        for wanted in few.into_iter().chain([many]) {
            let wanted = BTreeMap::from_iter(wanted);
            let (mut set, mut merged) = (map.clone(), map.clone());
            let undo = set_all(&mut set, &wanted);
            assert_eq!((&undo, &set), (&merge(&mut merged, &wanted), &merged), "{wanted:?}");
            set_all(&mut set, &undo);
            assert_eq!(set, map);
        }
    }

    #[test]
    fn changes_that_follow_each_other_are_one() {
        let [first, second, third] = [
            config(&format!("{POOLS}[routes]\n\"x.test\" = \"a\"\n")),
            config(&format!("{POOLS}[routes]\n\"x.test\" = \"b\"\n\"y.test\" = \"b\"\n")),
            config("[pools]\nb.backends = [\"192.168.1.9\"]\n[routes]\n\"y.test\" = \"b\"\n"),
        ];
        let mut change = Change::between(&first, &second);
        change.followed_by(Change::between(&second, &third));
        let mut changed = first;
        changed.make(&change);
        assert_eq!(changed, third);
    }
}
