//! Compiles the benchmark's own XDP programs, and puts them where it takes them from: `OUT_DIR/programs`.

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

use anyhow::{Context, Result};

fn main() -> ExitCode {
    let Err(error) = compile() else { return ExitCode::SUCCESS };
    eprintln!("{error:#}");
    ExitCode::FAILURE
}

fn compile() -> Result<()> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace = here.parent().context("this package is not in a workspace")?;
    for input in ["bench/ebpf", "dproxy-common", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", workspace.join(input).display());
    }
    let object = xtask::ebpf::build(workspace, "dproxy-bench-ebpf", &[])?;
    let destination = Path::new(&env::var("OUT_DIR")?).join("programs");
    fs::copy(&object, &destination)
        .with_context(|| format!("cannot copy {} to {}", object.display(), destination.display()))?;
    Ok(())
}
