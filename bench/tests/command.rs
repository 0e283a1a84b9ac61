//! The command itself: what it measures without a balancer, and what it writes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::thread::available_parallelism;

use dproxy_lab::skip_without_root;
use serde_json::Value;

fn bench(name: &str, arguments: &[&str]) -> (Output, Value) {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.json"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_dproxy-bench"));
    command.args(["--name", name, "--rounds", "1", "--seconds", "1", "--output"]).arg(&file).args(arguments);
    let output = command.output().unwrap();
    let json = fs::read(&file).map_or(Value::Null, |json| serde_json::from_slice(&json).unwrap());
    // What a later run would take for its own.
    let _ = fs::remove_file(&file);
    (output, json)
}

fn skip_with_one_processor() -> bool {
    let alone = available_parallelism().is_ok_and(|processors| processors.get() < 2);
    if alone {
        eprintln!("skipped: without_a_balancer_every_query_is_answered: needs two processors");
    }
    alone
}

#[test]
fn without_a_balancer_every_query_is_answered() {
    if skip_without_root() || skip_with_one_processor() {
        return;
    }
    let only = ["--contestant", "direct", "--only", "udp", "--only", "tcp"];
    let (output, json) = bench("bench-test", &only);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("none (direct)"), "the table has a line for the contestant:\n{stdout}");

    let scenarios = json["scenarios"].as_array().unwrap();
    let names: Vec<_> = scenarios.iter().map(|it| it["scenario"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["udp-highest", "udp-20k", "tcp-highest", "tcp-20k"]);
    for (scenario, name) in scenarios.iter().zip(names) {
        let sample = &scenario["samples"][0];
        let rate = sample["queries_per_second"].as_f64().unwrap();
        assert!(rate > 1000.0, "{name}: {rate} queries/s");
        assert_eq!(sample["contestant"], "direct", "{name}");
        assert_eq!(sample["process"], Value::Null, "{name}: there is no balancer to account for");
    }
    assert!(json["machine"]["processors"].as_u64().unwrap() >= 2);
    assert_eq!(json["bars"], Value::Array(Vec::new()), "without dproxy there is nothing to promise");
}

#[test]
fn a_dproxy_that_is_not_there_is_said_to_be_missing() {
    if skip_without_root() {
        return;
    }
    let (output, _) = bench("bench-missing", &["--contestant", "dproxy-slow-path", "--dproxy", "/no/dproxy"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && stderr.contains("/no/dproxy"), "{stderr}");
}
