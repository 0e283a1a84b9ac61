//! What can be typed.

mod import;
mod local;
mod remote;
mod whole;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub(super) use import::{Import, ImportDproxy};
pub(super) use local::{Detach, Run};
pub(super) use remote::{Backend, Events, Explain, Member, Pool, Remote, Route, Settings, Stats};
pub(super) use whole::{Apply, Rollback, Save, WholeFile};

/// DNS load balancer in the kernel's network path
#[derive(Debug, Parser)]
#[command(name = "dproxy", version, arg_required_else_help = true)]
pub(super) struct Arguments {
    /// The daemon's Unix socket [default: /run/dproxy/dproxy.sock; `run`: control.socket of the
    /// configuration]
    #[arg(long, env = "DPROXY_SOCKET", hide_env = true, global = true, value_name = "PATH")]
    pub(super) socket: Option<PathBuf>,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the daemon
    Run(Run),
    /// Validate a configuration file
    Check(ConfigFile),
    /// Detach the fast path, whoever left it attached
    Detach(Detach),
    /// Convert the configuration of another program
    #[command(subcommand)]
    Import(Import),
    #[command(flatten)]
    Remote(Remote),
}

/// Where the configuration file is expected.
pub(super) const DEFAULT_CONFIG: &str = "/etc/dproxy/dproxy.toml";

#[derive(Debug, Args)]
pub(super) struct ConfigFile {
    /// The configuration file
    #[arg(long, default_value = DEFAULT_CONFIG, value_name = "FILE")]
    pub(super) config: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct Format {
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// How an edit is made.
#[derive(Debug, Args)]
pub(super) struct Editing {
    /// Refuse it if another generation than this is in force
    #[arg(long, value_name = "N")]
    pub(super) generation: Option<u64>,
    #[command(flatten)]
    pub(super) format: Format,
}

#[cfg(test)]
mod tests;
