//! The arguments of what the daemon is asked for.

use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Subcommand, value_parser};

use super::{Apply, Editing, Format, Rollback, Save, WholeFile};

/// What the daemon is asked for.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Remote {
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
    /// Show what an apply would change
    Plan(WholeFile),
    /// Put a whole configuration in force, as one generation
    Apply(Apply),
    /// Confirm the generation that waits for it
    Confirm(Editing),
    /// Return to an earlier generation
    Rollback(Rollback),
    /// List the generations that can be returned to
    History(Format),
    /// Write what runs into the file, which keeps its comments and its order
    Save(Save),
    /// Ask the loaded program what it would do with a query, and why
    Explain(Explain),
    /// Show what has happened to backends, pools and the data plane
    Events(Events),
    /// Show counters by listener, route, pool, backend and reason
    Stats(Stats),
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Route {
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
        editing: Editing,
    },
    /// Remove a route
    Remove {
        /// Its pattern, as `route list` shows it
        pattern: String,
        #[command(flatten)]
        editing: Editing,
    },
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Pool {
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
        /// How a backend is chosen: maglev (default), random, failover, round-robin or least-latency
        #[arg(long)]
        policy: Option<String>,
        /// What the policies maglev and failover hash: qname (default), client or qname+client
        #[arg(long)]
        hash: Option<String>,
        /// The backend for NOTIFY and UPDATE; with weight 0, it gets nothing else
        #[arg(long, value_name = "ADDRESS")]
        primary: Option<String>,
        /// The backends expect the PROXY protocol, version 2
        #[arg(long)]
        proxy_protocol: bool,
        #[command(flatten)]
        editing: Editing,
    },
    /// Change how a pool chooses, and what becomes of it when backends are down
    Set {
        /// Its name
        pool: String,
        #[command(flatten)]
        settings: Settings,
        #[command(flatten)]
        editing: Editing,
    },
    /// Move the clients of a pool to another one: all routes for good, or a share of the clients
    Switch {
        /// The pool that they come from
        from: String,
        /// The pool that they go to
        to: String,
        /// Only so many of the clients, the same ones each time; may be repeated with more
        #[arg(long, value_name = "N", value_parser = value_parser!(u8).range(1..=100))]
        percent: Option<u8>,
        /// Take it back
        #[arg(long, conflicts_with = "percent")]
        back: bool,
        /// Even if no backend of the other pool is up
        #[arg(long, conflicts_with = "back")]
        force: bool,
        #[command(flatten)]
        editing: Editing,
    },
    /// Remove a pool that no route leads to
    Remove {
        /// Its name
        pool: String,
        #[command(flatten)]
        editing: Editing,
    },
}

/// Settings of a pool.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(in crate::cli) struct Settings {
    /// How a backend is chosen: maglev, random, failover, round-robin or least-latency
    #[arg(long)]
    pub(in crate::cli) policy: Option<String>,
    /// What the policies maglev and failover hash: qname, client or qname+client
    #[arg(long)]
    pub(in crate::cli) hash: Option<String>,
    /// Health is ignored if fewer of the backends would be up; 0: never
    #[arg(long, value_name = "PERCENT")]
    pub(in crate::cli) panic_threshold: Option<u8>,
    /// What happens to queries when none can be used: servfail, drop, or "pool NAME"
    #[arg(long, value_name = "WHAT")]
    pub(in crate::cli) when_down: Option<String>,
    /// How long a backend that comes up takes to its whole share, 1s to 60m, or off
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) slow_start: Option<String>,
    /// The most that a backend gets, in percent of its share, 101 to 1000, or off
    #[arg(long, value_name = "PERCENT")]
    pub(in crate::cli) bounded_load: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Backend {
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
        editing: Editing,
    },
    /// Remove a backend from a pool
    Remove {
        /// The pool's name
        pool: String,
        /// The backend's address
        address: String,
        #[command(flatten)]
        editing: Editing,
    },
    /// Send a backend no more queries, though it keeps its weight
    Drain {
        /// The pool's name
        pool: String,
        /// The backend's address
        address: String,
        #[command(flatten)]
        editing: Editing,
    },
    /// Send a drained backend its share of the queries again
    Enable {
        /// The pool's name
        pool: String,
        /// The backend's address
        address: String,
        #[command(flatten)]
        editing: Editing,
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
        editing: Editing,
    },
}

/// A backend of a new pool: `192.0.2.1:53,3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Member {
    pub(in crate::cli) address: String,
    pub(in crate::cli) weight: Option<u16>,
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
pub(in crate::cli) struct Explain {
    /// The name asked for
    pub(in crate::cli) name: String,
    /// The type asked for: A, AAAA, MX, …
    #[arg(default_value = "A", value_name = "TYPE")]
    pub(in crate::cli) record_type: String,
    /// The client; without it, an address for documentation
    #[arg(long, value_name = "IP[:PORT]")]
    pub(in crate::cli) from: Option<String>,
    /// The listener asked; without it, the first of the client's IP version
    #[arg(long, value_name = "ADDRESS")]
    pub(in crate::cli) listener: Option<String>,
    #[command(flatten)]
    pub(in crate::cli) format: Format,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Events {
    /// Go on with what happens next, until Ctrl-C
    #[arg(long, short)]
    pub(in crate::cli) follow: bool,
    #[command(flatten)]
    pub(in crate::cli) format: Format,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Stats {
    /// Show them again and again, with rates, until Ctrl-C
    #[arg(long, conflicts_with = "json")]
    pub(in crate::cli) watch: bool,
    /// Seconds between two looks
    #[arg(long, default_value = "1", value_parser = seconds, requires = "watch")]
    pub(in crate::cli) interval: Duration,
    /// Show reasons that no packet had as well
    #[arg(long)]
    pub(in crate::cli) all: bool,
    #[command(flatten)]
    pub(in crate::cli) format: Format,
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        Ok(_) | Err(_) => Err("it must be a number of seconds from 0.1 to 3600".to_owned()),
    }
}
