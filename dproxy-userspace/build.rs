//! Compiles the kernel half, and puts it where `dproxy` takes it from: `OUT_DIR/dproxy` and `OUT_DIR/dproxy-calls`.

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
    for input in ["dproxy-ebpf", "dproxy-common", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", workspace.join(input).display());
    }

    let features =
        [("CARGO_FEATURE_CHANGED_PROGRAM", "changed-program"), ("CARGO_FEATURE_NEXT_SCHEMA", "next-schema")];
    let features = features.iter().filter(|(set, _)| env::var_os(set).is_some()).map(|(_, feature)| *feature);
    let features: Vec<_> = features.collect();
    // The second one is for kernels whose verifier gives up on the first.
    for (name, more) in [("dproxy", None), ("dproxy-calls", Some("calls"))] {
        let features: Vec<_> = features.iter().copied().chain(more).collect();
        let object = xtask::ebpf::build(workspace, "dproxy-ebpf", &features)?;
        let destination = Path::new(&env::var("OUT_DIR")?).join(name);
        fs::copy(&object, &destination)
            .with_context(|| format!("cannot copy {} to {}", object.display(), destination.display()))?;
    }
    Ok(())
}
