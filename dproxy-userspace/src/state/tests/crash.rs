//! A crash in front of every single step, of the process or of the machine: whoever starts next finds what
//! was in force before the operation that was cut, or what it led to, and nothing that was acknowledged is
//! lost.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::sync::Arc;

use tempfile::TempDir;

use super::faulty::{Faulty, Platter, Torn};
use super::script::{Daemon, Operation, SCRIPT};
use super::{folder, octets, put_edit, route};
use crate::config::Config;
use crate::state::Store;

/// What a crash leaves in the folder.
type Left = BTreeMap<String, Vec<u8>>;

/// An operation, and what must be found if it is cut.
struct Cut {
    operation: Operation,
    steps: Range<usize>,
    /// What was in force before and after it.
    either: [String; 2],
}

#[test]
fn a_crash_leaves_the_old_or_the_new() {
    let home = folder();
    let disk = Arc::new(Faulty::default());
    let mut daemon = Daemon::start(&disk, home.path());
    let mut cuts = Vec::new();
    for operation in SCRIPT {
        let (first, before) = (disk.steps(), octets(&daemon.config));
        daemon.make(operation).unwrap();
        let either = [before, octets(&daemon.config)];
        cuts.push(Cut { operation, steps: first..disk.steps(), either });
    }
    let platters = disk.platters();
    let mut crashes = 0;
    // Many steps leave the same.
    let mut seen = BTreeSet::new();
    for cut in cuts {
        for step in cut.steps.clone() {
            crashes += 1;
            for left in everything_left(&platters[step]) {
                if !seen.insert((left.clone(), cut.either.clone())) {
                    continue;
                }
                let what = format!("{:?}, step {}, left {:?}", cut.operation, step, left.keys());
                let (_home, mut store) = start_with(&left);
                assert_old_or_new(&mut store, &cut.either, &what);
                // An edit touches no earlier record. What is left in front of it, the one before it left.
                if cut.operation != Operation::Edit || step == cut.steps.start {
                    assert_history(&store, &daemon.all, &what);
                }
            }
        }
    }
    assert!(crashes > 100 && seen.len() > 500, "{crashes} crashes left {} states", seen.len());
}

/// What can be in the folder after a crash.
fn everything_left(platter: &Platter) -> BTreeSet<Left> {
    let mut left = BTreeSet::from([platter.after_kill()]);
    let pending = platter.pending();
    assert!(pending < 10, "{pending} operations are not on the disk: too many to try all subsets");
    for through in 0..1 << pending {
        for torn in [Torn::Nothing, Torn::Half, Torn::All] {
            left.insert(platter.after_power_cut(through, torn));
        }
    }
    left
}

/// The folder goes with what is returned.
fn start_with(left: &Left) -> (TempDir, Store) {
    let home = folder();
    let generations = home.path().join("generations");
    fs::create_dir(&generations).unwrap();
    for (name, content) in left {
        fs::write(generations.join(name), content).unwrap();
    }
    let store = Store::open(home.path()).unwrap();
    (home, store)
}

fn assert_old_or_new(store: &mut Store, either: &[String; 2], what: &str) {
    let newest = store.newest().unwrap().map(|loaded| loaded.config).unwrap_or_default();
    assert!(either.contains(&octets(&newest)), "neither the old nor the new after {what}");
    assert_eq!(store.take_warnings(), [""; 0], "no record is damaged after {what}");
}

fn assert_history(store: &Store, all: &BTreeMap<u64, Config>, what: &str) {
    for header in store.history() {
        let config = store.config(header.generation).unwrap();
        assert_eq!(config, all[&header.generation], "generation {} after {what}", header.generation);
    }
}

#[test]
fn the_next_daemon_goes_on() {
    let home = folder();
    let mut daemon = Daemon::start(&Arc::new(Faulty::default()), home.path());
    for operation in SCRIPT {
        daemon.make(operation).unwrap();
    }
    let Daemon { store, mut config, .. } = daemon;
    let next = store.next_generation();
    drop(store);
    let mut store = Store::open(home.path()).unwrap();
    assert_eq!(store.newest().unwrap().unwrap().config, config);
    assert_eq!(store.next_generation(), next);
    let change = route("next.test", "a");
    put_edit(&mut store, &change);
    config.make(&change);
    drop(store);
    assert_eq!(Store::open(home.path()).unwrap().newest().unwrap().unwrap().config, config);
}
