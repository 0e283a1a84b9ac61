//! The arguments of changes of the whole configuration.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{Editing, Format};
use crate::config::parse_duration;

#[derive(Debug, Args)]
pub(in crate::cli) struct WholeFile {
    /// The configuration file [default: the daemon's own]
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) config: Option<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) format: Format,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Apply {
    /// The configuration file [default: the daemon's own]
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) config: Option<PathBuf>,
    /// Take it back after this time, unless `dproxy confirm` comes before
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(in crate::cli) confirm: Option<Duration>,
    /// Undo live edits that the configuration knows nothing of
    #[arg(long)]
    pub(in crate::cli) discard_edits: bool,
    #[command(flatten)]
    pub(in crate::cli) editing: Editing,
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|refusal| refusal.to_string())
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Rollback {
    /// The generation to return to, as `history` shows it [default: the one before]
    #[arg(value_name = "N")]
    pub(in crate::cli) to: Option<u64>,
    #[command(flatten)]
    pub(in crate::cli) editing: Editing,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Save {
    /// The configuration file [default: the daemon's own]
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) config: Option<PathBuf>,
    /// Print what would be in the file, and leave it alone
    #[arg(long)]
    pub(in crate::cli) stdout: bool,
}
