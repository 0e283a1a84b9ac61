//! A TOML file: its settings, pools and routes.
//!
//! The model is compared in the form that it is serialized in, which is that of the file: so no rule about any
//! single setting is here.

use serde::Serialize;
use toml_edit::{Item, Table, TableLike, Value};

use super::Difference;
use super::edits::Edits;
use super::entries::Changes;
use super::list::text_of_array;
use super::table::Section;
use crate::config::model::{Config, Pool, Target, WeightedBackend};
use crate::config::pattern::Pattern;

pub(super) struct Document<'t> {
    pub(super) edits: Edits<'t>,
    root: Section<'t>,
}

impl<'t> Document<'t> {
    pub(super) fn new(text: &'t str, table: &'t Table) -> Self {
        Self { edits: Edits::of(text), root: Section::root(table) }
    }

    /// Makes all changes that concern this file.
    pub(super) fn change(&mut self, is_main: bool, difference: &Difference<'_>) -> Option<()> {
        if is_main && difference.change.settings.is_some() {
            self.change_settings(difference)?;
        }
        self.change_pools(is_main, difference)?;
        self.change_routes(is_main, difference)
    }

    fn section(&self, key: &str) -> Option<Section<'t>> {
        self.root.child(key, self.root.table.get(key)?)
    }

    fn change_settings(&mut self, Difference { old, new, .. }: &Difference<'_>) -> Option<()> {
        let settings = |config: &Config| {
            toml::Table::try_from(Config {
                pools: Default::default(),
                routes: Default::default(),
                ..config.clone()
            })
        };
        let (old, new) = (settings(old).ok()?, settings(new).ok()?);
        for (key, new) in &new {
            let (old, new) = (old.get(key)?.as_table()?, new.as_table()?);
            if old == new {
                continue;
            }
            match self.section(key) {
                Some(section) => self.change_table(&section, old, new),
                None => self.edits.append(&format!("[{key}]\n{}", differing(old, new).join("\n"))),
            }
        }
        Some(())
    }

    fn change_pools(&mut self, is_main: bool, Difference { old, change, .. }: &Difference<'_>) -> Option<()> {
        let section = self.section("pools");
        let usual = table(&Pool::default())?;
        let mut changes = Changes::default();
        for (name, pool) in &change.pools {
            let here = section.as_ref().and_then(|section| Some((section, section.table.get(name)?)));
            match (here, pool) {
                (Some(_), None) => changes.removed.push(name.clone()),
                (Some((section, item)), Some(pool)) => {
                    let section = section.child(name, item)?;
                    self.change_table(&section, &table(old.pools.get(name)?)?, &table(pool)?);
                }
                (None, Some(pool)) if is_main && !old.pools.contains_key(name) => {
                    let entries = differing(&usual, &table(pool)?);
                    match section.as_ref().filter(|section| section.braces.is_some()) {
                        Some(_) => changes.added.push(format!("{name} = {{ {} }}", entries.join(", "))),
                        None => self.edits.append(&format!("[pools.{name}]\n{}", entries.join("\n"))),
                    }
                }
                (None, _) => {}
            }
        }
        if let Some(section) = section {
            changes.make(&mut self.edits, &section);
        }
        Some(())
    }

    fn change_routes(
        &mut self,
        is_main: bool,
        Difference { old, change, .. }: &Difference<'_>,
    ) -> Option<()> {
        let section = self.section("routes");
        let mut changes = Changes::default();
        for (key, item) in section.iter().flat_map(|section| section.table.iter()) {
            let section = section.as_ref()?;
            let pattern: Pattern = key.parse().ok()?;
            match change.routes.get(&pattern) {
                None => {}
                Some(None) => changes.removed.push(key.to_owned()),
                Some(Some(new)) => {
                    let old = old.routes.get(&pattern)?;
                    self.change_entry(section, key, item, [&value(old)?, &value(new)?], &mut changes);
                }
            }
        }
        if is_main {
            let new = change.routes.iter().filter(|(pattern, _)| !old.routes.contains_key(pattern));
            changes
                .added
                .extend(new.filter_map(|(pattern, target)| Some(route_text(pattern, target.as_ref()?))));
        }
        match section {
            Some(section) => changes.make(&mut self.edits, &section),
            None if changes.added.is_empty() => {}
            None => self.edits.append(&format!("[routes]\n{}", changes.added.join("\n"))),
        }
        Some(())
    }

    /// Makes a table out of what it is. What is the same in both stays as it is, be it written down or not.
    pub(super) fn change_table(&mut self, section: &Section<'_>, old: &toml::Table, new: &toml::Table) {
        let mut changes = Changes::default();
        changes.removed.extend(old.keys().filter(|key| !new.contains_key(*key)).cloned());
        for (key, new) in new.iter().filter(|(key, new)| old.get(*key) != Some(*new)) {
            match (section.table.get(key), old.get(key)) {
                (Some(item), Some(old)) => self.change_entry(section, key, item, [old, new], &mut changes),
                // What is not written down has been as usual.
                _ => changes.added.push(format!("{key} = {}", text_of(new))),
            }
        }
        changes.make(&mut self.edits, section);
    }

    /// Makes an entry of a table out of what it is: where it stands, or else by writing it anew.
    fn change_entry(
        &mut self,
        section: &Section<'_>,
        key: &str,
        item: &Item,
        [old, new]: [&toml::Value; 2],
        changes: &mut Changes,
    ) {
        let tables = old.as_table().zip(new.as_table());
        let lists = old.as_array().zip(new.as_array());
        let is_dotted = item.as_table_like().is_some_and(TableLike::is_dotted);
        if let (Some((old, new)), Some(section)) = (tables, section.child(key, item)) {
            self.change_table(&section, old, new);
        } else if let (Some((old, new)), Some(array)) = (lists, item.as_array()) {
            self.change_array(array, old, new);
        } else if let (Some((old, new)), Some(tables)) = (lists, item.as_array_of_tables()) {
            self.change_tables(&format!("{}.{key}", section.path), tables, old, new);
        } else if let Some(span) = item.as_value().and_then(Value::span).filter(|_| !is_dotted) {
            self.edits.replace(span, text_of(new));
        } else {
            changes.removed.push(key.to_owned());
            changes.added.push(format!("{} = {}", quoted(key), text_of(new)));
        }
    }
}

fn table(pool: &Pool) -> Option<toml::Table> {
    toml::Table::try_from(pool).ok()
}

fn value(value: &impl Serialize) -> Option<toml::Value> {
    toml::Value::try_from(value).ok()
}

fn route_text(pattern: &Pattern, target: &Target) -> String {
    let target = value(target).map(|target| text_of(&target)).unwrap_or_default();
    format!("{} = {target}", quoted(&pattern.to_string()))
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// The entries that differ from the usual ones.
fn differing(usual: &toml::Table, table: &toml::Table) -> Vec<String> {
    let entries = table.iter().filter(|(key, value)| usual.get(*key) != Some(*value));
    entries.map(|(key, value)| format!("{key} = {}", text_of(value))).collect()
}

/// A value in one line.
pub(super) fn text_of(value: &toml::Value) -> String {
    match value.as_array() {
        Some(values) => text_of_array(values),
        None => value.to_string(),
    }
}

/// The same in a list, where a backend of the usual weight is an address alone.
pub(super) fn text_of_element(value: &toml::Value) -> String {
    let usual = i64::from(WeightedBackend::DEFAULT_WEIGHT);
    let address = value.get("address").filter(|_| {
        value.get("drained").is_none()
            && value.get("tier").is_none()
            && value.get("weight").and_then(toml::Value::as_integer) == Some(usual)
    });
    address.unwrap_or(value).to_string()
}
