//! Who of each pool gets queries, and how a pool gets by.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::super::Engine;
use super::super::events::EventKind;
use crate::config::{Pool, WeightedBackend, counted};
use crate::control::Delivery;
use crate::health::{self, Candidate, Decision, Mode, State};
use crate::network::Why;

impl Engine {
    /// Decides anew for all pools, from all that is known.
    pub(in crate::daemon) fn judge(&mut self) {
        if !self.health.is_on() {
            return;
        }
        let decide = |(name, pool): (&String, &Pool)| {
            let candidates: Vec<Candidate> =
                pool.backends.iter().map(|backend| self.candidate(name, backend)).collect();
            (name.clone(), health::decide(&candidates, pool.panic_threshold))
        };
        let decisions: BTreeMap<String, Decision> = self.config.pools.iter().map(decide).collect();
        let shares = |(name, decision): (&String, &Decision)| {
            let pool = self.config.pools.get(name)?;
            Some((name.clone(), self.shares(name, pool, decision)))
        };
        self.health.shares = decisions.iter().filter_map(shares).collect();
        let before = std::mem::replace(&mut self.health.decisions, decisions);
        self.tell_modes(&before);
    }

    fn candidate(&self, pool: &str, backend: &WeightedBackend) -> Candidate {
        let portrait = self.health.portrait(pool, backend.address);
        Candidate {
            has_share: backend.share() > 0,
            tier: backend.tier,
            is_reachable: self.is_reachable(backend.address),
            state: portrait.map_or(State::Checking, |portrait| portrait.state),
            is_silent: portrait.is_some_and(|portrait| portrait.is_silent),
        }
    }

    /// Events of pools that get by otherwise than before.
    fn tell_modes(&self, before: &BTreeMap<String, Decision>) {
        for (name, Decision { mode, members, usable, .. }) in &self.health.decisions {
            let was = before.get(name).map_or(Mode::Normal { tier: 1 }, |before| before.mode);
            if was == *mode {
                continue;
            }
            let up = format!("{usable} of {} up", counted(*members, "backend"));
            let (kind, text) = match mode {
                Mode::Normal { tier } if matches!(was, Mode::Normal { .. }) => {
                    (EventKind::PoolTier, format!("tier {tier} is in use: {up}"))
                }
                Mode::Normal { .. } => (EventKind::PoolNormal, format!("health counts again: {up}")),
                Mode::FailOpen => {
                    let why = self.commonest_cause(name).map(|why| format!("; {why}")).unwrap_or_default();
                    let text = format!("{up}, less than panic_threshold: health is ignored{why}");
                    (EventKind::PoolFailOpen, text)
                }
                Mode::Down => {
                    let then = self.config.pools.get(name).map(|pool| pool.when_down.to_string());
                    let text = format!("{up}, none can be used: {}", then.unwrap_or_default());
                    (EventKind::PoolDown, text)
                }
            };
            self.event(kind, Some(name), None, text);
        }
    }

    /// Why most of a pool's members are down.
    fn commonest_cause(&self, pool: &str) -> Option<String> {
        let members = &self.config.pools.get(pool)?.backends;
        let mut causes = BTreeMap::<String, usize>::new();
        for backend in members {
            let portrait = self.health.portrait(pool, backend.address);
            if let Some(cause) =
                portrait.filter(|it| it.state == State::Down).and_then(|it| it.cause.as_ref())
            {
                *causes.entry(cause.to_string()).or_default() += 1;
            }
        }
        let (cause, count) = causes.into_iter().max_by_key(|(_, count)| *count)?;
        let replying = members
            .iter()
            .filter_map(|backend| self.health.portrait(pool, backend.address))
            .map(|portrait| portrait.rates.1)
            .sum::<f64>();
        let yet = if replying >= 1.0 {
            format!(", yet they reply to {replying:.0} queries a second")
        } else {
            String::new()
        };
        Some(format!("{count} of them: {cause}{yet}"))
    }

    /// Is there a way to a backend, by either path?
    pub(in crate::daemon) fn is_reachable(&self, backend: SocketAddr) -> bool {
        if self.datapath.absence().is_some() {
            return true;
        }
        match self.deliveries.get(&backend) {
            Some(delivery) => {
                // A neighbour that has not answered before is asked again and again.
                let is_lost = matches!(delivery, Delivery::Unreachable(Why::Asked { .. }))
                    && self.reachability.is_lost(backend.ip());
                !is_lost && delivery.is_worth_trying()
            }
            None => true,
        }
    }
}
