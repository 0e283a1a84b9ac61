//! What is kept, and how one gets back to it.

use std::sync::Arc;

use super::faulty::Faulty;
use super::{config, folder, generations, names, put, put_edit, put_whole, record, route};
use crate::config::Config;
use crate::daemon::Who;
use crate::state::{Content, Kind, Record, Store};

#[test]
fn headers_say_who_did_what_and_when() {
    let home = folder();
    let mut store = Store::open(home.path()).unwrap();
    let by = Who::Peer { uid: 7, user: Some("ops \"x\"".to_owned()), process: Some(42) };
    let what = vec!["route x.test now leads to b".to_owned(), "pool c is gone".to_owned()];
    let config = config();
    let record =
        Record { by: by.clone(), what: what.clone(), ..record(1, Kind::Switch, Content::Whole(&config)) };
    put(&mut store, record).unwrap();
    let written = store.history().to_vec();
    assert_eq!((&written[0].by, written[0].kind, &written[0].what), (&by, Kind::Switch, &what));
    assert!(written[0].at.starts_with("20") && written[0].at.ends_with('Z'));
    drop(store);
    assert_eq!(Store::open(home.path()).unwrap().history(), written);
}

#[test]
fn ten_and_ten_are_kept_with_what_they_need() {
    let home = folder();
    let disk = Arc::new(Faulty::default());
    let mut store = Store::open_on(disk, home.path()).unwrap();
    let mut now = config();
    let mut all = vec![Config::default()];
    for generation in 1..=100_u64 {
        let change = route(&format!("r{generation}.test"), "b");
        now.make(&change);
        match generation % 5 {
            1 => put_whole(&mut store, &now),
            _ => put_edit(&mut store, &change),
        }
        all.push(now.clone());
        store.prune().unwrap();
    }
    // Applies are 51, 56 … 96; the last ten are 91 to 100, and 92 needs 91, which is an apply itself.
    let kept: Vec<u64> = (91..=100).rev().chain((51..91).rev().filter(|number| number % 5 == 1)).collect();
    assert_eq!(generations(&store), kept);
    for generation in kept {
        assert_eq!(store.config(generation).unwrap(), all[generation as usize]);
    }
    assert_eq!(
        store.config(50).unwrap_err().to_string(),
        "generation 50 is not kept; kept are: 100, 99, 98, 97, 96, 95, 94, 93, 92, 91 and 8 more"
    );
}

#[test]
fn what_edits_are_compared_with_is_kept() {
    let home = folder();
    let mut store = Store::open_on(Arc::new(Faulty::default()), home.path()).unwrap();
    let config = config();
    // Whole records, so that none is kept as a base.
    for generation in 1..=60 {
        let kind = match generation {
            20 => Kind::Apply,
            40 => Kind::Rollback,
            _ => Kind::Switch,
        };
        let back_to = (generation == 40).then_some(25);
        let record = Record { back_to, ..record(generation, kind, Content::Whole(&config)) };
        put(&mut store, record).unwrap();
        store.prune().unwrap();
    }
    let newest = (51..=60).rev();
    assert_eq!(generations(&store), newest.chain([40, 20]).collect::<Vec<u64>>());
    assert_eq!(store.lineage().last().map(|header| header.generation), Some(20));
}

#[test]
fn a_whole_record_ends_the_chain() {
    let home = folder();
    let mut store = Store::open_on(Arc::new(Faulty::default()), home.path()).unwrap();
    assert_eq!(store.chain_length(), 0);
    let mut now = config();
    put_whole(&mut store, &now);
    assert_eq!(store.chain_length(), 0);
    for number in 0..15 {
        let change = route(&format!("r{number}.test"), "b");
        now.make(&change);
        put_edit(&mut store, &change);
        store.prune().unwrap();
    }
    assert_eq!(store.chain_length(), 15);
    assert_eq!(names(home.path()).len(), 16, "all are needed");
    store.make_whole(16, &now).unwrap();
    assert_eq!(store.chain_length(), 0);
    for number in 0..10 {
        let change = route(&format!("s{number}.test"), "a");
        now.make(&change);
        put_edit(&mut store, &change);
        store.prune().unwrap();
    }
    // The apply stays: it is one of the last ten that are no edits.
    assert_eq!(generations(&store), [26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 1]);
    assert_eq!(store.newest().unwrap().unwrap().config, now);
}

#[test]
fn an_unconfirmed_generation_counts_when_it_is_confirmed() {
    let home = folder();
    let mut store = Store::open(home.path()).unwrap();
    let (old, mut new) = (config(), config());
    put_whole(&mut store, &old);
    new.make(&route("new.test", "b"));
    for confirmed in [false, true] {
        let generation = store.next_generation();
        let record = Record { unconfirmed: true, ..record(generation, Kind::Apply, Content::Whole(&new)) };
        put(&mut store, record).unwrap();
        assert_eq!(store.newest().unwrap().unwrap().config, old);
        assert_eq!(store.unconfirmed().unwrap().generation, generation);
        match confirmed {
            true => store.confirm(generation).unwrap(),
            false => store.discard(generation).unwrap(),
        }
        assert_eq!(
            store.newest().unwrap().unwrap().config,
            if confirmed { new.clone() } else { old.clone() }
        );
        let again = store.confirm(generation).unwrap_err().to_string();
        assert_eq!(
            again,
            format!("generation {generation} does not wait for its confirmation; nothing to do")
        );
    }
    assert_eq!(generations(&store), [3, 1]);
    assert_eq!(names(home.path()), ["1", "3"]);
}

#[test]
fn what_is_dropped_leaves_nothing() {
    let home = folder();
    let mut store = Store::open(home.path()).unwrap();
    let config = config();
    let written = store.write(record(1, Kind::Start, Content::Whole(&config))).unwrap();
    assert_eq!(names(home.path()), [".1"]);
    drop(written);
    assert_eq!(names(home.path()), [""; 0]);
    let change = route("x.test", "b");
    let missing = store.write(record(1, Kind::Edit, Content::Change { base: 0, change: &change }));
    assert_eq!(missing.unwrap_err().to_string(), "generation 0 is not kept; kept are: none");
}
