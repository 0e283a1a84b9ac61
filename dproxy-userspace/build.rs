//! Compiles the kernel half, and puts it where `dproxy` takes it from: `OUT_DIR/dproxy` and `OUT_DIR/dproxy-calls`.

use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    for input in ["dproxy-ebpf", "dproxy-common", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed=../{input}");
    }
    let features =
        [("CARGO_FEATURE_CHANGED_PROGRAM", "changed-program"), ("CARGO_FEATURE_NEXT_SCHEMA", "next-schema")];
    let features = features.iter().filter(|(set, _)| env::var_os(set).is_some()).map(|(_, feature)| *feature);
    let features: Vec<_> = features.collect();
    // The second one is for kernels whose verifier gives up on the first.
    for (name, more) in [("dproxy", None), ("dproxy-calls", Some("calls"))] {
        let features: Vec<_> = features.iter().copied().chain(more).collect();
        if let Err(error) = xtask::ebpf::build_for_script("dproxy-ebpf", &features, name) {
            eprintln!("{error:#}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
