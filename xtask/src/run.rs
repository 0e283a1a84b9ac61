//! `cargo xtask run`

use std::process::Command;

use anyhow::Result;

use crate::setup::{self, Purpose};
use crate::{build, machine, shell};

/// Sets up what is missing, builds, and runs dproxy in the lab, or on this machine's own interfaces
///
/// Without arguments, or with options only (`cargo xtask run --once`), runs the lab: a small internet in
/// network namespaces. With a verb of dproxy's first (`cargo xtask run -- run --config FILE`), runs
/// dproxy itself.
#[derive(clap::Args)]
pub struct Run {
    /// Options of the lab (`-- --help` lists them), or a verb of dproxy's with its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Run {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let (program, purpose) = program(&self.arguments);
        setup::ensure(purpose)?;
        build::binaries(&[])?;
        machine::mount_bpffs()?;
        match shell::exec(Command::new(build::beside_us(program)?).args(&self.arguments))? {}
    }
}

/// Which program the arguments are for: a verb can only be for dproxy.
fn program(arguments: &[String]) -> (&'static str, Purpose) {
    match arguments.first() {
        Some(first) if !first.starts_with('-') => ("dproxy", Purpose::Build),
        _ => ("dproxy-lab", Purpose::Run),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        run: Run,
    }

    #[test]
    fn options_are_for_the_lab_and_verbs_for_dproxy() {
        for (line, expected, arguments) in [
            (&["run"][..], "dproxy-lab", &[][..]),
            (&["run", "--once"], "dproxy-lab", &["--once"]),
            (&["run", "--", "--help"], "dproxy-lab", &["--help"]),
            (&["run", "--", "run", "--config", "F"], "dproxy", &["run", "--config", "F"]),
            (&["run", "status", "--json"], "dproxy", &["status", "--json"]),
        ] {
            let parsed = Line::try_parse_from(line).unwrap_or_else(|error| panic!("{line:?}: {error}")).run;
            assert_eq!(program(&parsed.arguments).0, expected, "{line:?}");
            assert_eq!(parsed.arguments, arguments, "{line:?}");
        }
    }
}
