//! The small internet with dproxy in it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dproxy_lab::dns::rr::rdata::TXT;
use dproxy_lab::dns::rr::{Name, RData};
use dproxy_lab::{Balancer, LISTENERS, Server, Topology, Zone, default_binary};

use super::{Asker, wait_until};

/// The backends, as a configuration names them.
pub const B1: &str = "10.53.1.10:53";
/// The first one over IPv6.
pub const B1_V6: &str = "[2001:db8:b1::10]:53";
/// The second.
pub const B2: &str = "10.53.2.10:53";
/// The second one over IPv6.
pub const B2_V6: &str = "[2001:db8:b2::10]:53";
/// The third.
pub const B3: &str = "10.53.3.10:53";
/// The third one over IPv6.
pub const B3_V6: &str = "[2001:db8:b3::10]:53";

/// What the servers call themselves, in the order of the backends that they are on.
pub const NAMES: [&str; 3] = ["a", "b", "c"];

/// dproxy asks its neighbours when it starts; that takes milliseconds.
const NEIGHBOURS: Duration = Duration::from_secs(10);

/// The small internet with dproxy in it, and a server on each backend. It is gone when dropped.
pub struct Site {
    /// dproxy.
    pub balancer: Balancer,
    /// The servers [`NAMES`], which answer any name with their own.
    pub servers: Vec<Server>,
    /// The namespaces.
    pub topology: Topology,
}

impl Site {
    /// With dproxy in native mode on every line of its own; see [`configuration`].
    pub fn new(name: &str, pools_and_routes: &str) -> Self {
        let topology = Topology::builder(name).build().unwrap();
        Self::on(topology, "native", pools_and_routes)
    }

    /// With dproxy on a topology; it waits until every backend can be reached.
    pub fn on(topology: Topology, xdp: &str, pools_and_routes: &str) -> Self {
        let servers = servers(&topology);
        let config = configuration(&topology, xdp, pools_and_routes);
        let balancer = Balancer::start(&topology, &default_binary().unwrap(), &config).unwrap();
        wait_until_reachable(&balancer);
        Self { balancer, servers, topology }
    }

    /// A client of the IPv4 listener, and one of the IPv6 listener.
    pub fn askers(&self) -> [Asker; 2] {
        listeners().map(|listener| Asker::new(&self.topology.client.namespace, listener))
    }
}

/// Waits until dproxy knows a way to every backend.
pub fn wait_until_reachable(balancer: &Balancer) {
    wait_until("dproxy to know a way to each backend", NEIGHBOURS, || {
        let backends = balancer.cli(&["backend", "list"]).unwrap();
        backends["backends"].as_array().unwrap().iter().all(|backend| backend["reachable"] == true)
    });
}

/// The addresses that clients ask, IPv4 first.
pub fn listeners() -> [SocketAddr; 2] {
    LISTENERS.map(|address| SocketAddr::from((address, 53)))
}

/// A configuration with all interfaces of the balancer, both listeners, and what is given. Nobody is checked: most
/// tests are about what becomes of a query whose backend nobody knows anything of.
pub fn configuration(topology: &Topology, xdp: &str, rest: &str) -> String {
    configuration_with(topology, xdp, "health.enabled = false", rest)
}

/// The same with these lines about health.
pub fn configuration_with(topology: &Topology, xdp: &str, health: &str, rest: &str) -> String {
    let interfaces = topology.interfaces();
    let [v4, v6] = listeners();
    format!(
        "{health}\n[listen]\ninterfaces = {interfaces:?}\naddresses = [\"{v4}\", \"{v6}\"]\nxdp = \"{xdp}\"\n{rest}"
    )
}

/// Pools of one backend each, and routes that lead to them or to an answer.
pub fn tables(pools: &[(&str, &str)], routes: &[(&str, &str)]) -> String {
    let mut text = "[pools]\n".to_owned();
    for (name, backend) in pools {
        text += &format!("{name}.backends = [\"{backend}\"]\n");
    }
    text += "[routes]\n";
    for (pattern, target) in routes {
        let is_pool = pools.iter().any(|(name, _)| name == target);
        let target = if is_pool { format!("\"{target}\"") } else { format!("{{ answer = \"{target}\" }}") };
        text += &format!("\"{pattern}\" = {target}\n");
    }
    text
}

/// On each backend, a server that answers any name with its own.
pub fn servers(topology: &Topology) -> Vec<Server> {
    let start = |(host, name): (&dproxy_lab::Host, &&'static str)| {
        Server::start(&host.namespace, name, &host.sockets(53), Everything::answering(name)).unwrap()
    };
    topology.backends.iter().zip(&NAMES).map(start).collect()
}

/// A zone of all names, each with one TXT record.
pub struct Everything {
    origin: Name,
    text: &'static str,
}

impl Everything {
    /// With this text.
    pub fn answering(text: &'static str) -> Arc<Self> {
        Arc::new(Self { origin: Name::root(), text })
    }
}

impl Zone for Everything {
    fn origin(&self) -> &Name {
        &self.origin
    }

    fn records(&self, _: &Name) -> Option<Vec<RData>> {
        Some(vec![RData::TXT(TXT::new(vec![self.text.to_owned()]))])
    }
}
