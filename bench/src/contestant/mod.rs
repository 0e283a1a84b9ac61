//! Who is measured.

mod daemon;
mod dnsdist;
mod dproxy;
mod nftables;
mod nginx;

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Result, bail};
use clap::ValueEnum;
use dproxy_lab::Balancer;
use serde::Serialize;

use crate::chain::{BACKEND, Chain, LISTENER};
use crate::cores;

use self::daemon::Daemon;

/// The zone that each contestant sends to the backend; it refuses all other names.
pub const ZONE: &str = "bench.example";

/// A balancer, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Contestant {
    /// No balancer: the kernel forwards between client and backend. What generator and backend can do
    Direct,
    /// dnsdist, one suffix rule, no cache
    Dnsdist,
    /// dproxy with `xdp = "off"`
    DproxySlowPath,
    /// dproxy with its fast path in the driver
    DproxyNative,
    /// dproxy with its fast path in the stack
    DproxyGeneric,
    /// The kernel's own NAT: it knows no names
    Nftables,
    /// nginx, its stream module: it knows no names
    Nginx,
    /// XDP programs that rewrite addresses and redirect, and do nothing else: the limit
    Redirect,
}

/// Those that have one processor for themselves, if that is what is measured.
pub const ALONE: [Contestant; 3] = [Contestant::Direct, Contestant::Dnsdist, Contestant::DproxySlowPath];

/// What a contestant runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Processors {
    /// One for itself.
    One,
    /// Both, together with all others.
    Both,
}

/// A contestant that answers, or will in a moment; stopped on drop.
#[derive(Debug)]
pub struct Running {
    /// Whom to ask.
    pub server: SocketAddr,
    process: Process,
}

#[derive(Debug)]
enum Process {
    None,
    Daemon(Daemon),
    Dproxy(Balancer),
}

/// What is said about a contestant in the results.
#[derive(Debug, Serialize)]
pub struct Description {
    contestant: Contestant,
    processors: Processors,
    version: String,
    configuration: String,
    routes_by_name: bool,
}

impl Contestant {
    /// As the table has it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Direct => "none (direct)",
            Self::Dnsdist => "dnsdist",
            Self::DproxySlowPath => "dproxy, xdp = \"off\"",
            Self::DproxyNative => "dproxy, native",
            Self::DproxyGeneric => "dproxy, generic",
            Self::Nftables => "nftables DNAT",
            Self::Nginx => "nginx stream",
            Self::Redirect => "bare XDP redirect",
        }
    }

    /// Whether the name in the question decides.
    pub fn routes_by_name(self) -> bool {
        match self {
            Self::Direct | Self::Nftables | Self::Nginx | Self::Redirect => false,
            Self::Dnsdist | Self::DproxySlowPath | Self::DproxyNative | Self::DproxyGeneric => true,
        }
    }

    /// Whether queries are handed to a process, which runs when the kernel lets it.
    pub fn is_process(self) -> bool {
        match self {
            Self::Dnsdist | Self::DproxySlowPath | Self::Nginx => true,
            Self::Direct | Self::DproxyNative | Self::DproxyGeneric | Self::Nftables | Self::Redirect => {
                false
            }
        }
    }

    /// Version and configuration; an error if it is not there.
    pub fn describe(self, dproxy: &Path, processors: Processors) -> Result<Description> {
        let dproxy = |xdp| anyhow::Ok((dproxy::version(dproxy)?, dproxy::configuration(xdp)));
        let (version, configuration) = match self {
            Self::Direct | Self::Redirect => (String::new(), String::new()),
            Self::Dnsdist if processors == Processors::One => (dnsdist::version()?, dnsdist::configuration()),
            Self::Dnsdist => (dnsdist::version()?, dnsdist::configuration_for_both()),
            Self::DproxySlowPath => dproxy("off")?,
            Self::DproxyNative => dproxy("native")?,
            Self::DproxyGeneric => dproxy("generic")?,
            Self::Nftables => (nftables::version()?, nftables::configuration()),
            Self::Nginx => (nginx::version()?, nginx::configuration(Path::new("."))),
        };
        let routes_by_name = self.routes_by_name();
        Ok(Description { contestant: self, processors, version, configuration, routes_by_name })
    }

    /// Starts it on the balancer's processor.
    pub fn start(self, chain: &Chain, dproxy: &Path) -> Result<Running> {
        let process = cores::on_balancers(|| {
            Ok(match self {
                Self::Direct => Process::None,
                Self::Dnsdist => Process::Daemon(dnsdist::start(chain, &dnsdist::configuration())?),
                Self::DproxySlowPath => Process::Dproxy(dproxy::start(chain, dproxy, "off")?),
                Self::DproxyNative | Self::DproxyGeneric | Self::Nftables | Self::Nginx | Self::Redirect => {
                    bail!("{} is measured side by side only", self.title())
                }
            })
        })?;
        let server = if matches!(process, Process::None) { BACKEND } else { LISTENER };
        Ok(Running { server, process })
    }

    /// Starts it on both processors. Programs of ours are not started here.
    pub fn start_on_both(self, chain: &Chain, dproxy: &Path) -> Result<Running> {
        let process = cores::on_both(|| {
            Ok(match self {
                Self::Direct | Self::Redirect => Process::None,
                Self::Dnsdist => Process::Daemon(dnsdist::start(chain, &dnsdist::configuration_for_both())?),
                Self::DproxySlowPath => Process::Dproxy(dproxy::start(chain, dproxy, "off")?),
                Self::DproxyNative => Process::Dproxy(dproxy::start(chain, dproxy, "native")?),
                Self::DproxyGeneric => Process::Dproxy(dproxy::start(chain, dproxy, "generic")?),
                Self::Nftables => {
                    nftables::start(chain)?;
                    Process::None
                }
                Self::Nginx => Process::Daemon(nginx::start(chain)?),
            })
        })?;
        Ok(Running { server: LISTENER, process })
    }
}

impl Running {
    /// The process whose time is the balancer's.
    pub fn pid(&self) -> Option<u32> {
        match &self.process {
            Process::None => None,
            Process::Daemon(daemon) => Some(daemon.id()),
            Process::Dproxy(balancer) => Some(balancer.pid()),
        }
    }

    /// The end of its log, for when something is wrong.
    pub fn log_tail(&self) -> String {
        match &self.process {
            Process::None => String::new(),
            Process::Daemon(daemon) => daemon.log_tail(),
            Process::Dproxy(balancer) => balancer.log_tail(),
        }
    }
}
