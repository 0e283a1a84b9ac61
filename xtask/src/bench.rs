//! `cargo xtask bench`

use std::process::Command;

use anyhow::Result;

use crate::setup::{self, Purpose};
use crate::{build, machine, shell, workspace};

/// Sets up what is missing, builds for speed, and measures dproxy side by side with dnsdist
///
/// Prints tables, and writes all samples to `target/bench/latest.json`. The exit status is 1 when dproxy is
/// not as good as it has promised. See docs/benchmark.md.
#[derive(clap::Args)]
pub struct Bench {
    /// Options of the benchmark, such as `--quick` or `--only udp` (`-- --help` lists them)
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Bench {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        setup::ensure(Purpose::Bench)?;
        let packages = ["--package", "dproxy-userspace", "--package", "dproxy-bench"];
        shell::run(shell::cargo(&["build", "--release"]).args(packages))?;
        machine::mount_bpffs()?;
        let mut bench = Command::new(build::beside_us("../release/dproxy-bench")?);
        match shell::exec(bench.args(&self.arguments).current_dir(workspace()))? {}
    }
}
