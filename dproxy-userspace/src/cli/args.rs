//! What can be typed.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use super::log::LogFormat;
use crate::config::parse_address;

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
    /// Convert the configuration of another program
    #[command(subcommand)]
    Import(Import),
    #[command(flatten)]
    Remote(Remote),
}

#[derive(Debug, Subcommand)]
pub(super) enum Import {
    /// That of the original dproxy: config.gcfg, and the route files that it names
    Dproxy(ImportDproxy),
}

#[derive(Debug, Args)]
pub(super) struct ImportDproxy {
    /// The folder that it was started in, with config.gcfg
    #[arg(value_name = "DIR")]
    pub(super) folder: PathBuf,
    /// An interface that the fast path is to attach to; once for each [default: all with a global address]
    #[arg(long = "interface", value_name = "NAME")]
    pub(super) interfaces: Vec<String>,
    /// An address that clients query, with a port if that is not the one in config.gcfg; once for each
    /// [default: the global addresses that this host has now]
    #[arg(long = "listen", value_name = "ADDRESS", value_parser = listener)]
    pub(super) listen: Vec<(IpAddr, Option<u16>)>,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Replace the file if it is there already
    #[arg(long, requires = "output")]
    pub(super) force: bool,
}

/// An address, and its port if it has one.
fn listener(text: &str) -> Result<(IpAddr, Option<u16>), String> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(ip) = bare.parse() {
        return Ok((ip, None));
    }
    let address = parse_address(text).map_err(|refusal| refusal.to_string())?;
    Ok((address.ip(), Some(address.port())))
}

/// What the daemon is asked for.
#[derive(Debug, Subcommand)]
pub(super) enum Remote {
    /// Show everything on one screen
    Status(Format),
    /// List and edit routes
    #[command(subcommand)]
    Route(Route),
    /// List and edit pools
    #[command(subcommand)]
    Pool(Pool),
    /// List and edit backends
    #[command(subcommand)]
    Backend(Backend),
    /// Ask the loaded program what it would do with a query, and why
    Explain(Explain),
    /// Show counters by listener, route, pool, backend and reason
    Stats(Stats),
}

#[derive(Debug, Args)]
pub(super) struct ConfigFile {
    /// The configuration file
    #[arg(long, default_value = "/etc/dproxy/dproxy.toml", value_name = "FILE")]
    pub(super) config: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    pub(super) file: ConfigFile,
    /// What to log: error, warn, info, debug or trace, or directives such as
    /// info,dproxy_userspace::network=debug
    #[arg(long, env = "DPROXY_LOG", hide_env = true, default_value = "info", value_parser = directives)]
    pub(super) log: String,
    /// What a line of the log looks like
    #[arg(long, env = "DPROXY_LOG_FORMAT", hide_env = true, value_name = "FORMAT", default_value = "auto")]
    pub(super) log_format: LogFormat,
}

fn directives(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

#[derive(Debug, Args)]
pub(super) struct Format {
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Route {
    /// List all routes
    List(Format),
    /// Show which route applies to a name, and where it leads
    Show {
        /// A domain name
        name: String,
        #[command(flatten)]
        format: Format,
    },
    /// Add a route
    Add {
        /// example.org (the name and all below it), *.example.org (all below it) or =example.org
        /// (the name only)
        pattern: String,
        /// A pool, or an answer: refused, nxdomain, servfail, truncate, drop
        #[arg(value_name = "POOL-or-ANSWER")]
        target: String,
        /// If the pattern has a route, change where that leads
        #[arg(long)]
        replace: bool,
        #[command(flatten)]
        format: Format,
    },
    /// Remove a route
    Remove {
        /// Its pattern, as `route list` shows it
        pattern: String,
        #[command(flatten)]
        format: Format,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Pool {
    /// List all pools
    List(Format),
    /// Show a pool and its backends
    Show {
        /// Its name
        pool: String,
        #[command(flatten)]
        format: Format,
    },
    /// Add a pool
    Add {
        /// Its name
        pool: String,
        /// A backend, and its weight if that is not 1; once for each
        #[arg(long, required = true, value_name = "ADDRESS[,WEIGHT]")]
        backend: Vec<Member>,
        /// How a backend is chosen: maglev (default) or random
        #[arg(long)]
        policy: Option<String>,
        /// What policy maglev hashes: qname (default), client or qname+client
        #[arg(long)]
        hash: Option<String>,
        /// The backend for NOTIFY and UPDATE; with weight 0, it gets nothing else
        #[arg(long, value_name = "ADDRESS")]
        primary: Option<String>,
        /// The backends expect the PROXY protocol, version 2
        #[arg(long)]
        proxy_protocol: bool,
        #[command(flatten)]
        format: Format,
    },
    /// Remove a pool that no route leads to
    Remove {
        /// Its name
        pool: String,
        #[command(flatten)]
        format: Format,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Backend {
    /// List the backends of a pool, or of all
    List {
        /// The pool's name
        pool: Option<String>,
        #[command(flatten)]
        format: Format,
    },
    /// Add a backend to a pool
    Add {
        /// The pool's name
        pool: String,
        /// Its IP address, with a port if that is not 53
        address: String,
        /// Its share of the pool's queries, relative to the others'
        #[arg(long, default_value_t = 1, value_name = "N")]
        weight: u16,
        #[command(flatten)]
        format: Format,
    },
    /// Remove a backend from a pool
    Remove {
        /// The pool's name
        pool: String,
        /// The backend's address
        address: String,
        #[command(flatten)]
        format: Format,
    },
    /// Set the weight of a backend
    Weight {
        /// The pool's name
        pool: String,
        /// The backend's address
        address: String,
        /// Its share of the pool's queries, relative to the others': 0 (none) to 1000
        weight: u16,
        #[command(flatten)]
        format: Format,
    },
}

/// A backend of a new pool: `192.0.2.1:53,3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) address: String,
    pub(super) weight: Option<u16>,
}

impl FromStr for Member {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((address, weight)) = text.split_once(',') else {
            return Ok(Self { address: text.to_owned(), weight: None });
        };
        let weight = weight.parse().map_err(|_| "behind the comma there must be a weight, 0 to 1000")?;
        Ok(Self { address: address.to_owned(), weight: Some(weight) })
    }
}

#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The name asked for
    pub(super) name: String,
    /// The type asked for: A, AAAA, MX, …
    #[arg(default_value = "A", value_name = "TYPE")]
    pub(super) record_type: String,
    /// The client; without it, an address for documentation
    #[arg(long, value_name = "IP[:PORT]")]
    pub(super) from: Option<String>,
    /// The listener asked; without it, the first of the client's IP version
    #[arg(long, value_name = "ADDRESS")]
    pub(super) listener: Option<String>,
    #[command(flatten)]
    pub(super) format: Format,
}

#[derive(Debug, Args)]
pub(super) struct Stats {
    /// Show them again and again, with rates, until Ctrl-C
    #[arg(long, conflicts_with = "json")]
    pub(super) watch: bool,
    /// Seconds between two looks
    #[arg(long, default_value = "1", value_parser = seconds, requires = "watch")]
    pub(super) interval: Duration,
    /// Show reasons that no packet had as well
    #[arg(long)]
    pub(super) all: bool,
    #[command(flatten)]
    pub(super) format: Format,
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        Ok(_) | Err(_) => Err("it must be a number of seconds from 0.1 to 3600".to_owned()),
    }
}

#[cfg(test)]
mod tests;
