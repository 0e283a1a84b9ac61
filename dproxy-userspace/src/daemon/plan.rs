//! What a change is, for people to read before it is made. Pure.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::Serialize;
use serde_json::{Map, Value};

use super::view::{route_view, target_view};
use crate::api::{ChangedRoute, Plan, PoolDifference, PoolDifferences, RouteDifferences};
use crate::config::{Change, Config, Policy, Pool, Settings, Switch, WeightedBackend};

/// Settings, and whole sections, that take effect at the next start only.
const AT_START: [&str; 5] =
    ["listen.interfaces", "listen.xdp", "fast_path.slots", "fast_path.nat_ports", "control."];

/// What the change that makes `new` out of `old` is. It is compared with `generation`; `new` comes from
/// `source`.
pub(super) fn plan(
    (old, new): (&Config, &Config),
    change: &Change,
    generation: u64,
    source: String,
    names_with_other_verdict: usize,
) -> Plan {
    let changed = match &change.settings {
        Some(_) => settings(&old.settings(), &new.settings()),
        None => BTreeMap::new(),
    };
    let at_start = |key: &&String| AT_START.iter().any(|start| key.starts_with(start));
    Plan {
        generation,
        source,
        routes: routes(old, change),
        pools: pools(old, change),
        restart_needed: changed.keys().filter(at_start).cloned().collect(),
        settings: changed.into_values().collect(),
        names_with_other_verdict,
        undoes: Vec::new(),
    }
}

fn routes(old: &Config, change: &Change) -> RouteDifferences {
    let mut routes = RouteDifferences::default();
    // Both are in order, and a search for each would take longer.
    let mut before = old.routes.iter().peekable();
    for (pattern, wanted) in &change.routes {
        while before.next_if(|(other, _)| *other < pattern).is_some() {}
        match (before.next_if(|(other, _)| *other == pattern).map(|(_, target)| target), wanted) {
            (None, Some(target)) => routes.added.push(|| route_view(pattern, target)),
            (Some(target), None) => routes.removed.push(|| route_view(pattern, target)),
            (Some(before), Some(target)) => routes.changed.push(|| ChangedRoute {
                pattern: pattern.to_string(),
                target: target_view(target),
                before: target_view(before),
            }),
            (None, None) => {}
        }
    }
    routes
}

fn pools(old: &Config, change: &Change) -> PoolDifferences {
    let mut pools = PoolDifferences::default();
    for (name, wanted) in &change.pools {
        let difference = |what| PoolDifference { name: name.clone(), what };
        match (old.pools.get(name), wanted) {
            (None, Some(pool)) => pools.added.push(|| difference(description(pool))),
            (Some(_), None) => pools.removed.push(|| difference(Vec::new())),
            (Some(before), Some(pool)) => pools.changed.push(|| difference(differences(before, pool))),
            (None, None) => {}
        }
    }
    pools
}

/// What a pool is like.
fn description(pool: &Pool) -> Vec<String> {
    let Pool { policy, primary, proxy_protocol, switch, backends, .. } = pool;
    let mut what = vec![format!("policy {}", policy_text(policy))];
    what.extend(primary.map(|address| format!("primary {address}")));
    what.extend(proxy_protocol.then(|| "PROXY protocol".to_owned()));
    what.extend(switch.as_ref().map(switch_text));
    what.extend(when_down_texts(&Pool::default(), pool));
    what.extend(backends.iter().map(|backend| format!("backend {}", backend_text(backend))));
    what
}

/// How one pool becomes another.
fn differences(old: &Pool, new: &Pool) -> Vec<String> {
    let Pool {
        policy,
        primary,
        proxy_protocol,
        switch,
        backends,
        // Those are compared in the form of the file.
        health: _,
        panic_threshold: _,
        when_down: _,
        slow_start: _,
        bounded_load: _,
    } = new;
    let mut what = Vec::new();
    if old.policy != *policy {
        what.push(format!("policy {} instead of {}", policy_text(policy), policy_text(&old.policy)));
    }
    let address = |address: &SocketAddr| format!("primary {address}");
    what.extend(instead(old.primary.as_ref(), primary.as_ref(), address, "no primary"));
    if old.proxy_protocol != *proxy_protocol {
        let with = if *proxy_protocol { "with" } else { "without" };
        what.push(format!("{with} the PROXY protocol"));
    }
    what.extend(instead(old.switch.as_ref(), switch.as_ref(), switch_text, "no switch"));
    what.extend(when_down_texts(old, new));
    members(&old.backends, backends, &mut what);
    what
}

/// What concerns backends that are not up, as far as it differs.
fn when_down_texts(old: &Pool, new: &Pool) -> Vec<String> {
    let mut changed = BTreeMap::new();
    let settings = |pool: &Pool| {
        let mut keys = keys(pool);
        keys.retain(|key, _| {
            ["panic_threshold", "when_down", "slow_start", "bounded_load"].contains(&&**key)
        });
        keys
    };
    compare("", &settings(old), &settings(new), &mut changed);
    compare("health.", &keys(&old.health), &keys(&new.health), &mut changed);
    changed.into_values().collect()
}

/// How what need not be there becomes something else.
fn instead<T: PartialEq>(
    old: Option<&T>,
    new: Option<&T>,
    text: impl Fn(&T) -> String,
    none: &str,
) -> Option<String> {
    let text = |one: Option<&T>| one.map_or_else(|| none.to_owned(), &text);
    match (old, new) {
        (old, new) if old == new => None,
        (None, new) => Some(text(new)),
        (Some(_), new) => Some(format!("{} instead of {}", text(new), text(old))),
    }
}

fn members(old: &[WeightedBackend], new: &[WeightedBackend], what: &mut Vec<String>) {
    let by_address = |backends: &[WeightedBackend]| -> BTreeMap<SocketAddr, WeightedBackend> {
        backends.iter().map(|backend| (backend.address, *backend)).collect()
    };
    let (before, after) = (by_address(old), by_address(new));
    for backend in new.iter().filter(|backend| !before.contains_key(&backend.address)) {
        let WeightedBackend { address, weight, drained, tier } = *backend;
        let drained = if drained { ", drained" } else { "" };
        what.push(format!("backend {address} added, weight {weight}{}{drained}", tier_text(tier)));
    }
    for WeightedBackend { address, .. } in old.iter().filter(|old| !after.contains_key(&old.address)) {
        what.push(format!("backend {address} removed"));
    }
    for (address, new) in &after {
        let Some(old) = before.get(address) else { continue };
        if old.weight != new.weight {
            what.push(format!("backend {address} with weight {} instead of {}", new.weight, old.weight));
        }
        if old.tier != new.tier {
            what.push(format!("backend {address} of tier {} instead of {}", new.tier, old.tier));
        }
        if old.drained != new.drained {
            what.push(format!("backend {address} {}", if new.drained { "drained" } else { "enabled" }));
        }
    }
    let addresses = |backends: &[WeightedBackend]| backends.iter().map(|it| it.address).collect::<Vec<_>>();
    if before.keys().eq(after.keys()) && addresses(old) != addresses(new) {
        what.push("its backends in another order".to_owned());
    }
}

fn policy_text(policy: &Policy) -> String {
    policy.hash().map_or_else(|| policy.to_string(), |hash| format!("{policy} by {hash}"))
}

fn switch_text(Switch { to, percent }: &Switch) -> String {
    format!("{percent} % of the clients to pool {to}")
}

fn backend_text(WeightedBackend { address, weight, drained, tier }: &WeightedBackend) -> String {
    format!("{address}, weight {weight}{}{}", tier_text(*tier), if *drained { ", drained" } else { "" })
}

fn tier_text(tier: u8) -> String {
    if tier == WeightedBackend::FIRST_TIER { String::new() } else { format!(", tier {tier}") }
}

/// A sentence for each setting that differs, by its key. Whatever settings there will be: they are compared
/// in the form of the file.
fn settings(old: &Settings, new: &Settings) -> BTreeMap<String, String> {
    let Settings { listen, fast_path, slow_path, control, health } = new;
    let mut changed = BTreeMap::new();
    section("listen", &old.listen, listen, &mut changed);
    section("fast_path", &old.fast_path, fast_path, &mut changed);
    section("slow_path", &old.slow_path, slow_path, &mut changed);
    section("control", &old.control, control, &mut changed);
    section("health", &old.health, health, &mut changed);
    changed
}

fn section<T: Serialize>(name: &str, old: &T, new: &T, changed: &mut BTreeMap<String, String>) {
    compare(&format!("{name}."), &keys(old), &keys(new), changed);
}

fn compare(
    prefix: &str,
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    changed: &mut BTreeMap<String, String>,
) {
    for key in old.keys().chain(new.keys()) {
        let (before, after) = (old.get(key), new.get(key));
        if before != after {
            let text = |value: Option<&Value>| value.map_or_else(|| "unset".to_owned(), Value::to_string);
            let sentence = format!("{prefix}{key} is {} instead of {}", text(after), text(before));
            changed.insert(format!("{prefix}{key}"), sentence);
        }
    }
}

/// The keys of a section. One that cannot be written, as a path that is no text, has none.
fn keys<T: Serialize>(section: &T) -> Map<String, Value> {
    match serde_json::to_value(section) {
        Ok(Value::Object(keys)) => keys,
        Ok(_) | Err(_) => Map::new(),
    }
}
