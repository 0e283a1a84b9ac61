//! The folder in use: what is kept, what survives, what is said.

mod arbitrary;
mod crash;
mod damage;
mod failing;
mod faulty;
mod history;
mod opening;
mod round_trip;
mod script;

use std::collections::BTreeMap;
use std::path::Path;

use tempfile::TempDir;

use super::{Content, Kind, Record, StateError, Store};
use crate::config::{Change, Config, Target};
use crate::daemon::Who;

/// A configuration with two pools and a route.
fn config() -> Config {
    let text = "[listen]\naddresses = [\"192.0.2.53\"]\nxdp = \"off\"\n\
                [pools]\na.backends = [\"192.168.1.1\"]\nb.backends = [\"192.168.1.2\"]\n\
                [routes]\n\"x.test\" = \"a\"\n";
    Config::parse(text, "test").unwrap()
}

/// What lets a route lead somewhere.
fn route(pattern: &str, target: &str) -> Change {
    let routes = BTreeMap::from([(pattern.parse().unwrap(), Some(Target::from_word(target)))]);
    Change { routes, ..Change::default() }
}

fn record(generation: u64, kind: Kind, content: Content<'_>) -> Record<'_> {
    let what = vec![format!("generation {generation}")];
    Record { generation, by: Who::Daemon, kind, what, back_to: None, unconfirmed: false, content }
}

/// Writes a record, and puts it in force.
fn put(store: &mut Store, record: Record<'_>) -> Result<(), StateError> {
    let written = store.write(record)?;
    store.commit(written)
}

fn put_whole(store: &mut Store, config: &Config) {
    put(store, record(store.next_generation(), Kind::Apply, Content::Whole(config))).unwrap();
}

/// An edit of the newest generation.
fn put_edit(store: &mut Store, change: &Change) {
    let content = Content::Change { base: store.history()[0].generation, change };
    put(store, record(store.next_generation(), Kind::Edit, content)).unwrap();
}

fn generations(store: &Store) -> Vec<u64> {
    store.history().iter().map(|header| header.generation).collect()
}

/// A configuration octet by octet.
fn octets(config: &Config) -> String {
    serde_json::to_string(config).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder.join("generations")).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}
