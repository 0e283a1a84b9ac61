//! `cargo xtask setup`, and the same for every other command before it starts.

mod apt;
mod needs;

use std::process::Command;

use anyhow::{Result, bail, ensure};
use xtask::ebpf::{compiler, linker};

use crate::{machine, shell, workspace};
use apt::Offers;
use needs::Missing;
pub use needs::Purpose;

const NOT_OURS: &str =
    "set-up changes a machine only as root on Debian or Ubuntu. Install these, then try again:";
const STILL: &str = "set-up has run to its end, and these are missing still";

/// Installs what is missing (as root on Debian or Ubuntu), or says what to install
#[derive(clap::Args)]
pub struct Setup {
    /// What to set up for
    #[arg(value_enum, default_value_t = Purpose::Test)]
    purpose: Purpose,
}

impl Setup {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        ensure(self.purpose)?;
        describe()?;
        println!("nothing is missing for `cargo xtask {}`", self.purpose);
        Ok(())
    }
}

/// Says what the kernel half is compiled with.
pub fn describe() -> Result<()> {
    println!("compiler for BPF: {}", compiler::choose(compiler::inventory())?);
    println!("linker for BPF: {}", linker::find(workspace())?.display());
    Ok(())
}

/// Sees to it that nothing is missing for `purpose`. It changes nothing where nothing is.
pub fn ensure(purpose: Purpose) -> Result<()> {
    let missing = Missing::look(purpose);
    if missing.is_nothing() {
        return Ok(());
    }
    println!("missing for `cargo xtask {purpose}`: {missing}");
    if missing.is_only_linker() || (machine::is_root() && apt::is_here()) {
        install(&missing)?;
    } else {
        bail!("{NOT_OURS}\n{}", missing.instructions(apt::offers()));
    }
    let still = Missing::look(purpose);
    ensure!(still.is_nothing(), "{STILL}: {still}\n{}", still.instructions(apt::offers()));
    Ok(())
}

fn install(missing: &Missing) -> Result<()> {
    if !missing.is_only_linker() {
        install_on_machine(missing)?;
    }
    if missing.linker {
        // `--force`: another version may be there.
        shell::run(shell::cargo(&linker::install_arguments()).arg("--force"))?;
    }
    Ok(())
}

fn install_on_machine(missing: &Missing) -> Result<()> {
    apt::update()?;
    let mut packages = missing.packages();
    let compiler_by_apt = missing.compiler && apt::offers() == Offers::All;
    if compiler_by_apt {
        packages.extend(compiler::PACKAGES);
    }
    if !packages.is_empty() {
        apt::install(&packages, &missing.services())?;
    }
    if missing.compiler && !compiler_by_apt {
        println!("apt has no Rust compiler for BPF that is new enough: taking rustup's");
        ensure!(machine::has_program("rustup"), "install rustup first, then run this again");
        let [rustup, arguments @ ..] = compiler::nightly_command();
        shell::run(Command::new(rustup).args(arguments))?;
    }
    Ok(())
}
