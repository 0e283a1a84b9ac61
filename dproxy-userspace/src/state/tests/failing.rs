//! A full disk, at every single step: what was asked for is refused, and all is as before.

use std::sync::Arc;

use super::faulty::Faulty;
use super::script::{Daemon, Operation, SCRIPT};
use super::{folder, names, octets};
use crate::state::{StateError, Store};

/// Goes through the script on a disk that is full for some steps from `first` on. Returns what was refused.
fn run(first: usize, steps: usize) -> Vec<(Operation, StateError)> {
    let home = folder();
    let disk = Arc::new(Faulty::full_in(first..first + steps));
    let mut daemon = Daemon::start(&disk, home.path());
    let mut refused = Vec::new();
    for operation in SCRIPT {
        if daemon.store.history().is_empty() && operation == Operation::MakeWhole {
            continue;
        }
        let before = (octets(&daemon.config), daemon.store.history().to_vec());
        let Err(error) = daemon.make(operation) else { continue };
        let now = (octets(&daemon.config), daemon.store.history().to_vec());
        assert_eq!(now, before, "a refused {operation:?} changes nothing, step {first}");
        let newest = daemon.store.newest().unwrap().map(|loaded| loaded.config).unwrap_or_default();
        assert_eq!(newest, daemon.config, "after a refused {operation:?}, step {first}");
        refused.push((operation, error));
    }
    assert!(!names(home.path()).iter().any(|name| name.starts_with('.')), "temporary files are removed");
    let Daemon { store, config, .. } = daemon;
    drop(store);
    let mut store = Store::open(home.path()).unwrap();
    assert_eq!(store.newest().unwrap().unwrap().config, config, "after a restart, step {first}");
    refused
}

#[test]
fn a_full_disk_refuses_and_changes_nothing() {
    let mut count = 0;
    for step in 0..180 {
        let refused = run(step, 1);
        assert!(refused.len() <= 1, "one failure, one refusal: {refused:?}");
        count += refused.len();
    }
    assert!(count > 80, "{count}");
}

#[test]
fn a_disk_that_stays_full_for_a_while_recovers() {
    for first in 0..60 {
        let refused = run(first, 20);
        assert!(!refused.is_empty());
    }
}

#[test]
fn the_message_says_what_to_do() {
    let home = folder();
    let disk = Arc::new(Faulty::full_in(1..2));
    let error = Daemon::start(&disk, home.path()).make(Operation::Apply).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot write in {}: No space left on device; edits are refused until there is room; make some, or \
             name another folder with --state",
            home.path().display()
        )
    );
}
