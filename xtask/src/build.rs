//! `cargo xtask build`

use anyhow::{Context, Result};
use std::fs;
use std::path::PathBuf;

use crate::setup::{self, Purpose};
use crate::shell;

/// Sets up what is missing for building, and builds `dproxy` and the lab
#[derive(clap::Args)]
pub struct Build {
    /// Build for speed, to install it
    #[arg(long)]
    release: bool,
}

impl Build {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        setup::ensure(Purpose::Build)?;
        setup::describe()?;
        binaries(if self.release { &["--release"] } else { &[] })
    }
}

/// Builds `dproxy` and the lab.
pub fn binaries(options: &[&str]) -> Result<()> {
    let cargo = &["build", "--package", "dproxy-userspace", "--package", "dproxy-lab"];
    shell::run(shell::cargo(cargo).args(options))
}

/// Builds `dproxy` as later versions will be, for the tests of upgrades: beside the usual one, as
/// `dproxy-changed-program` and `dproxy-next-schema`.
pub fn successors() -> Result<()> {
    for feature in ["changed-program", "next-schema"] {
        let build = ["build", "--package", "dproxy-userspace", "--bin", "dproxy", "--features", feature];
        shell::run(&mut shell::cargo(&build))?;
        let (built, named) = (beside_us("dproxy")?, beside_us(&format!("dproxy-{feature}"))?);
        fs::copy(&built, &named).with_context(|| format!("cannot copy {}", built.display()))?;
    }
    Ok(())
}

/// A file beside this program, where cargo puts everything it builds; `../release/` is where it puts what it
/// builds for speed.
pub fn beside_us(name: &str) -> Result<PathBuf> {
    let us = std::env::current_exe().context("cannot find this program's own folder")?;
    Ok(us.with_file_name(name))
}
