//! The program `dproxy-lab`, as far as it goes without dproxy.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

use dproxy_lab::{Balancer, Topology, skip_without_root};

/// Runs the lab; its exit status and what it said on standard error.
fn lab(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_dproxy-lab")).args(arguments).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn mistakes_get_one_clear_error() {
    if skip_without_root() {
        return;
    }
    for (arguments, status, expected) in [
        (&["--once", "--name", "A/B"][..], 1, "the lab's name is \"A/B\""),
        (&["--once", "--name", "lab-none", "--dproxy", "/nowhere/dproxy"], 1, "no dproxy at /nowhere/dproxy"),
        (&["--twice"], 2, "unexpected argument '--twice'"),
    ] {
        let (code, error) = lab(arguments);
        assert_eq!(code, Some(status), "{arguments:?}: {error}");
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
}

#[test]
fn a_second_lab_says_who_holds_the_name() {
    if skip_without_root() {
        return;
    }
    let topology = Topology::builder("lab-held").build().unwrap();
    let (code, error) = lab(&["--once", "--name", "lab-held"]);
    assert_eq!(code, Some(1));
    let holder = format!("already running: pid {}", std::process::id());
    assert!(error.contains(&holder), "{error}");
    assert!(Path::new("/run/netns/lab-held-client").exists());
    drop(topology);
}

#[test]
fn what_dproxy_said_before_it_ended_is_shown() {
    if skip_without_root() {
        return;
    }
    let topology = Topology::builder("lab-broken").build().unwrap();
    // Any program that ends with a message will do.
    let error = Balancer::start(&topology, Path::new("/bin/ls"), "").unwrap_err().to_string();
    assert!(error.contains("unrecognized option '--config'"), "{error}");
}
