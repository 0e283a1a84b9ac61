//! `cargo xtask build`

use anyhow::{Context, Result};
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

/// A file beside this program, where cargo puts everything it builds; `../release/` is where it puts what it
/// builds for speed.
pub fn beside_us(name: &str) -> Result<PathBuf> {
    let us = std::env::current_exe().context("cannot find this program's own folder")?;
    Ok(us.with_file_name(name))
}
