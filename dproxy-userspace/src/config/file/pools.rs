//! `[pools]`.

use std::collections::BTreeMap;

use toml::de::DeTable;

use super::health;
use super::reader::{Reader, Value};
use crate::config::address::{ADDRESS, parse_address};
use crate::config::duration::parse_duration;
use crate::config::health::WHEN_DOWN;
use crate::config::model::{PanicThreshold, Pool, Switch, WeightedBackend};
use crate::config::policy::Policy;
use crate::config::problem::{Place, Refusal};
use crate::config::rules::{BOUNDED_LOAD, PANIC_THRESHOLD, SLOW_START, SWITCH_PERCENT, TIER};
use crate::config::words::HashInput;

/// The keys of a pool.
const KEYS: [&str; 11] = [
    "policy",
    "hash",
    "primary",
    "proxy_protocol",
    "backends",
    "switch",
    "health",
    "panic_threshold",
    "when_down",
    "slow_start",
    "bounded_load",
];

/// Reads the pools of a file, which must not be among those of the files before.
pub(super) fn read(reader: &mut Reader, document: &DeTable<'_>, pools: &mut BTreeMap<String, Pool>) {
    let Some(section) = document.get("pools") else { return };
    let Some(table) = reader.table("pools", section, "a table for each pool: [pools.NAME]") else {
        return reader.spoil(Place::Pools);
    };
    for (key, value) in table {
        let name = key.get_ref().clone().into_owned();
        let (place, offset) = (Place::Pool(name.clone()), key.span().start);
        if pools.contains_key(&name) {
            let see = reader.see_place(&place, reader.spot(offset).source);
            reader.refuse(offset, format!("{place} is there twice{see}"), "each pool once");
            continue;
        }
        reader.remember(place, offset);
        let pool = pool(reader, &name, value);
        pools.insert(name, pool);
    }
}

fn pool(reader: &mut Reader, name: &str, value: &Value<'_>) -> Pool {
    let place = Place::Pool(name.to_owned());
    let subject = place.to_string();
    let mut pool = Pool::default();
    let Some(table) = reader.table(&subject, value, "a table: { backends = [\"192.0.2.1:53\"] }") else {
        reader.spoil(place);
        return pool;
    };
    reader.keys(&subject, table, &KEYS);
    if let Some(value) = table.get("policy") {
        reader.remember(Place::PoolSetting(name.to_owned(), "policy"), value.span().start);
    }
    if let Some(policy) = policy(reader, &subject, table) {
        pool.policy = policy;
    }
    if let Some(value) = table.get("primary") {
        pool.primary = reader.parsed(&format!("primary of {subject}"), value, ADDRESS, parse_address);
        if let Some(primary) = pool.primary {
            reader.remember(Place::Primary(name.to_owned(), primary), value.span().start);
        }
    }
    if let Some(value) = table.get("proxy_protocol") {
        let given = reader.boolean(&format!("proxy_protocol of {subject}"), value);
        pool.proxy_protocol = given.unwrap_or_default();
    }
    if let Some(value) = table.get("switch") {
        pool.switch = switch(reader, name, value);
    }
    if let Some(value) = table.get("backends") {
        pool.backends = backends(reader, name, value);
    }
    when_not_all_are_up(reader, name, table, &mut pool);
    pool
}

fn when_not_all_are_up(reader: &mut Reader, name: &str, table: &DeTable<'_>, pool: &mut Pool) {
    if let Some(value) = table.get("health") {
        *pool.health = health::check(reader, name, value);
    }
    let get = |reader: &mut Reader, key| {
        let value = table.get(key)?;
        let place = Place::PoolSetting(name.to_owned(), key);
        let subject = place.to_string();
        reader.remember(place, value.span().start);
        Some((subject, value))
    };
    if let Some((subject, value)) = get(reader, "panic_threshold") {
        let threshold = reader.integer(&subject, value, 0..=u8::MAX, PANIC_THRESHOLD);
        pool.panic_threshold = threshold.map(PanicThreshold).unwrap_or_default();
    }
    if let Some((subject, value)) = get(reader, "when_down") {
        pool.when_down = reader.parsed(&subject, value, WHEN_DOWN, str::parse).unwrap_or_default();
    }
    if let Some((subject, value)) = get(reader, "slow_start") {
        pool.slow_start = reader.parsed(&subject, value, SLOW_START, parse_duration);
    }
    if let Some((subject, value)) = get(reader, "bounded_load") {
        pool.bounded_load = reader.integer(&subject, value, 0..=u16::MAX, BOUNDED_LOAD);
    }
}

fn policy(reader: &mut Reader, pool: &str, table: &DeTable<'_>) -> Option<Policy> {
    let policy = match table.get("policy") {
        Some(value) => {
            let allowed = Policy::WORDS.join(", ");
            reader.parsed(&format!("policy of {pool}"), value, &allowed, str::parse)
        }
        None => Some(Policy::default()),
    };
    let Some(value) = table.get("hash") else { return policy };
    let allowed = HashInput::WORDS.join(", ");
    let hash: HashInput = reader.parsed(&format!("hash of {pool}"), value, &allowed, str::parse)?;
    match policy?.with_hash(hash) {
        Ok(policy) => Some(policy),
        Err(Refusal { what, allowed }) => {
            reader.refuse(value.span().start, what, allowed);
            None
        }
    }
}

fn switch(reader: &mut Reader, pool: &str, value: &Value<'_>) -> Option<Switch> {
    const ALLOWED: &str = "a table: { to = \"POOL\", percent = 10 }";
    let place = Place::Switch(pool.to_owned());
    let subject = place.to_string();
    reader.remember(place, value.span().start);
    let table = reader.table(&subject, value, ALLOWED)?;
    reader.keys(&subject, table, &["to", "percent"]);
    for key in ["to", "percent"].into_iter().filter(|key| !table.contains_key(*key)) {
        reader.refuse(value.span().start, format!("{subject} has no {key}"), ALLOWED);
    }
    let to = table
        .get("to")
        .and_then(|value| reader.string(&format!("to of {subject}"), value, "the name of another pool"));
    let percent = table.get("percent").and_then(|value| {
        let allowed = format!("{} to {}", SWITCH_PERCENT.start(), SWITCH_PERCENT.end());
        reader.integer(&format!("percent of {subject}"), value, SWITCH_PERCENT, &allowed)
    });
    Some(Switch { to: to?.into(), percent: percent? })
}

fn backends(reader: &mut Reader, pool: &str, value: &Value<'_>) -> Vec<WeightedBackend> {
    const ALLOWED: &str = "a list of addresses, or of tables with address and weight";
    let place = Place::Pool(pool.to_owned());
    let mut backends = Vec::new();
    let Some(list) = reader.list(&format!("backends of {place}"), value, ALLOWED) else {
        reader.spoil(place);
        return backends;
    };
    for (index, item) in list.iter().enumerate() {
        let subject = format!("backend {} of {place}", index + 1);
        match backend(reader, &subject, item) {
            Some((backend, offset)) => {
                reader.remember(Place::Backend(pool.to_owned(), backends.len(), backend.address), offset);
                backends.push(backend);
            }
            None => reader.spoil(place.clone()),
        }
    }
    backends
}

/// A backend, and where its address is.
fn backend(reader: &mut Reader, subject: &str, item: &Value<'_>) -> Option<(WeightedBackend, usize)> {
    let Some(table) = item.get_ref().as_table() else {
        let address = reader.parsed(subject, item, ADDRESS, parse_address)?;
        let weight = WeightedBackend::DEFAULT_WEIGHT;
        return Some((WeightedBackend::new(address, weight), item.span().start));
    };
    reader.keys(subject, table, &["address", "weight", "drained", "tier"]);
    let weight = match table.get("weight") {
        Some(value) => weight(reader, subject, value),
        None => Some(WeightedBackend::DEFAULT_WEIGHT),
    };
    let drained = match table.get("drained") {
        Some(value) => reader.boolean(&format!("drained of {subject}"), value),
        None => Some(false),
    };
    let tier = match table.get("tier") {
        Some(value) => reader.integer(&format!("tier of {subject}"), value, 0..=u8::MAX, TIER),
        None => Some(WeightedBackend::FIRST_TIER),
    };
    let Some(value) = table.get("address") else {
        reader.refuse(item.span().start, format!("{subject} has no address"), ADDRESS);
        return None;
    };
    let address = reader.parsed(&format!("address of {subject}"), value, ADDRESS, parse_address)?;
    let backend = WeightedBackend { address, weight: weight?, drained: drained?, tier: tier? };
    Some((backend, value.span().start))
}

fn weight(reader: &mut Reader, subject: &str, value: &Value<'_>) -> Option<u16> {
    let allowed = format!("0 to {}", WeightedBackend::MAX_WEIGHT);
    reader.integer(&format!("weight of {subject}"), value, 0..=WeightedBackend::MAX_WEIGHT, &allowed)
}
