//! `[health]`, and `[pools.NAME.health]`.

use std::time::Duration;

use toml::de::DeTable;

use super::reader::{Reader, Value};
use crate::config::address::parse_address;
use crate::config::duration::parse_duration;
use crate::config::health::{CHECK_QUERY, Check, Health};
use crate::config::problem::{Place, Refusal};
use crate::config::rules::{
    BACKOFF, CHECKS_IN_A_ROW, HEALTH_ADDRESS, INTERVAL, JITTER, ON_CHANGE, ON_CHANGE_TIMEOUT, PATIENCE,
    SERIAL_LAG,
};
use crate::config::words::{CheckFlag, Rcode, Transport};

/// Reads `[health]`.
pub(super) fn read(reader: &mut Reader, document: &DeTable<'_>) -> Health {
    let mut health = Health::default();
    let Some(section) = document.get("health") else { return health };
    let Some(table) = reader.table("health", section, "a table: [health]") else { return health };
    reader.keys("[health]", table, &["enabled", "address", "on_change", "on_change_timeout"]);
    let get = |reader: &mut Reader, key| {
        let value = table.get(key)?;
        reader.remember(Place::Health(key), value.span().start);
        Some((Place::Health(key).to_string(), value))
    };
    if let Some((subject, value)) = get(reader, "enabled") {
        health.enabled = reader.boolean(&subject, value).unwrap_or(true);
    }
    if let Some((subject, value)) = get(reader, "address") {
        health.address = reader.parsed(&subject, value, HEALTH_ADDRESS, |text| match parse_address(text) {
            // Port 53 would be the usual one, and is not for HTTP.
            Ok(address) if text.ends_with(&format!(":{}", address.port())) => Ok(address),
            Ok(_) | Err(_) => Err(Refusal {
                what: format!("{} is no address and port", crate::config::wording::Quoted(text)),
                allowed: HEALTH_ADDRESS.to_owned(),
            }),
        });
    }
    if let Some((subject, value)) = get(reader, "on_change") {
        let list = reader.list(&subject, value, ON_CHANGE).into_iter().flatten().enumerate();
        let words = list.filter_map(|(index, item)| {
            reader.string(&format!("word {} of {subject}", index + 1), item, ON_CHANGE).map(str::to_owned)
        });
        health.on_change = words.collect();
    }
    if let Some((subject, value)) = get(reader, "on_change_timeout")
        && let Some(timeout) = reader.parsed(&subject, value, ON_CHANGE_TIMEOUT, parse_duration)
    {
        health.on_change_timeout = timeout;
    }
    health
}

/// The keys of a pool's health.
const KEYS: [&str; 14] = [
    "active",
    "passive",
    "query",
    "flags",
    "transports",
    "expect",
    "answer",
    "serial_lag",
    "interval",
    "timeout",
    "rise",
    "fall",
    "jitter",
    "backoff",
];

/// Reads how the health of a pool's backends is found out.
pub(super) fn check(reader: &mut Reader, pool: &str, value: &Value<'_>) -> Check {
    let mut check = Check::default();
    let subject = format!("health of {}", Place::Pool(pool.to_owned()));
    let Some(table) = reader.table(&subject, value, "a table: { interval = \"1s\" }") else { return check };
    reader.keys(&subject, table, &KEYS);
    let mut entries = Entries { reader, pool, table };
    entries.boolean("active", &mut check.active);
    entries.boolean("passive", &mut check.passive);
    check.query = entries.parsed("query", CHECK_QUERY, str::parse);
    entries.words("flags", &CheckFlag::WORDS, &mut check.flags);
    entries.words("transports", &Transport::WORDS, &mut check.transports);
    if let Some(value) = table.get("expect") {
        let mut expect = Vec::new();
        entries.words("expect", &Rcode::WORDS, &mut expect);
        // What cannot be read is no empty list.
        check.expect =
            value.get_ref().as_array().is_some_and(|list| list.len() == expect.len()).then_some(expect);
    }
    check.answer = entries.parsed("answer", "data of a record: \"192.0.2.1\"", |text| Ok(text.to_owned()));
    check.serial_lag = entries.number("serial_lag", SERIAL_LAG);
    entries.duration("interval", INTERVAL, &mut check.interval);
    check.timeout = entries.parsed("timeout", PATIENCE, parse_duration);
    check.rise = entries.number("rise", CHECKS_IN_A_ROW).unwrap_or(check.rise);
    check.fall = entries.number("fall", CHECKS_IN_A_ROW).unwrap_or(check.fall);
    check.jitter = entries.number("jitter", JITTER).unwrap_or(check.jitter);
    entries.duration("backoff", BACKOFF, &mut check.backoff);
    check
}

/// The entries of a pool's health.
struct Entries<'r, 'd, 'i> {
    reader: &'r mut Reader,
    pool: &'d str,
    table: &'d DeTable<'i>,
}

impl<'d, 'i> Entries<'_, 'd, 'i> {
    fn get(&mut self, key: &'static str) -> Option<(String, &'d Value<'i>)> {
        let value = self.table.get(key)?;
        let place = Place::Check(self.pool.to_owned(), key);
        let subject = place.to_string();
        self.reader.remember(place, value.span().start);
        Some((subject, value))
    }

    fn boolean(&mut self, key: &'static str, into: &mut bool) {
        if let Some((subject, value)) = self.get(key)
            && let Some(given) = self.reader.boolean(&subject, value)
        {
            *into = given;
        }
    }

    fn parsed<T>(
        &mut self,
        key: &'static str,
        allowed: &str,
        parse: impl FnOnce(&str) -> Result<T, Refusal>,
    ) -> Option<T> {
        let (subject, value) = self.get(key)?;
        self.reader.parsed(&subject, value, allowed, parse)
    }

    fn duration(&mut self, key: &'static str, allowed: &str, into: &mut Duration) {
        if let Some(duration) = self.parsed(key, allowed, parse_duration) {
            *into = duration;
        }
    }

    fn number(&mut self, key: &'static str, allowed: &str) -> Option<u32> {
        let (subject, value) = self.get(key)?;
        self.reader.integer(&subject, value, 0..=u32::MAX, allowed)
    }

    fn words<T: std::str::FromStr<Err = Refusal>>(
        &mut self,
        key: &'static str,
        words: &[&str],
        into: &mut Vec<T>,
    ) {
        let Some((subject, value)) = self.get(key) else { return };
        let allowed = format!("a list of these: {}", words.join(", "));
        let Some(list) = self.reader.list(&subject, value, &allowed) else { return };
        *into = Vec::new();
        for (index, item) in list.iter().enumerate() {
            let subject = format!("entry {} of {subject}", index + 1);
            into.extend(self.reader.parsed(&subject, item, &words.join(", "), str::parse));
        }
    }
}
