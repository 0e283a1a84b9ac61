//! What stands in the lab: which server serves which zone on which backend, and the configuration of
//! dproxy that goes with it.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use dproxy_lab::dns::rr::{Name, RecordType};
use dproxy_lab::{
    Balancer, DynamicZone, HttpUpdate, LISTENERS, PlainZone, Question, Server, SyntheticZone, Topology, Zone,
};

/// dproxy asks its neighbours for their link-layer addresses when it starts; that takes milliseconds.
const NEIGHBOURS: Duration = Duration::from_secs(10);
/// Long enough for a reply to arrive, so that none is counted later.
const PATIENCE: Duration = Duration::from_millis(500);

/// The topology with its servers.
pub(crate) struct Internet {
    /// In the order of [`Internet::build`].
    pub(crate) servers: [Placed; 4],
    _update: HttpUpdate,
    // Last, so that the servers have left when its namespaces are deleted.
    pub(crate) topology: Topology,
}

/// A server, the number of the backend that it is on, and the zone that it serves.
pub(crate) struct Placed {
    pub(crate) backend: usize,
    pub(crate) server: Server,
    zone: String,
}

impl Internet {
    pub(crate) fn build(name: &str) -> Result<Self> {
        let topology = Topology::builder(name).build()?;
        let cryo = Arc::new(SyntheticZone::new(Name::from_ascii("cryo.test.")?));
        let dynamic = Arc::new(DynamicZone::new(Name::from_ascii("dyn.test.")?));
        let plain = Arc::new(PlainZone::new(Name::from_ascii("plain.test.")?)?);
        let place = |backend: usize, port: u16, name: &str, zone: Arc<dyn Zone>| {
            let host = &topology.backends[backend - 1];
            let origin = zone.origin().to_string();
            let server = Server::start(&host.namespace, name, &host.sockets(port), zone)?;
            anyhow::Ok(Placed { backend, server, zone: origin })
        };
        let servers = [
            place(1, 53, "cryo", cryo)?,
            place(2, 53, "dynamic", Arc::clone(&dynamic) as _)?,
            place(3, 53, "plain-a", Arc::clone(&plain) as _)?,
            place(2, 8053, "plain-b", plain)?,
        ];
        let host = &topology.backends[1];
        let update = HttpUpdate::start(&host.namespace, &host.sockets(80), dynamic)?;
        Ok(Self { servers, _update: update, topology })
    }

    /// Where the HTTP update of the dynamic zone is.
    pub(crate) fn update_address(&self) -> SocketAddr {
        self.topology.backends[1].sockets(80)[0]
    }

    /// dproxy's configuration.
    pub(crate) fn config(&self) -> String {
        let interfaces: Vec<String> =
            self.topology.interfaces().iter().map(|name| format!("{name:?}")).collect();
        let [cryo, dynamic, plain_a, plain_b] = &self.servers;
        let [v4, v6] = LISTENERS;
        format!(
            r#"# The lab's configuration. It is gone when the lab ends.
[listen]
interfaces = [{interfaces}]
addresses  = ["{v4}", "[{v6}]:53"]
xdp        = "native"

[pools.cryo]
backends = ["{cryo}"]

[pools.dynamic]                 # an IPv6 backend, for IPv4 clients too
backends = ["{dynamic}"]

[pools.plain]
policy = "random"
[[pools.plain.backends]]
address = "{plain_a}"
weight  = 3
[[pools.plain.backends]]
address = "{plain_b}"

[routes]
"cryo.test"    = "cryo"
"dyn.test"     = "dynamic"
"plain.test"   = "plain"
"blocked.test" = {{ answer = "nxdomain" }}
# No "." route: every other name is refused.
"#,
            interfaces = interfaces.join(", "),
            cryo = cryo.server.addresses()[0],
            dynamic = dynamic.server.addresses()[1],
            plain_a = plain_a.server.addresses()[0],
            plain_b = plain_b.server.addresses()[0],
        )
    }

    /// Waits until dproxy has a way to each backend, by asking until each server was asked.
    pub(crate) fn wait_for_backends(&self, balancer: &Balancer) -> Result<()> {
        let start = Instant::now();
        while let Some(silent) = self.servers.iter().find(|placed| placed.server.queries().udp == 0) {
            let Placed { backend, server, zone } = silent;
            if start.elapsed() > NEIGHBOURS {
                let (name, log) = (server.name(), balancer.log_tail());
                bail!("dproxy sends nothing to {name} on backend{backend}; the end of its log:\n{log}");
            }
            let whoami = Name::from_ascii(format!("whoami.{zone}"))?;
            let question = Question::new(whoami, RecordType::TXT).timeout(PATIENCE);
            // Without a reply we just ask again.
            let _ = question.ask(&self.topology.client.namespace, SocketAddr::from((LISTENERS[0], 53)));
        }
        Ok(())
    }

    /// Prints the map.
    pub(crate) fn describe(&self, out: &mut impl Write) -> Result<()> {
        let prefix = self.topology.instance().prefix();
        let client = &self.topology.client;
        let zones = ["cryo.test", "dyn.test, plain.test", "plain.test"];
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
        Ok(())
    }
}
