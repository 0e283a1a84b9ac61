//! `cargo xtask test`

mod tally;
mod tier;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::setup::{self, Purpose};
use crate::{build, machine, shell};
use tally::Tally;
use tier::Tier;

/// Sets up what is missing, builds everything, and runs the tests
///
/// Tier 0 needs nothing. Tier 1 loads the kernel half and hands it packets, tier 2 runs it among real DNS
/// servers in network namespaces: both need root. Ends with a count of all tests; the exit status is 1
/// when one has failed.
#[derive(clap::Args)]
pub struct Test {
    /// Run only the tests whose names contain one of these
    filters: Vec<String>,
    /// Leave out the tiers that need root
    #[arg(long)]
    host_only: bool,
}

impl Test {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let with_kernel = !self.host_only && machine::is_root();
        setup::ensure(if with_kernel { Purpose::Test } else { Purpose::Build })?;
        let tiers = if with_kernel { tier::all()? } else { vec![tier::host()] };
        compile(&tiers, with_kernel)?;
        if with_kernel {
            machine::mount_bpffs()?;
        }

        let mut results = Vec::new();
        for tier in tiers {
            println!("\n== {}", tier.title);
            let start = Instant::now();
            let tally = tier.run(&self.filters)?;
            results.push((tier.title, start.elapsed(), tally));
        }
        let total = report(&results);
        ensure!(total.failed == 0, "{} failed", tests(total.failed));
        ensure!(total.passed + total.skipped > 0, "no test has such a name: {}", self.filters.join(", "));
        ensure!(
            with_kernel || self.host_only,
            "tiers 1 and 2 DID NOT RUN, since they need root: run this as root, or with --host-only"
        );
        Ok(())
    }
}

/// First of all, so that durations are those of tests, and a typo shows before a test has run.
fn compile(tiers: &[Tier], with_kernel: bool) -> Result<()> {
    if with_kernel {
        build::successors()?;
    }
    build::binaries(&[])?;
    tiers.iter().try_for_each(|tier| shell::run(shell::cargo(&["test", "--no-run"]).args(&tier.selection)))
}

/// Prints what was skipped and what failed, each tier's count, and the count of all as the last line.
fn report(results: &[(&str, Duration, Tally)]) -> Tally {
    println!();
    let mut total = Tally::default();
    for (title, _, tally) in results {
        tally.skips.iter().for_each(|skip| println!("skipped: {skip}"));
        tally.failures.iter().for_each(|failure| println!("failed: {title}: {failure}"));
        total.add(tally);
    }
    for (title, duration, tally) in results {
        println!("{title}: {tally} in {:.1} s", duration.as_secs_f64());
    }
    println!("total: {total}");
    total
}

fn tests(number: usize) -> String {
    if number == 1 { "1 test".into() } else { format!("{number} tests") }
}
