//! `dproxy-lab`: a small internet on one machine, with dproxy in the middle of it.

mod commands;
mod internet;
mod original;
mod path;
mod proof;
mod questions;
mod tour;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use dproxy_lab::{Balancer, Interrupt, default_binary, require_binary};

use crate::internet::Internet;
use crate::proof::Counters;

/// How often we look whether dproxy still runs, and the user still wants it.
const PULSE: Duration = Duration::from_millis(200);

/// Builds a small internet of network namespaces (a client, a balancer with dproxy and two DNS servers
/// beside it, three backends with one each), runs dproxy from the converted files of an original dproxy,
/// sends queries over IPv4 and IPv6, UDP and TCP, and proves by counters which way each of them took. Then it
/// stays up, for you to try, until Ctrl-C.
#[derive(Parser)]
#[command(name = "dproxy-lab", version)]
struct Arguments {
    /// Stop after the proof: exit status 0 if all is proven, 1 if not.
    #[arg(long)]
    once: bool,
    /// The beginning of the namespaces' names; labs of different names can run side by side.
    #[arg(long, default_value = "dproxy")]
    name: String,
    /// The dproxy program to run [default: the one built together with this program].
    #[arg(long, value_name = "FILE")]
    dproxy: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("dproxy-lab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all was proven.
fn run(arguments: &Arguments) -> Result<bool> {
    ensure!(dproxy_lab::is_root(), "needs root, to create network namespaces: run it with sudo");
    let interrupt = Interrupt::catch()?;
    let binary = arguments.dproxy.clone().map_or_else(default_binary, Ok)?;
    require_binary(&binary)?;
    let out = &mut io::stdout();

    let internet = Internet::build(&arguments.name)?;
    internet.describe(out)?;
    let config = original::import(&internet, &binary)?;
    // Declared after the internet, so that it ends first.
    let mut balancer = Balancer::start(&internet.topology, &binary, &config)?;
    original::edit(&internet, &balancer)?;
    internet.wait_for_backends(&balancer)?;
    let before = Counters::read(&balancer)?;
    let Some(tour) = tour::ask_all(&internet, &interrupt, out)? else {
        writeln!(out, "\nInterrupted.")?;
        return Ok(false);
    };
    let counted = Counters::read(&balancer)?.since(&before);
    let proven = proof::show(&tour, &counted, out)?;
    if !proven {
        writeln!(out, "\nThe end of dproxy's log:\n{}", balancer.log_tail())?;
    }
    if !arguments.once {
        commands::show(&internet, &balancer, out)?;
        stay(&interrupt, &mut balancer)?;
        writeln!(out, "\nRemoving the lab.")?;
    }
    Ok(proven)
}

/// Until the user has had enough; an error if dproxy ends before.
fn stay(interrupt: &Interrupt, balancer: &mut Balancer) -> Result<()> {
    while !interrupt.came()? {
        sleep(PULSE);
        if let Some(status) = balancer.ended().context("look after dproxy")? {
            anyhow::bail!("dproxy ended by itself ({status}); the end of its log:\n{}", balancer.log_tail());
        }
    }
    Ok(())
}
