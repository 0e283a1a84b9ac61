//! Rules for `[routes]`.

use std::collections::BTreeSet;

use crate::config::model::{Config, Target};
use crate::config::problem::{Place, Problem};
use crate::config::wording::{Quoted, counted, listed, nearest};
use crate::config::words::Answer;

/// Most different label counts among the names that have routes, besides the root's. The fast path
/// looks a name up once for each of them, so this bounds the work for a packet; it is
/// `dproxy_common::abi::MAX_DEPTHS`.
pub const MAX_LABEL_COUNTS: usize = 32;

pub(super) fn check(config: &Config, found: &mut Vec<Problem>) {
    for (pattern, target) in &config.routes {
        match target {
            Target::Pool(pool) if !config.pools.contains_key(&**pool) => {
                let says = format!("names pool {}, which does not exist", Quoted(pool));
                found.push(
                    Problem::new(Place::Route(pattern.clone()), says, known_targets(config, pool))
                        .against(Place::Pools),
                );
            }
            Target::Pool(_) | Target::Answer(_) => {}
        }
    }
    // Patterns are ordered by name, so that those of one name are neighbours.
    let mut names: Vec<_> = config.routes.keys().map(|pattern| &pattern.name).collect();
    names.dedup();
    names.retain(|name| !name.is_root());
    let capacity = config.fast_path.routes;
    if names.len() > capacity as usize {
        let says = format!("has routes for {}", counted(names.len(), "name"));
        let allowed = format!("at most fast_path.routes, {capacity}; a larger one needs a restart");
        found.push(Problem::new(Place::Routes, says, allowed).against(Place::RouteCapacity));
    }
    let label_counts: BTreeSet<_> = names.iter().map(|name| name.label_count()).collect();
    if label_counts.len() > MAX_LABEL_COUNTS {
        let says = format!("has names with {} different numbers of labels", label_counts.len());
        let allowed = format!("at most {MAX_LABEL_COUNTS}, a limit of the fast path");
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
