//! What is written is read again.

use std::fs;
use std::sync::Arc;

use proptest::prelude::*;

use super::arbitrary::change;
use super::{config, folder, octets, record, route};
use crate::config::{Config, Pattern, Target};
use crate::daemon::Who;
use crate::state::disk::{Disk, System};
use crate::state::read::{self, PoolNames};
use crate::state::write::write;
use crate::state::{Content, Header, Kind, Store};

fn header(base: Option<u64>) -> Header {
    let what = vec!["something\nelse".to_owned(), String::new()];
    Header {
        generation: 7,
        base,
        at: "2026-05-01T12:00:03Z".to_owned(),
        by: Who::Signal,
        kind: Kind::Rollback,
        what,
        back_to: base,
    }
}

/// Writes a record into a file, and reads it.
fn through_a_file(content: Content<'_>) -> read::Entries {
    let home = folder();
    let path = home.path().join("7");
    let written = header(content.base());
    write(System.create(&path).unwrap().as_mut(), &written, content).unwrap();
    assert_eq!(read::header(&path).unwrap(), written);
    let (header, entries) = read::record(&path, &mut PoolNames::default()).unwrap();
    assert_eq!(header, written);
    entries
}

proptest! {
    #[test]
    fn any_change_comes_back(change in change()) {
        let content = Content::Change { base: 6, change: &change };
        prop_assert_eq!(through_a_file(content).into_change(), change);
    }

    #[test]
    fn any_configuration_comes_back(change in change()) {
        let mut config = Config::default();
        config.make(&change);
        prop_assert_eq!(through_a_file(Content::Whole(&config)).into_config(), config);
    }
}

#[test]
fn a_record_is_lines_that_one_can_read() {
    let home = folder();
    let path = home.path().join("7");
    let mut change = route("cryo.network", "b");
    change.followed_by(route("blocked.example", "nxdomain"));
    change.routes.insert(r"a\.b\\c".parse().unwrap(), None);
    change.pools.insert("b".to_owned(), config().pools.remove("a"));
    change.pools.insert("c".to_owned(), None);
    let content = Content::Change { base: 6, change: &change };
    write(System.create(&path).unwrap().as_mut(), &header(content.base()), content).unwrap();
    let text = fs::read_to_string(path).unwrap();
    let (lines, end) = text.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(
        lines,
        r#"{"dproxy-state":1,"generation":7,"base":6,"at":"2026-05-01T12:00:03Z","by":"signal","kind":"rollback","what":["something\nelse",""],"back_to":6}
{"pool":"b","to":{"policy":"maglev","hash":"qname","proxy_protocol":false,"backends":[{"address":"192.168.1.1:53","weight":1}]}}
{"pool":"c"}
{"route":"a\\.b\\\\c"}
{"route":"blocked.example","answer":"nxdomain"}
{"route":"cryo.network","to":"b"}"#
    );
    let checksum = crc32fast::hash(format!("{lines}\n").as_bytes());
    assert_eq!(end, format!("{{\"lines\":6,\"crc32\":{checksum}}}"));
}

#[test]
fn routes_to_a_pool_share_its_name() {
    let mut config = config();
    config.make(&route("y.test", "a"));
    let config = through_a_file(Content::Whole(&config)).into_config();
    let names: Vec<_> = config.routes.values().collect();
    let [Target::Pool(one), Target::Pool(other)] = names[..] else { panic!("two routes to a pool") };
    assert!(Arc::ptr_eq(one, other));
}

/// A new setting must not make the records of before unreadable, nor one of a newer dproxy those of after.
#[test]
fn settings_that_are_missing_or_unknown() {
    let pool: crate::config::Pool = serde_json::from_str(r#"{"policy":"random","new":[1]}"#).unwrap();
    assert_eq!(pool, crate::config::Pool { policy: crate::config::Policy::Random, ..Default::default() });
    let settings: crate::config::Settings = serde_json::from_str(r#"{"new":{},"listen":{"new":1}}"#).unwrap();
    assert_eq!(settings, crate::config::Settings::default());
}

/// Prints how long 200,000 routes take: `cargo test --release state:: -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn two_hundred_thousand_routes() {
    let mut config = config();
    for number in 0..200_000_u32 {
        let pattern: Pattern = format!("zone-{number:06}.example.org").parse().unwrap();
        config.routes.insert(pattern, Target::from_word(["a", "b", "nxdomain"][number as usize % 3]));
    }
    let home = folder();
    let mut store = Store::open(home.path()).unwrap();
    for _ in 0..3 {
        let start = std::time::Instant::now();
        let written =
            store.write(record(store.next_generation(), Kind::Apply, Content::Whole(&config))).unwrap();
        let wrote = start.elapsed();
        store.commit(written).unwrap();
        let committed = start.elapsed();
        let start = std::time::Instant::now();
        let loaded = store.newest().unwrap().unwrap();
        println!("write and fsync {wrote:?}, with commit {committed:?}, read {:?}", start.elapsed());
        assert_eq!(octets(&loaded.config), octets(&config));
    }
    let mut edits: Vec<_> = (0..100)
        .map(|number| {
            let start = std::time::Instant::now();
            super::put_edit(&mut store, &route(&format!("one{number}.test"), "a"));
            start.elapsed()
        })
        .collect();
    edits.sort();
    println!("an edit: median {:?}, worst {:?}", edits[50], edits[99]);
    let start = std::time::Instant::now();
    store.newest().unwrap();
    println!("read with 100 edits behind: {:?}", start.elapsed());
}
