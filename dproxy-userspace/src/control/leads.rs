//! What a configuration's routes say of each name.

use super::find::{is_long, names};
use crate::config::{Config, Name, Pattern, PatternKind, Target};

/// What a route leads to, by the kind of its pattern.
pub(super) type Lead<'c> = Option<(PatternKind, &'c Target)>;

/// How many names of a configuration have routes, besides the root, and how many of them have no room in a `Route`.
pub fn names_of(config: &Config) -> (usize, usize) {
    let (mut all, mut long) = (0, 0);
    for name in names(config.routes.keys()).filter(|name| !name.is_root()) {
        all += 1;
        long += usize::from(is_long(name.wire()));
    }
    (all, long)
}

/// What applies at and below each name of a configuration. Patterns come sorted by name, those of one name in
/// order of precedence: so the first to claim a side of a name has it.
pub(super) fn leads_by_name(config: &Config) -> impl Iterator<Item = (&Name, Lead<'_>, Lead<'_>)> {
    let mut routes = config.routes.iter().peekable();
    std::iter::from_fn(move || {
        let name = &routes.peek()?.0.name;
        let (mut at, mut below) = (None, None);
        while let Some((pattern, target)) = routes.next_if(|(pattern, _)| pattern.name == *name) {
            claim(pattern.kind, target, &mut at, &mut below);
        }
        Some((name, at, below))
    })
}

/// The same for one name.
pub(super) fn leads<'c>(config: &'c Config, name: &Name) -> (Lead<'c>, Lead<'c>) {
    let (mut at, mut below) = (None, None);
    for kind in [PatternKind::Exact, PatternKind::Wildcard, PatternKind::Subtree] {
        if let Some(target) = config.routes.get(&Pattern { name: name.clone(), kind }) {
            claim(kind, target, &mut at, &mut below);
        }
    }
    (at, below)
}

fn claim<'c>(kind: PatternKind, target: &'c Target, at: &mut Lead<'c>, below: &mut Lead<'c>) {
    let (is_at, is_below) = match kind {
        PatternKind::Exact => (true, false),
        PatternKind::Wildcard => (false, true),
        PatternKind::Subtree => (true, true),
    };
    if is_at {
        at.get_or_insert((kind, target));
    }
    if is_below {
        below.get_or_insert((kind, target));
    }
}
