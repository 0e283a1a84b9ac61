//! What stands in the lab: which server serves which zone on which host.

use std::fmt;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use dproxy_lab::dns::rr::{Name, RecordType};
use dproxy_lab::{
    Balancer, DynamicZone, HttpUpdate, LISTENERS, PlainZone, Question, Server, SyntheticZone, Topology, Zone,
};

use crate::original;

/// dproxy asks its neighbours for their link-layer addresses when it starts; that takes milliseconds.
const NEIGHBOURS: Duration = Duration::from_secs(10);
/// Long enough for a reply to arrive, so that none is counted later.
const PATIENCE: Duration = Duration::from_millis(500);

/// The topology with its servers.
pub(crate) struct Internet {
    /// All DNS servers.
    pub(crate) servers: Vec<Placed>,
    _update: HttpUpdate,
    // Last, so that the servers have left when its namespaces are deleted.
    pub(crate) topology: Topology,
}

/// A server, the host that it is on, and the zone that it serves.
pub(crate) struct Placed {
    pub(crate) host: Host,
    pub(crate) server: Server,
    zone: String,
}

/// Where a server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// On a backend of its own, by number.
    Backend(usize),
    /// On the balancer, beside dproxy, as the original's users have it.
    Balancer,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backend(number) => write!(f, "backend{number}"),
            Self::Balancer => f.write_str("the balancer"),
        }
    }
}

impl Internet {
    pub(crate) fn build(name: &str) -> Result<Self> {
        let topology = Topology::builder(name).build()?;
        let cryo = Arc::new(SyntheticZone::new(Name::from_ascii("cryo.test.")?));
        let dynamic = Arc::new(DynamicZone::new(Name::from_ascii("dyn.test.")?));
        let plain = Arc::new(PlainZone::new(Name::from_ascii("plain.test.")?)?);
        let rest = Arc::new(PlainZone::new(Name::from_ascii("example.org.")?)?);
        let place = |host: Host, address: SocketAddr, name: &str, zone: Arc<dyn Zone>| {
            let namespace = match host {
                Host::Backend(number) => &topology.backends[number - 1].namespace,
                Host::Balancer => &topology.balancer,
            };
            let origin = zone.origin().to_string();
            anyhow::Ok(Placed {
                host,
                server: Server::start(namespace, name, &[address], zone)?,
                zone: origin,
            })
        };
        let remote = |number: usize| topology.backends[number - 1].sockets(53);
        let local = |port: u16| SocketAddr::from((LISTENERS[0], port));
        let servers = vec![
            place(Host::Backend(1), remote(1)[0], "cryo", cryo)?,
            place(Host::Balancer, local(8053), "dynamic", Arc::clone(&dynamic) as _)?,
            place(Host::Balancer, local(8054), "plain-a", Arc::clone(&plain) as _)?,
            place(Host::Backend(2), remote(2)[1], "plain-b", plain)?,
            place(Host::Backend(3), remote(3)[0], "master", rest)?,
        ];
        let update = HttpUpdate::start(&topology.balancer, &[local(80)], dynamic)?;
        Ok(Self { servers, _update: update, topology })
    }

    /// The address of the server with this name.
    pub(crate) fn address_of(&self, name: &str) -> SocketAddr {
        let named = self.servers.iter().find(|placed| placed.server.name() == name);
        // All names are constants of this program.
        named.map_or_else(|| panic!("no server is named {name}"), |placed| placed.server.addresses()[0])
    }

    /// Where the HTTP update of the dynamic zone is.
    pub(crate) fn update_address(&self) -> SocketAddr {
        SocketAddr::from((LISTENERS[0], 80))
    }

    /// Waits until dproxy has a way to each remote backend, by asking until each server there was asked.
    pub(crate) fn wait_for_backends(&self, balancer: &Balancer) -> Result<()> {
        let start = Instant::now();
        let is_silent = |placed: &&Placed| placed.host != Host::Balancer && placed.server.queries().udp == 0;
        while let Some(silent) = self.servers.iter().find(is_silent) {
            let Placed { host, server, zone } = silent;
            if start.elapsed() > NEIGHBOURS {
                let (name, log) = (server.name(), balancer.log_tail());
                bail!("dproxy sends nothing to {name} on {host}; the end of its log:\n{log}");
            }
            let whoami = Name::from_ascii(format!("whoami.{zone}"))?;
            let question = Question::new(whoami, RecordType::TXT).timeout(PATIENCE);
            // Without a reply we just ask again.
            let _ = question.ask(&self.topology.client.namespace, SocketAddr::from((LISTENERS[0], 53)));
        }
        Ok(())
    }

    /// Prints the map, and where dproxy's configuration comes from.
    pub(crate) fn describe(&self, out: &mut impl Write) -> Result<()> {
        let prefix = self.topology.instance().prefix();
        let client = &self.topology.client;
        let zones = ["cryo.test", "plain.test", "example.org"];
        let left = [format!("{prefix}-client"), client.v4.to_string(), client.v6.to_string()];
        let middle = [format!("{prefix}-balancer"), LISTENERS[0].to_string(), LISTENERS[1].to_string()];
        let cables = [("      ", "      ┌──"), ("──────", "──────┼──"), ("      ", "      └──")];

        writeln!(out, "A small internet on this machine; each host is a network namespace.\n")?;
        for (row, (to_client, to_backend)) in cables.into_iter().enumerate() {
            let (left, middle, number) = (&left[row], &middle[row], row + 1);
            writeln!(
                out,
                "  {left:<15} {to_client} {middle:<16} {to_backend} {prefix}-backend{number}  {}",
                zones[row]
            )?;
        }
        for placed in self.servers.iter().filter(|placed| placed.host == Host::Balancer) {
            let port = placed.server.addresses()[0].port();
            writeln!(out, "  {:<22} port {port}: {}", "", placed.zone.trim_end_matches('.'))?;
        }
        let folder = self.topology.instance().folder().join("original");
        writeln!(
            out,
            "\nThe balancer runs from the files of an original dproxy, and what they cannot say:\n"
        )?;
        writeln!(out, "  dproxy import dproxy {}", folder.display())?;
        for edit in original::edits(self) {
            writeln!(out, "  dproxy {edit}")?;
        }
        Ok(())
    }
}

impl Placed {
    /// Whether this server and a client of `listener` speak the same version of IP.
    pub(crate) fn is_of_family(&self, listener: IpAddr) -> bool {
        self.server.addresses()[0].is_ipv4() == listener.is_ipv4()
    }
}
