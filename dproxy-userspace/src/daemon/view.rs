//! The engine's state, as the API shows it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use dproxy_common::abi::NextHop;

use super::Engine;
use super::edit::EditError;
use super::way::Way;
use crate::api::{self, ApiError, NameRoutes, Pools, Routes, Status};
use crate::config::{
    Config, Name, Pattern, Place, Pool, Switch, Target, WeightedBackend, counted, listed, matching,
};
use crate::health::{Mode, State};
use crate::slow_path::Limits;
use crate::state::Header;
use crate::time::rfc3339;

impl Engine {
    /// Everything on one screen.
    pub fn status(&self) -> Result<Status, ApiError> {
        let slow = self.proxy.counters();
        let queries = self.queries(&slow)?;
        let interfaces = self.datapath.attachments().into_iter().map(|attachment| api::Interface {
            name: attachment.interface,
            mode: attachment.mode.to_string(),
            fallback: attachment.fallback,
        });
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            process: std::process::id(),
            since: rfc3339(self.life.since),
            uptime_seconds: self.life.started.elapsed().as_secs(),
            config: self.life.config_file.clone(),
            file_differs: self.file_differs(),
            state: api::StateFolder {
                folder: self.store.path().display().to_string(),
                problem: self.store.problem().map(ToString::to_string),
            },
            unconfirmed: self.unconfirmed.as_ref().map(|waiting| waiting.view(self.generation)),
            live_edits: self.life.live_edits,
            generation: self.generation,
            fast_path_off: self.datapath.absence().map(str::to_owned),
            interfaces: interfaces.collect(),
            slow_path: api::SlowPath {
                workers: Limits::from(&self.config.slow_path).workers,
                tcp_connections: slow.tcp_connections,
                backend_connections: slow.backend_connections,
            },
            listeners: self.config.listen.addresses.clone(),
            routes: self.config.routes.len(),
            pools: self.pools().pools,
            queries_per_second: self.life.queries.per_second(Instant::now(), queries),
            broken: self.broken(),
            warnings: self.warnings(),
            notes: self.life.notes.clone(),
        })
    }

    /// Number of the generation in force.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The configuration in force.
    pub fn configuration(&self) -> Config {
        self.config.clone()
    }

    /// The generations that can be returned to.
    pub fn history(&self) -> api::History {
        let waiting = self.store.unconfirmed().map(|header| (header, true));
        let all = waiting.into_iter().chain(self.store.history().iter().map(|header| (header, false)));
        let generation = |(header, unconfirmed): (&Header, bool)| api::Generation {
            generation: header.generation,
            at: header.at.clone(),
            by: header.by.to_string(),
            kind: header.kind.to_string(),
            what: header.what.clone(),
            in_force: header.generation == self.generation,
            unconfirmed,
        };
        api::History { generations: all.map(generation).collect() }
    }

    /// All routes.
    pub fn routes(&self) -> Routes {
        let routes = self.config.routes.iter().map(|(pattern, target)| route_view(pattern, target));
        Routes { generation: self.generation, routes: routes.collect() }
    }

    /// The route of a pattern.
    pub fn route(&self, pattern: &Pattern) -> Result<api::Route, EditError> {
        match self.config.routes.get(pattern) {
            Some(target) => Ok(route_view(pattern, target)),
            None => Err(EditError::NotThere(Place::Route(pattern.clone()))),
        }
    }

    /// The routes that match a name.
    pub fn name_routes(&self, name: &Name) -> NameRoutes {
        let mut matching = matching(&self.config, name);
        let applied = matching.next();
        let pool = match applied {
            Some((_, Target::Pool(pool))) => self.pool(pool).ok(),
            Some((_, Target::Answer(_))) | None => None,
        };
        NameRoutes {
            generation: self.generation,
            name: name.to_string(),
            route: applied.map(|(pattern, target)| route_view(pattern, target)),
            pool,
            also_matching: matching.map(|(pattern, target)| route_view(pattern, target)).collect(),
        }
    }

    /// All pools.
    pub fn pools(&self) -> Pools {
        let pools = self.config.pools.iter().map(|(name, pool)| self.pool_view(name, pool));
        Pools { generation: self.generation, pools: pools.collect() }
    }

    /// The pool of a name.
    pub fn pool(&self, name: &str) -> Result<api::Pool, EditError> {
        Ok(self.pool_view(name, self.configured(name)?))
    }

    /// The backends of a pool, or of all.
    pub fn backends(&self, pool: Option<&str>) -> Result<api::Backends, EditError> {
        let members = |name: &str, pool: &Pool| {
            let member = |backend| api::PoolBackend {
                pool: name.to_owned(),
                backend: self.backend_view(name, pool, backend),
            };
            pool.backends.iter().map(member).collect::<Vec<_>>()
        };
        let backends = match pool {
            Some(name) => members(name, self.configured(name)?),
            None => self.config.pools.iter().flat_map(|(name, pool)| members(name, pool)).collect(),
        };
        Ok(api::Backends { generation: self.generation, backends })
    }

    /// A backend as a member of a pool.
    pub(super) fn member(&self, pool: &str, address: SocketAddr) -> Option<api::Backend> {
        let (name, pool) = self.config.pools.get_key_value(pool)?;
        let backend = pool.backends.iter().find(|backend| backend.address == address)?;
        Some(self.backend_view(name, pool, backend))
    }

    fn configured(&self, pool: &str) -> Result<&Pool, EditError> {
        self.config.pools.get(pool).ok_or_else(|| EditError::NotThere(Place::Pool(pool.to_owned())))
    }

    fn pool_view(&self, name: &str, pool: &Pool) -> api::Pool {
        let leads_here = |target: &&Target| matches!(target, Target::Pool(pool) if **pool == *name);
        let decision = self.health.decision(name);
        api::Pool {
            name: name.to_owned(),
            policy: pool.policy.to_string(),
            hash: pool.policy.hash().map(|hash| hash.to_string()),
            primary: pool.primary,
            proxy_protocol: pool.proxy_protocol,
            switch: pool.switch.as_ref().map(switch_view),
            mode: decision.map(|decision| mode_word(decision.mode).to_owned()),
            tier: decision.and_then(|decision| match decision.mode {
                Mode::Normal { tier } => Some(tier).filter(|tier| *tier != WeightedBackend::FIRST_TIER),
                Mode::FailOpen | Mode::Down => None,
            }),
            backends: pool.backends.iter().map(|backend| self.backend_view(name, pool, backend)).collect(),
            routes: self.config.routes.values().filter(leads_here).count(),
        }
    }

    fn backend_view(&self, name: &str, pool: &Pool, backend: &WeightedBackend) -> api::Backend {
        let WeightedBackend { address, weight, drained, tier } = *backend;
        let Way { path, why, next_hop } = self.way(pool, address);
        let next_hop = next_hop.map(|hop| self.next_hop_view(&hop));
        let health = self.health_view(name, pool, address);
        let reachable = path != api::Path::None;
        api::Backend { address, weight, drained, tier, health, reachable, path, why, next_hop }
    }

    /// Whether a backend of a pool does its work.
    fn health_view(&self, name: &str, pool: &Pool, address: SocketAddr) -> Option<api::Health> {
        let portrait = self.health.portrait(name, address)?;
        let index = pool.backends.iter().position(|backend| backend.address == address)?;
        let is_open = self.health.decision(name).and_then(|decision| decision.open.get(index).copied());
        let is_down = portrait.state == State::Down;
        Some(api::Health {
            state: portrait.state.word().to_owned(),
            since: rfc3339(portrait.since),
            seconds: portrait.since.elapsed().unwrap_or_default().as_secs(),
            why: portrait.cause.as_ref().filter(|_| is_down).map(ToString::to_string),
            flaps: portrait.flaps,
            gets_queries: is_open.unwrap_or(true) && pool.backends[index].share() > 0,
            check_microseconds: portrait.latency.map(|latency| latency.as_micros() as u64),
            serial: portrait.serial,
            queries_per_second: portrait.rates.0.round() as u64,
            replies_per_second: portrait.rates.1.round() as u64,
        })
    }

    /// What is broken, the worst first.
    fn broken(&self) -> Vec<String> {
        let mut broken: Vec<String> = self.watchdog.faults.iter().cloned().collect();
        let mut less_bad = Vec::new();
        for (name, pool) in &self.config.pools {
            let Some(decision) = self.health.decision(name) else { continue };
            let down = pool.backends.iter().filter_map(|backend| {
                let health = self.health_view(name, pool, backend.address)?;
                Some(format!("{} ({})", backend.address, health.why?))
            });
            let down: Vec<String> = down.collect();
            let who = listed(down.iter().map(String::as_str));
            match decision.mode {
                Mode::Down => broken.push(format!("pool {name}: no backend can be used: {who}")),
                Mode::FailOpen => broken.push(format!(
                    "pool {name}: {} of {} up, so that health is ignored: {who}",
                    decision.usable,
                    counted(decision.members, "backend")
                )),
                Mode::Normal { .. } if !down.is_empty() => less_bad.push(format!("pool {name}: down: {who}")),
                Mode::Normal { .. } => {}
            }
        }
        broken.extend(less_bad);
        broken
    }

    fn next_hop_view(&self, hop: &NextHop) -> api::NextHop {
        let attachments = self.datapath.attachments();
        let interface = attachments.into_iter().find(|attachment| attachment.index == hop.interface);
        let tags = [(hop.tags.outer_tpid, hop.tags.outer_tci), (hop.tags.inner_tpid, hop.tags.inner_tci)];
        let tagged = tags.into_iter().filter(|(tpid, _)| tpid.get() != 0);
        api::NextHop {
            interface: interface.map_or_else(|| hop.interface.to_string(), |found| found.interface),
            mac: format!("{:?}", hop.macs.destination()),
            // The lower twelve bits (IEEE 802.1Q).
            vlans: tagged.map(|(_, tci)| tci.get() & 0xfff).collect(),
            source: hop.source.into(),
        }
    }

    /// What an operator should know.
    fn warnings(&self) -> Vec<String> {
        let mut warnings = self.life.warnings.clone();
        let mut fallen = BTreeMap::<String, Vec<String>>::new();
        for attachment in self.datapath.attachments() {
            if let Some(why) = attachment.fallback {
                fallen.entry(why).or_default().push(attachment.interface);
            }
        }
        for (why, interfaces) in fallen {
            let interfaces = interfaces.join(", ");
            warnings.push(format!("{interfaces}: generic XDP, which is slower than native: {why}"));
        }
        warnings.extend(self.datapath.intruders());
        for pool in self.pools().pools {
            let used = pool.backends.iter().filter(|backend| backend.weight > 0 && !backend.drained);
            let unreachable = used.clone().filter(|backend| !backend.reachable).count();
            if unreachable > 0 {
                let all = counted(used.count(), "backend");
                warnings.push(format!("pool {}: {unreachable} of {all} not reachable", pool.name));
            }
        }
        warnings
    }
}

/// A route, as the API shows it.
pub(super) fn route_view(pattern: &Pattern, target: &Target) -> api::Route {
    api::Route { pattern: pattern.to_string(), target: target_view(target) }
}

/// Where a route leads, as the API shows it.
pub(super) fn target_view(target: &Target) -> api::Target {
    match target {
        Target::Pool(name) => api::Target::Pool(name.to_string()),
        Target::Answer(answer) => api::Target::Answer(answer.to_string()),
    }
}

fn switch_view(Switch { to, percent }: &Switch) -> api::Switch {
    api::Switch { to: to.to_string(), percent: *percent }
}

const fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Normal { .. } => "normal",
        Mode::FailOpen => "fail-open",
        Mode::Down => "down",
    }
}
