//! The arguments of `dproxy import`.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::config::parse_address;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Import {
    /// That of the original dproxy: config.gcfg, and the route files that it names
    Dproxy(ImportDproxy),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ImportDproxy {
    /// The folder that it was started in, with config.gcfg
    #[arg(value_name = "DIR")]
    pub(in crate::cli) folder: PathBuf,
    /// An interface that the fast path is to attach to; once for each [default: all with a global address]
    #[arg(long = "interface", value_name = "NAME")]
    pub(in crate::cli) interfaces: Vec<String>,
    /// An address that clients query, with a port if that is not the one in config.gcfg; once for each
    /// [default: the global addresses that this host has now]
    #[arg(long = "listen", value_name = "ADDRESS", value_parser = listener)]
    pub(in crate::cli) listen: Vec<(IpAddr, Option<u16>)>,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) output: Option<PathBuf>,
    /// Replace the file if it is there already
    #[arg(long, requires = "output")]
    pub(in crate::cli) force: bool,
}

/// An address, and its port if it has one.
pub(super) fn listener(text: &str) -> Result<(IpAddr, Option<u16>), String> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(ip) = bare.parse() {
        return Ok((ip, None));
    }
    let address = parse_address(text).map_err(|refusal| refusal.to_string())?;
    Ok((address.ip(), Some(address.port())))
}
