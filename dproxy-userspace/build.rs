//! Compiles the kernel half, and puts it where `dproxy` takes it from: `OUT_DIR/dproxy`.

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
    let Err(error) = xtask::ebpf::build_for_script("dproxy-ebpf", &features, "dproxy") else {
        return ExitCode::SUCCESS;
    };
    eprintln!("{error:#}");
    ExitCode::FAILURE
}
