//! Where everything is measured: a client, a balancer and a backend, a network namespace each.
//!
//! ```text
//! client        192.0.2.0/24     balancer       10.53.1.0/24    backend
//! 192.0.2.10 ────────────────── 198.51.100.53 ───────────────── 10.53.1.10
//! ```
//!
//! Both lines are veth pairs. The balancer forwards, so that the client can also ask the backend directly.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::Result;
use dproxy_lab::{Instance, Namespace, XdpPass, XdpReflector, run};

/// The only interface of the client and of the backend.
pub const HOST_INTERFACE: &str = "eth0";

/// What the client asks.
pub const LISTENER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 53)), 53);
/// Who answers.
pub const BACKEND: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 53, 1, 10)), 53);
/// The balancer's interfaces, towards the client and towards the backend.
pub const INTERFACES: [&str; 2] = ["client", "backend"];

/// The three namespaces; gone when dropped.
#[derive(Debug)]
pub struct Chain {
    /// Who asks.
    pub client: Namespace,
    /// Where the contestants run, one after the other.
    pub balancer: Namespace,
    /// Who answers.
    pub backend: Namespace,
    // Last: the name is ours until all that bears it is gone.
    instance: Instance,
}

/// The XDP programs that make the backend a reflector; detached on drop.
#[derive(Debug)]
pub struct Reflecting {
    _reflector: XdpReflector,
    _pass: XdpPass,
}

impl Chain {
    /// Builds it, after removing what a killed predecessor of this prefix left; its namespaces are named
    /// `<prefix>-client` and so on.
    pub fn build(prefix: &str) -> Result<Self> {
        let instance = Instance::claim(prefix)?;
        let name = |role| format!("{prefix}-{role}");
        for role in ["client", "balancer", "backend"] {
            Namespace::remove(&name(role))?;
        }
        let balancer = Namespace::create(&name("balancer"))?;
        balancer.set_parameters(&[("net/ipv4/ip_forward", "1")])?;
        balancer.add_address("lo", LISTENER.ip(), 32)?;
        let client = host(&name("client"), &balancer, INTERFACES[0], [192, 0, 2])?;
        let backend = host(&name("backend"), &balancer, INTERFACES[1], [10, 53, 1])?;
        Ok(Self { client, balancer, backend, instance })
    }

    /// Where contestants have their files.
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// The client's address.
    pub fn client_address(&self) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10))
    }

    /// Lets the backend answer over UDP, in XDP, until the returned value is dropped.
    pub fn reflect(&self) -> Result<Reflecting> {
        // The reflector sees what is on the wire: whole checksums, and no segments to be cut later.
        self.set_offloads(false)?;
        let reflector = XdpReflector::attach(&self.backend, HOST_INTERFACE, BACKEND.port())?;
        let pass = XdpPass::attach(&self.balancer, INTERFACES[1])?;
        Ok(Reflecting { _reflector: reflector, _pass: pass })
    }

    /// The same towards a fast path, which has the balancer's interfaces to itself. It sends to the client from
    /// XDP to XDP as well.
    pub fn reflect_to_fast_path(&self) -> Result<Reflecting> {
        self.set_offloads(false)?;
        let reflector = XdpReflector::attach(&self.backend, HOST_INTERFACE, BACKEND.port())?;
        let pass = XdpPass::attach(&self.client, HOST_INTERFACE)?;
        Ok(Reflecting { _reflector: reflector, _pass: pass })
    }

    /// Whether checksums and the segments of TCP are left to "hardware", as every network card has it.
    pub fn set_offloads(&self, on: bool) -> Result<()> {
        let ends = [
            (&self.client, HOST_INTERFACE),
            (&self.balancer, INTERFACES[0]),
            (&self.balancer, INTERFACES[1]),
            (&self.backend, HOST_INTERFACE),
        ];
        let value = if on { "on" } else { "off" };
        for (namespace, interface) in ends {
            run(namespace.command("ethtool").args(["-K", interface, "tx", value, "tso", value]))?;
        }
        Ok(())
    }
}

/// A namespace with a line to the balancer, and its default route there.
fn host(name: &str, balancer: &Namespace, interface: &str, network: [u8; 3]) -> Result<Namespace> {
    let namespace = Namespace::create(name)?;
    balancer.add_veth(interface, &namespace, HOST_INTERFACE)?;
    let [a, b, c] = network;
    let gateway = IpAddr::V4(Ipv4Addr::new(a, b, c, 1));
    balancer.add_address(interface, gateway, 24)?;
    namespace.add_address(HOST_INTERFACE, IpAddr::V4(Ipv4Addr::new(a, b, c, 10)), 24)?;
    namespace.add_default_route(gateway)?;
    Ok(namespace)
}
