//! Compiles the benchmark's own XDP programs, and puts them where it takes them from: `OUT_DIR/programs`.

use std::process::ExitCode;

fn main() -> ExitCode {
    for input in ["ebpf", "../dproxy-common", "../Cargo.toml", "../Cargo.lock"] {
        println!("cargo::rerun-if-changed={input}");
    }
    let Err(error) = xtask::ebpf::build_for_script("dproxy-bench-ebpf", &[], "programs") else {
        return ExitCode::SUCCESS;
    };
    eprintln!("{error:#}");
    ExitCode::FAILURE
}
