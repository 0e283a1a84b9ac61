//! `[routes]`.

use std::collections::BTreeMap;

use toml::de::DeTable;

use super::reader::{Reader, Value};
use crate::config::model::Target;
use crate::config::pattern::Pattern;
use crate::config::problem::Place;
use crate::config::wording::Quoted;
use crate::config::words::Answer;

const TARGET: &str = "the name of a pool, or { answer = \"refused\" } or another answer";

pub(super) fn read(reader: &mut Reader<'_>, document: &DeTable<'_>) -> BTreeMap<Pattern, Target> {
    let Some(section) = document.get("routes") else { return BTreeMap::new() };
    reader.remember(Place::Routes, section.span().start);
    let Some(table) = reader.table("routes", section, "a table: [routes]") else { return BTreeMap::new() };
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let mut routes = Vec::new();
    for (key, value) in entries {
        let pattern = pattern(reader, key.get_ref(), key.span().start);
        let target = target(reader, key.get_ref(), value);
        routes.extend(pattern.zip(target));
    }
    routes.into_iter().collect()
}

/// The pattern that `text` stands for, unless there was a route for it before.
fn pattern(reader: &mut Reader<'_>, text: &str, offset: usize) -> Option<Pattern> {
    let pattern: Pattern = match text.parse() {
        Ok(pattern) => pattern,
        Err(error) => {
            reader.refuse(offset, error.what(), error.allowed());
            return None;
        }
    };
    let place = Place::Route(pattern.clone());
    if let Some(first) = reader.position(&place) {
        let what = format!("route {} is {place} once more (see {first})", Quoted(text));
        let allowed = "one route for each pattern; upper and lower case are the same (RFC 4343), a dot at \
                       the end makes no difference";
        reader.refuse(offset, what, allowed);
        return None;
    }
    reader.remember(place, offset);
    Some(pattern)
}

fn target(reader: &mut Reader<'_>, route: &str, value: &Value<'_>) -> Option<Target> {
    let subject = format!("route {}", Quoted(route));
    let Some(table) = value.get_ref().as_table() else {
        return reader.string(&subject, value, TARGET).map(|pool| Target::Pool(pool.into()));
    };
    let Some(answer) = table.get("answer") else {
        let hint = if table.is_empty() {
            String::new()
        } else {
            format!("; a name with dots stands in quotes: {}", Quoted(&without_quotes(route, table)))
        };
        let what = format!("{subject} is a table without answer");
        reader.refuse(value.span().start, what, TARGET.to_owned() + &hint);
        return None;
    };
    reader.keys(&subject, table, &["answer"]);
    let allowed = Answer::WORDS.join(", ");
    reader.parsed(&format!("answer of {subject}"), answer, &allowed, str::parse).map(Target::Answer)
}

/// The name that TOML took apart in `cryo.network = "cryo"`.
fn without_quotes(first: &str, table: &DeTable<'_>) -> String {
    let mut name = first.to_owned();
    let mut table = Some(table);
    while let Some((key, value)) = table.and_then(|table| table.iter().next()) {
        if key.get_ref() == "answer" {
            break;
        }
        name = format!("{name}.{}", key.get_ref());
        table = value.get_ref().as_table();
    }
    name
}
