//! `cargo xtask`: sets the machine up, builds, runs, tests and measures dproxy.

mod bench;
mod build;
mod kernels;
mod machine;
mod run;
mod setup;
mod shell;
mod test;

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Sets the machine up, builds, runs, tests and measures dproxy.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    Setup(setup::Setup),
    Build(build::Build),
    Run(run::Run),
    Test(test::Test),
    Bench(bench::Bench),
    VerifyKernels(kernels::VerifyKernels),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Task::Setup(setup) => setup.run(),
        Task::Build(build) => build.run(),
        Task::Run(run) => run.run(),
        Task::Test(test) => test.run(),
        Task::Bench(bench) => bench.run(),
        Task::VerifyKernels(verify) => verify.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The folder of the workspace.
fn workspace() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}
