//! `[routes]`, and the routes of all files together.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use toml::de::DeTable;

use super::reader::{Reader, Value};
use super::source::Spot;
use crate::config::model::Target;
use crate::config::name::NameError;
use crate::config::pattern::Pattern;
use crate::config::problem::Place;
use crate::config::wording::Quoted;
use crate::config::words::Answer;

const TARGET: &str = "the name of a pool, or { answer = \"refused\" } or another answer";

/// Routes as they are read, from however many files.
#[derive(Default)]
pub(super) struct Routes {
    entries: Vec<Entry>,
    /// The pools' names, each once: all routes to a pool share it.
    pools: HashSet<Arc<str>>,
}

struct Entry {
    pattern: Pattern,
    spot: Spot,
    /// The end of the pattern in its text.
    end: usize,
    /// None if it could not be read.
    target: Option<Target>,
}

impl Routes {
    /// Adds a route whose pattern is from `spot` to `end`.
    pub(super) fn add(&mut self, spot: Spot, end: usize, pattern: Pattern, target: Option<Target>) {
        self.entries.push(Entry { pattern, spot, end, target });
    }

    /// As [`Target::from_word`].
    pub(super) fn target_of_word(&mut self, word: &str) -> Target {
        // First of all, as it is the pool of the line before in most lines. None has the name of an answer.
        if let Some(known) = self.pools.get(word) {
            return Target::Pool(known.clone());
        }
        match word.parse() {
            Ok(answer) => Target::Answer(answer),
            Err(_) => Target::Pool(self.pool(word)),
        }
    }

    fn pool(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.pools.get(name) {
            return known.clone();
        }
        let name: Arc<str> = name.into();
        self.pools.insert(name.clone());
        name
    }

    /// All routes, and where they are, in the order of their patterns. What is there once more is noted.
    pub(super) fn finish(self, reader: &mut Reader) -> (BTreeMap<Pattern, Target>, Vec<Spot>) {
        // Sorted once rather than put into a map one by one: this is most of the work for a large file. The
        // order of the files is kept among those of one pattern.
        let heads = self.entries.iter().map(|entry| entry.pattern.name.sort_head());
        let mut order: Vec<_> = heads.zip(&self.entries).collect();
        order.sort_unstable_by(|(head, entry), (other_head, other)| {
            let rest = || (&entry.pattern, entry.spot).cmp(&(&other.pattern, other.spot));
            head.cmp(other_head).then_with(rest)
        });
        let (mut routes, mut spots) = (Vec::with_capacity(order.len()), Vec::with_capacity(order.len()));
        let mut last: Option<&Entry> = None;
        for (_, entry) in order {
            if let Some(first) = last.filter(|last| last.pattern == entry.pattern) {
                refuse_again(reader, first, entry);
                continue;
            }
            last = Some(entry);
            if let Some(target) = &entry.target {
                let Pattern { name, kind } = &entry.pattern;
                routes.push((Pattern { name: name.copied(), kind: *kind }, target.clone()));
                spots.push(entry.spot);
            }
        }
        (routes.into_iter().collect(), spots)
    }
}

fn refuse_again(reader: &mut Reader, first: &Entry, again: &Entry) {
    let place = Place::Route(again.pattern.clone());
    let written = reader.text_at(again.spot, again.end).trim_matches(['"', '\'']);
    let (written, see) = (Quoted(written).to_string(), reader.see(first.spot, again.spot.source));
    let allowed = "one route for each pattern; upper and lower case are the same (RFC 4343), a dot at \
                   the end makes no difference";
    reader.refuse_at(again.spot, format!("route {written} is {place} once more{see}"), allowed);
}

pub(super) fn read(reader: &mut Reader, document: &DeTable<'_>, routes: &mut Routes) {
    let Some(section) = document.get("routes") else { return };
    reader.remember(Place::Routes, section.span().start);
    let Some(table) = reader.table("routes", section, "a table: [routes]") else { return };
    for (key, value) in table {
        let Range { start, end } = key.span();
        let pattern = pattern(reader, key.get_ref(), start);
        let target = target(reader, key.get_ref(), value, routes);
        if let Some(pattern) = pattern {
            routes.add(reader.spot(start), end, pattern, target);
        }
    }
}

/// The pattern that `text` stands for.
pub(super) fn pattern(reader: &mut Reader, text: &str, offset: usize) -> Option<Pattern> {
    text.parse().map_err(|error: NameError| reader.refuse(offset, error.what(), error.allowed())).ok()
}

fn target(reader: &mut Reader, route: &str, value: &Value<'_>, routes: &mut Routes) -> Option<Target> {
    let subject = format!("route {}", Quoted(route));
    let Some(table) = value.get_ref().as_table() else {
        return reader.string(&subject, value, TARGET).map(|pool| Target::Pool(routes.pool(pool)));
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
