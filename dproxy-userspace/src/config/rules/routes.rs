//! Rules for `[routes]`.

use std::collections::BTreeSet;

use crate::config::change::Change;
use crate::config::model::{Config, Target};
use crate::config::name::Name;
use crate::config::pattern::Pattern;
use crate::config::problem::{Place, Problem};
use crate::config::wording::{Quoted, counted, listed, nearest};
use crate::config::words::Answer;

/// Most different label counts among the names that have routes, besides the root's. The fast path
/// looks a name up once for each of them, so this bounds the work for a packet; it is
/// `dproxy_common::abi::MAX_DEPTHS`.
pub const MAX_LABEL_COUNTS: usize = 32;

/// Most names that may have routes, besides the root: what the largest tables of the fast path hold.
pub const MAX_ROUTES: usize = 1 << 22;

pub(super) fn check(config: &Config, found: &mut Vec<Problem>) {
    for (pattern, target) in &config.routes {
        check_target(config, pattern, target, found);
    }
    let names = names(config);
    check_number(names.len(), found);
    let label_counts: BTreeSet<_> = names.iter().map(|name| name.label_count()).collect();
    if label_counts.len() > MAX_LABEL_COUNTS {
        let says = format!("has names with {} different numbers of labels", label_counts.len());
        let allowed = format!("at most {MAX_LABEL_COUNTS}, a limit of the fast path");
        found.push(Problem::new(Place::Routes, says, allowed));
    }
}

pub(super) fn check_change(config: &Config, change: &Change, found: &mut Vec<Problem>) {
    if change.pools.values().any(Option::is_none) {
        for (pattern, target) in &config.routes {
            check_target(config, pattern, target, found);
        }
    } else {
        for (pattern, target) in &change.routes {
            if let Some(target) = target {
                check_target(config, pattern, target, found);
            }
        }
    }
    // There are no more names than routes.
    if config.routes.len() > MAX_ROUTES {
        check_number(names(config).len(), found);
    }
}

/// The names that have routes, besides the root.
fn names(config: &Config) -> Vec<&Name> {
    // Patterns are ordered by name, so that those of one name are neighbours.
    let mut names: Vec<_> = config.routes.keys().map(|pattern| &pattern.name).collect();
    names.dedup();
    names.retain(|name| !name.is_root());
    names
}

fn check_target(config: &Config, pattern: &Pattern, target: &Target, found: &mut Vec<Problem>) {
    match target {
        Target::Pool(pool) if !config.pools.contains_key(&**pool) => {
            let says = format!("names pool {}, which does not exist", Quoted(pool));
            let problem = Problem::new(Place::Route(pattern.clone()), says, known_targets(config, pool));
            found.push(problem.against(Place::Pools));
        }
        Target::Pool(_) | Target::Answer(_) => {}
    }
}

fn check_number(names: usize, found: &mut Vec<Problem>) {
    if names > MAX_ROUTES {
        let says = format!("has routes for {}", counted(names, "name"));
        let allowed = format!("at most {MAX_ROUTES}, a limit of the fast path");
        found.push(Problem::new(Place::Routes, says, allowed));
    }
}

fn known_targets(config: &Config, given: &str) -> String {
    let pools = || config.pools.keys().map(String::as_str);
    let known = if config.pools.is_empty() { "none yet".to_owned() } else { listed(pools()) };
    let answers = Answer::WORDS.map(|word| format!("\"{word}\"")).join(" | ");
    let hint = match nearest(given, pools().chain(Answer::WORDS)) {
        Some(answer) if Answer::WORDS.contains(&answer) => {
            format!("; did you mean {{ answer = \"{answer}\" }}?")
        }
        Some(pool) => format!("; did you mean \"{pool}\"?"),
        None => String::new(),
    };
    format!("a pool defined under [pools] ({known}) or an answer ({{ answer = {answers} }}){hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_limit() {
        let mut found = Vec::new();
        check_number(MAX_ROUTES, &mut found);
        assert!(found.is_empty());
        check_number(MAX_ROUTES + 1, &mut found);
        assert_eq!(
            found[0].to_string(),
            "[routes] has routes for 4194305 names; allowed: at most 4194304, a limit of the fast path"
        );
    }
}
