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
    for (contestant, program) in CONTESTANTS {
        if let Some(missing) = program.filter(|program| !is_there(program)) {
            eprintln!("skipped: {contestant}: {missing} is not there");
            continue;
        }
        let (output, file) = bench("bench-side", &["--contestant", contestant]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        let json: Value = serde_json::from_slice(&fs::read(&file).expect(&stderr)).unwrap();
        let chart = file.with_extension("svg");
        let drawn = fs::read_to_string(&chart).expect(&stderr);
        // What a later run would take for its own.
        let _ = (fs::remove_file(&file), fs::remove_file(&chart));

        let side = &json["side"];
        assert_eq!(side["failures"], Value::Array(Vec::new()), "{contestant}: {stderr}");
        let sample = &side["samples"][0];
        assert_eq!(sample["contestant"], contestant);
        let timed = sample["timed"].as_array().unwrap();
        assert_eq!(timed.len(), 3, "{contestant}: at three shares of a rate");
        for trial in timed.iter().chain([&sample["highest"], &side["floors"][0]["flood"]]) {
            let seen = &trial["seen"];
            assert!(seen["right"].as_u64().unwrap() > 0, "{contestant}: {trial}");
            for wrong in ["wrong_id", "wrong_flags", "wrong_question", "wrong_checksum"] {
                assert_eq!(seen[wrong], 0, "{contestant}: {trial}");
            }
        }
        for trial in timed {
            let (rate, offered) =
                (trial["load"]["rate"].as_f64().unwrap(), trial["offered"].as_f64().unwrap());
            assert!(offered > rate / 2.0 && offered < rate * 1.1, "{contestant}: the pace is kept: {trial}");
        }
        assert!(timed[0]["latency_ns"]["p50"].as_u64().unwrap() > 0, "{contestant}: answers are timed");
        assert!(drawn.matches("<rect").count() > 2, "{contestant}: a bar for rate and latency\n{drawn}");
        let named = side["samples"].as_array().unwrap().len() == 1
            && json["contestants"][0]["contestant"] == contestant;
        assert!(named, "{contestant}: {}", json["contestants"]);
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
