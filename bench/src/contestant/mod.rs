//! Who is measured.

mod dnsdist;
mod dproxy;

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Result;
use clap::ValueEnum;
use dproxy_lab::Balancer;
use serde::Serialize;

use crate::chain::{BACKEND, Chain, LISTENER};
use crate::cores;

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
    Dnsdist(dnsdist::Process),
    Dproxy(Balancer),
}

/// What is said about a contestant in the results.
#[derive(Debug, Serialize)]
pub struct Description {
    contestant: Contestant,
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
        }
    }

    /// Whether the name in the question decides.
    pub fn routes_by_name(self) -> bool {
        match self {
            Self::Direct => false,
            Self::Dnsdist | Self::DproxySlowPath => true,
        }
    }

    /// Version and configuration; an error if it is not there.
    pub fn describe(self, dproxy: &Path) -> Result<Description> {
        let (version, configuration) = match self {
            Self::Direct => (String::new(), String::new()),
            Self::Dnsdist => (dnsdist::version()?, dnsdist::configuration()),
            Self::DproxySlowPath => (dproxy::version(dproxy)?, dproxy::slow_path_configuration()),
        };
        Ok(Description { contestant: self, version, configuration, routes_by_name: self.routes_by_name() })
    }

    /// Starts it on the balancer's processor.
    pub fn start(self, chain: &Chain, dproxy: &Path) -> Result<Running> {
        let process = cores::on_balancers(|| {
            Ok(match self {
                Self::Direct => Process::None,
                Self::Dnsdist => Process::Dnsdist(dnsdist::start(chain)?),
                Self::DproxySlowPath => Process::Dproxy(dproxy::start_slow_path(chain, dproxy)?),
            })
        })?;
        let server = if matches!(process, Process::None) { BACKEND } else { LISTENER };
        Ok(Running { server, process })
    }
}

impl Running {
    /// The process whose time is the balancer's.
    pub fn pid(&self) -> Option<u32> {
        match &self.process {
            Process::None => None,
            Process::Dnsdist(process) => Some(process.id()),
            Process::Dproxy(balancer) => Some(balancer.pid()),
        }
    }

    /// The end of its log, for when something is wrong.
    pub fn log_tail(&self) -> String {
        match &self.process {
            Process::None => String::new(),
            Process::Dnsdist(process) => process.log_tail(),
            Process::Dproxy(balancer) => balancer.log_tail(),
        }
    }
}
