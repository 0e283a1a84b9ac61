//! How many names' verdicts differ between two configurations.

use std::collections::btree_map::Iter;
use std::iter::Peekable;

use super::model::{Config, Target};
use super::name::Name;
use super::pattern::{Pattern, PatternKind};
use super::words::Answer;

impl Config {
    /// Of the names that either configuration has routes for, how many lead somewhere else in the other one:
    /// themselves, or the names right below them that have no routes of their own.
    pub fn verdict_changes(old: &Self, new: &Self) -> usize {
        let (mut old, mut new) = (Walk::of(old), Walk::of(new));
        let mut changes = 0;
        while let Some(name) = next_name(old.name(), new.name()) {
            changes += usize::from(old.step(name) != new.step(name));
        }
        changes
    }
}

/// The name that comes first.
fn next_name<'c>(old: Option<&'c Name>, new: Option<&'c Name>) -> Option<&'c Name> {
    match (old, new) {
        (Some(old), Some(new)) => Some(old.min(new)),
        (name, None) | (None, name) => name,
    }
}

/// Where a query goes that no route is for.
const NO_ROUTE: Target = Target::Answer(Answer::Refused);

/// A configuration's names from the root downwards: a name stands behind all those that it is below.
struct Walk<'c> {
    routes: Peekable<Iter<'c, Pattern, Target>>,
    /// The names above the current one, and where names below them go; each is below the one before it.
    above: Vec<(&'c Name, &'c Target)>,
}

/// Where queries go.
#[derive(PartialEq)]
struct Verdict<'c> {
    at_the_name: &'c Target,
    below: &'c Target,
}

impl<'c> Walk<'c> {
    fn of(config: &'c Config) -> Self {
        Self { routes: config.routes.iter().peekable(), above: Vec::new() }
    }

    /// The next name that has routes.
    fn name(&mut self) -> Option<&'c Name> {
        self.routes.peek().map(|(pattern, _)| &pattern.name)
    }

    /// Goes on to a name, which is the next one or stands in front of that.
    fn step(&mut self, name: &Name) -> Verdict<'c> {
        while self.above.pop_if(|(above, _)| !name.is_below(above)).is_some() {}
        let inherited = self.above.last().map_or(&NO_ROUTE, |(_, target)| target);
        let (mut exact, mut wildcard, mut subtree, mut same) = (None, None, None, None);
        while let Some((pattern, target)) = self.routes.next_if(|(pattern, _)| pattern.name == *name) {
            same = Some(&pattern.name);
            match pattern.kind {
                PatternKind::Exact => exact = Some(target),
                PatternKind::Wildcard => wildcard = Some(target),
                PatternKind::Subtree => subtree = Some(target),
            }
        }
        let at_the_name = exact.or(subtree).unwrap_or(inherited);
        let below = wildcard.or(subtree).unwrap_or(inherited);
        self.above.extend(same.map(|name| (name, below)));
        Verdict { at_the_name, below }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn config(routes: &[(String, &str)]) -> Config {
        let routes = routes.iter();
        let routes = routes.map(|(pattern, target)| (pattern.parse().unwrap(), Target::from_word(target)));
        Config { routes: routes.collect(), ..Config::default() }
    }

    fn changes(old: &[(&str, &'static str)], new: &[(&str, &'static str)]) -> usize {
        let [old, new] = [old, new].map(|routes| {
            config(
                &routes.iter().map(|(pattern, target)| ((*pattern).to_owned(), *target)).collect::<Vec<_>>(),
            )
        });
        Config::verdict_changes(&old, &new)
    }

    #[test]
    fn what_counts() {
        let old = [(".", "a"), ("x.test", "a"), ("*.y.test", "b"), ("=z.y.test", "a")];
        assert_eq!(changes(&old, &old), 0);
        assert_eq!(changes(&[], &old), 4);
        // Every name goes elsewhere, but x.test says where it goes.
        assert_eq!(changes(&old, &[(".", "b"), old[1], old[2], old[3]]), 2);
        // A route that says what is so anyway.
        assert_eq!(changes(&old, &[old[0], old[2], old[3]]), 0);
        assert_eq!(changes(&[], &[(".", "refused"), ("test", "refused")]), 0);
        // Exact and wildcard together are a subtree.
        assert_eq!(changes(&[("t", "a")], &[("=t", "a"), ("*.t", "a")]), 0);
        assert_eq!(changes(&[("t", "a")], &[("=t", "a")]), 1);
        assert_eq!(changes(&[("t", "a")], &[("=t", "b"), ("*.t", "a")]), 1);
        // Labels end where they end: a label that only ends like another name is not below it.
        assert_eq!(changes(&[("a", "b")], &[("a", "b"), (r"x\001a", "refused")]), 0);
    }

    /// Where a query for `name` goes, by looking for every name above it.
    fn verdict(config: &Config, name: &Name) -> Target {
        let target = |name: &Name, kind| config.routes.get(&Pattern { name: name.clone(), kind });
        let at = |name: &Name, kinds: [_; 2]| kinds.into_iter().find_map(|kind| target(name, kind)).cloned();
        let above = std::iter::successors(name.parent(), Name::parent);
        at(name, [PatternKind::Exact, PatternKind::Subtree])
            .or_else(|| {
                above.into_iter().find_map(|name| at(&name, [PatternKind::Wildcard, PatternKind::Subtree]))
            })
            .unwrap_or(NO_ROUTE)
    }

    fn routes() -> impl Strategy<Value = Vec<(String, &'static str)>> {
        let pattern = r"\.|\*\.|=\.|(=|\*\.)?([ab]|x\\001a)(\.[ab]){0,3}";
        vec((pattern, prop::sample::select(vec!["p", "q", "refused", "drop"])), 0..12)
    }

    proptest! {
        #[test]
        fn as_many_as_a_slow_count_finds(old in routes(), new in routes()) {
            let (old, new) = (config(&old), config(&new));
            let names: BTreeSet<_> =
                old.routes.keys().chain(new.routes.keys()).map(|pattern| &pattern.name).collect();
            let differs = |name: &&&Name| {
                let below = format!("no-route.{name}").replace("no-route..", "no-route").parse().unwrap();
                verdict(&old, name) != verdict(&new, name) || verdict(&old, &below) != verdict(&new, &below)
            };
            prop_assert_eq!(Config::verdict_changes(&old, &new), names.iter().filter(differs).count());
        }
    }
}
