//! Changes of the whole configuration, and what came of them.

use serde::{Deserialize, Serialize};

use super::{Route, Target};
use crate::config::counted;

/// `POST /v1/plan`: what an apply would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The generation in force, which is compared.
    pub generation: u64,
    /// Where the other configuration comes from: the path of a file, or `request`.
    pub source: String,
    /// Routes that differ.
    pub routes: RouteDifferences,
    /// Pools that differ.
    pub pools: PoolDifferences,
    /// Settings that differ, one sentence each.
    pub settings: Vec<String>,
    /// How many names get another verdict, of those that have routes.
    pub names_with_other_verdict: usize,
    /// Those of the settings that take effect at the next start.
    pub restart_needed: Vec<String>,
    /// Pools and routes of which live edits would be undone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undoes: Vec<String>,
}

impl Plan {
    /// In a sentence: `12 routes, 1 pool differ; 14 names get another verdict`.
    pub fn summary(&self) -> String {
        if self.is_empty() {
            return "nothing differs".to_owned();
        }
        let all =
            [(self.routes.count(), "route"), (self.pools.count(), "pool"), (self.settings.len(), "setting")];
        let differ: Vec<(usize, &str)> = all.into_iter().filter(|(count, _)| *count > 0).collect();
        let subject = differ.iter().map(|(count, noun)| counted(*count, noun)).collect::<Vec<_>>().join(", ");
        let verb = if matches!(differ[..], [(1, _)]) { "differs" } else { "differ" };
        let names = self.names_with_other_verdict;
        let get = if names == 1 { "gets" } else { "get" };
        format!("{subject} {verb}; {} {get} another verdict", counted(names, "name"))
    }

    /// Does nothing differ?
    pub fn is_empty(&self) -> bool {
        let Self { routes, pools, settings, .. } = self;
        routes.count() == 0 && pools.count() == 0 && settings.is_empty()
    }
}

/// The first of many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excerpt<T> {
    /// How many there are.
    pub count: usize,
    /// The first of them.
    pub first: Vec<T>,
}

impl<T> Excerpt<T> {
    /// So many are listed at most.
    pub const LISTED: usize = 100;

    /// Counts one more, and lists it if there is room: only then it is made.
    pub fn push(&mut self, one: impl FnOnce() -> T) {
        self.count += 1;
        if self.first.len() < Self::LISTED {
            self.first.push(one());
        }
    }
}

impl<T> Default for Excerpt<T> {
    fn default() -> Self {
        Self { count: 0, first: Vec::new() }
    }
}

/// Routes that differ.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteDifferences {
    /// Those of patterns without a route so far.
    pub added: Excerpt<Route>,
    /// Those of patterns that have no route any more.
    pub removed: Excerpt<Route>,
    /// Those that lead elsewhere.
    pub changed: Excerpt<ChangedRoute>,
}

impl RouteDifferences {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.added.count + self.removed.count + self.changed.count
    }
}

/// A route that leads elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedRoute {
    /// What it matches.
    pub pattern: String,
    /// Where it is to lead.
    #[serde(flatten)]
    pub target: Target,
    /// Where it leads now.
    pub before: Target,
}

/// Pools that differ.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolDifferences {
    /// New ones, and what they are like.
    pub added: Excerpt<PoolDifference>,
    /// Those that go.
    pub removed: Excerpt<PoolDifference>,
    /// Those that change, and how.
    pub changed: Excerpt<PoolDifference>,
}

impl PoolDifferences {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.added.count + self.removed.count + self.changed.count
    }
}

/// A pool that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolDifference {
    /// Its name.
    pub name: String,
    /// What it is like, or how it changes: phrases such as `backend 192.0.2.1:53 added, weight 1`.
    pub what: Vec<String>,
}

/// `POST /v1/apply` and `POST /v1/rollback`: what was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// The generation in force, the change included.
    pub generation: u64,
    /// False if nothing differed.
    pub changed: bool,
    /// What has changed.
    pub plan: Plan,
    /// When it is taken back unless it is confirmed before, in UTC (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm_until: Option<String>,
}

/// `POST /v1/rollback`: `{}` or `{"generation": 41}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    /// The generation to return to; without it, the one before the one in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
}

/// `GET /v1/generations`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The generations that can be returned to and the one in force, the newest first.
    pub generations: Vec<Generation>,
}

/// A generation, and what made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// Its number.
    pub generation: u64,
    /// Since when, in UTC (RFC 3339).
    pub at: String,
    /// Who made it.
    pub by: String,
    /// What kind of change it was: `start`, `edit`, `apply`, `rollback`, …
    pub kind: String,
    /// What changed, one phrase each.
    pub what: Vec<String>,
    /// Is it the one in force?
    pub in_force: bool,
    /// Does it wait to be confirmed?
    pub unconfirmed: bool,
}
