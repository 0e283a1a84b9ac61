//! Which names an entry of the original ever applied to.

use super::prox::{Entries, Entry};
use crate::config::{Name, Pattern, PatternKind};

/// How the original came to an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// For these names.
    Names(Pattern),
    /// Never, and why.
    Nothing(String),
}

/// Which names the original looks `entry` up for, given the others.
pub(super) fn reach(entry: &Entry, entries: &Entries) -> Reach {
    let key = entry.key.as_str();
    let nothing = |why: &str| Reach::Nothing(why.to_owned());
    if key == "." {
        return nothing("the original does not answer queries for the root at all");
    }
    if key.contains('\\') {
        return nothing("the original compares names as text, so that escapes seldom work");
    }
    if key.starts_with("*.") && wildcard_base(key).is_none() {
        return nothing("in the original a wildcard works only in front of two labels: *.example.com");
    }
    let (kind, name) = match wildcard_base(key) {
        Some(base) => (PatternKind::Wildcard, base),
        None => (PatternKind::Exact, key),
    };
    let name: Name = match name.parse() {
        Ok(name) => name,
        Err(error) => return Reach::Nothing(format!("no query has such a name: {error}")),
    };
    if kind == PatternKind::Wildcard {
        return match entry.address {
            Some(_) => Reach::Names(Pattern { name, kind }),
            None => nothing("it has no address"),
        };
    }
    match (shadow(key, entries), &entry.port) {
        (Some(wildcard), _) => {
            Reach::Nothing(format!("in the original {wildcard} goes before every name below it"))
        }
        (None, None) => nothing("it has no port, without which the original does not find it"),
        (None, Some(_)) => Reach::Names(Pattern { name, kind }),
    }
}

/// The wildcard that takes an exact name's queries.
fn shadow<'k>(key: &'k str, entries: &Entries) -> Option<String> {
    // As the original does it: dots are counted, the one at the end too.
    let labels: Vec<&'k str> = key.split('.').collect();
    let [_, .., second, first, ""] = labels.as_slice() else { return None };
    let wildcard = format!("*.{second}.{first}.");
    entries.get(&wildcard)?.address.as_ref().map(|_| wildcard)
}

/// `cryo.network.` of `*.cryo.network.`, if the wildcard stands in front of two labels.
fn wildcard_base(key: &str) -> Option<&str> {
    let base = key.strip_prefix("*.")?;
    let labels: Vec<&str> = base.split('.').collect();
    matches!(labels.as_slice(), [second, first, ""] if !second.is_empty() && !first.is_empty())
        .then_some(base)
}
