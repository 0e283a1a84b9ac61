//! Side by side: each contestant that is there is measured, and what is wrong is noticed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread::available_parallelism;

use dproxy_lab::{default_binary, skip_without_root};
use serde_json::Value;

/// A contestant, and the program that it needs.
const CONTESTANTS: [(&str, Option<&str>); 7] = [
    ("redirect", None),
    ("dproxy-native", Some("dproxy")),
    ("dproxy-generic", Some("dproxy")),
    ("dproxy-slow-path", Some("dproxy")),
    ("nftables", Some("nft")),
    ("nginx", Some("nginx")),
    ("dnsdist", Some("dnsdist")),
];

fn skip(test: &str) -> bool {
    let alone = available_parallelism().is_ok_and(|processors| processors.get() < 2);
    if alone {
        eprintln!("skipped: {test}: needs two processors");
    }
    alone || skip_without_root()
}

fn is_there(program: &str) -> bool {
    if program == "dproxy" {
        return default_binary().is_ok_and(|dproxy| dproxy.is_file());
    }
    let folders = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"];
    folders.iter().any(|folder| Path::new(folder).join(program).is_file())
}

fn bench(name: &str, arguments: &[&str]) -> (Output, PathBuf) {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.json"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_dproxy-bench"));
    command.args(["--only", "side", "--quick", "--rounds", "1", "--name", name, "--output"]).arg(&file);
    (command.args(arguments).output().unwrap(), file)
}

#[test]
fn every_contestant_is_measured_and_every_answer_verified() {
    if skip("every_contestant_is_measured_and_every_answer_verified") {
        return;
    }
    let (there, missing): (Vec<_>, Vec<_>) =
        CONTESTANTS.into_iter().partition(|(_, program)| program.is_none_or(is_there));
    for (contestant, program) in missing {
        eprintln!("skipped: {contestant}: {} is not there", program.unwrap_or_default());
    }
    let arguments: Vec<_> = there.iter().flat_map(|(contestant, _)| ["--contestant", contestant]).collect();
    let (output, file) = bench("bench-side", &arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    let json: Value = serde_json::from_slice(&fs::read(&file).expect(&stderr)).unwrap();
    let chart = file.with_extension("svg");
    let drawn = fs::read_to_string(&chart).expect(&stderr);
    // What a later run would take for its own.
    let _ = (fs::remove_file(&file), fs::remove_file(&chart));

    let side = &json["side"];
    assert_eq!(side["failures"], Value::Array(Vec::new()), "{stderr}");
    for (contestant, _) in &there {
        let samples = side["samples"].as_array().unwrap();
        let sample = samples.iter().find(|sample| sample["contestant"] == *contestant).expect(contestant);
        check(contestant, sample);
    }
    all_right("no balancer", &side["floors"][0]["flood"]);
    assert_eq!(json["contestants"].as_array().unwrap().len(), there.len(), "each is described");
    // A background, and one bar each for rate and latency at least: on a busy machine, a query may seem to take no time.
    assert!(drawn.matches("<rect").count() > 2 * there.len(), "{drawn}");
}

fn check(contestant: &str, sample: &Value) {
    all_right(contestant, &sample["highest"]);
    let timed = sample["timed"].as_array().unwrap();
    assert_eq!(timed.len(), 3, "{contestant}: at three shares of a rate");
    for trial in timed {
        all_right(contestant, trial);
        let (rate, offered) = (trial["load"]["rate"].as_f64().unwrap(), trial["offered"].as_f64().unwrap());
        assert!(offered > rate / 2.0 && offered < rate * 1.1, "{contestant}: the pace is kept: {trial}");
        assert!(trial["latency_ns"]["p50"].as_u64().unwrap() > 0, "{contestant}: answers are timed: {trial}");
    }
}

/// There are answers, and none is wrong.
fn all_right(contestant: &str, trial: &Value) {
    let seen = &trial["seen"];
    assert!(seen["right"].as_u64().unwrap() > 0, "{contestant}: {trial}");
    for wrong in ["wrong_id", "wrong_flags", "wrong_question", "wrong_checksum"] {
        assert_eq!(seen[wrong], 0, "{contestant}: {trial}");
    }
}

#[test]
fn a_wrong_answer_is_noticed() {
    if skip("a_wrong_answer_is_noticed") {
        return;
    }
    for (spoiled, count) in [("mark", "wrong_flags: 0"), ("id", "wrong_id: 0")] {
        let (output, file) = bench("bench-spoiled", &["--contestant", "redirect", "--spoil", spoiled]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && !file.exists(), "{spoiled}: {stderr}");
        assert!(stderr.contains("answers are wrong") && !stderr.contains(count), "{spoiled}: {stderr}");
        assert!(stderr.contains("right: 0"), "{spoiled}: {stderr}");
    }
}
