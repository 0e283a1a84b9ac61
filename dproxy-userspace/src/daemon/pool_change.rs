//! A live edit of a pool's settings.

use std::fmt;
use std::time::Duration;

use super::edit::{EditError, pool};
use crate::config::{
    Config, HashInput, PanicThreshold, Place, Policy, Problem, Quoted, Refusal, WhenDown, duration_text,
};

/// What is to be changed of a pool; what is `None` stays. Of what need not be there, the inner `None` takes it away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "as the pool's settings")]
pub struct PoolChange {
    pub policy: Option<Policy>,
    pub hash: Option<HashInput>,
    pub panic_threshold: Option<PanicThreshold>,
    pub when_down: Option<WhenDown>,
    pub slow_start: Option<Option<Duration>>,
    pub bounded_load: Option<Option<u16>>,
}

impl PoolChange {
    /// Makes the change. A policy of the same kind keeps what it hashes.
    pub(super) fn apply(&self, config: &mut Config, name: &str) -> Result<(), EditError> {
        let Self { policy, hash, panic_threshold, when_down, slow_start, bounded_load } = self;
        let pool = pool(config, name)?;
        if let Some(policy) = policy {
            let kept = pool.policy.hash().filter(|_| policy.hash().is_some());
            pool.policy = kept.and_then(|hash| policy.with_hash(hash).ok()).unwrap_or(*policy);
        }
        if let Some(hash) = hash {
            pool.policy = pool.policy.with_hash(*hash).map_err(|Refusal { allowed, .. }| {
                let says = format!("is given with policy \"{}\", which hashes nothing", pool.policy);
                let place = Place::PoolSetting(name.to_owned(), "hash");
                EditError::Invalid(vec![Problem::new(place, says, allowed)])
            })?;
        }
        pool.panic_threshold = panic_threshold.unwrap_or(pool.panic_threshold);
        if let Some(when_down) = when_down {
            pool.when_down = when_down.clone();
        }
        pool.slow_start = slow_start.unwrap_or(pool.slow_start);
        pool.bounded_load = bounded_load.unwrap_or(pool.bounded_load);
        Ok(())
    }

    /// In words, for the history.
    pub(super) fn describe(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { policy, hash, panic_threshold, when_down, slow_start, bounded_load } = self;
        let off = || "off".to_owned();
        let settings = [
            ("policy", policy.map(|policy| policy.to_string())),
            ("hash", hash.map(|hash| hash.to_string())),
            ("panic_threshold", panic_threshold.map(|PanicThreshold(percent)| percent.to_string())),
            ("when_down", when_down.as_ref().map(ToString::to_string)),
            ("slow_start", slow_start.map(|time| time.map_or_else(off, duration_text))),
            (
                "bounded_load",
                bounded_load.map(|percent| percent.map_or_else(off, |percent| percent.to_string())),
            ),
        ];
        let settings = settings.into_iter().filter_map(|(key, value)| Some(format!("{key} to {}", value?)));
        write!(f, "set {} of pool {}", settings.collect::<Vec<_>>().join(", "), Quoted(name))
    }
}
