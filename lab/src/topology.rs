//! The small internet: a client, a balancer and three backends, a network namespace each.
//!
//! ```text
//! client          192.0.2.0/24                   10.53.1.0/24   ┌─ backend1  10.53.1.10
//! 192.0.2.10      2001:db8:1::/64  balancer   2001:db8:b1::/64  │            2001:db8:b1::10
//! 2001:db8:1::10 ───────────────── 198.51.100.53   ─────────────┼─ backend2  likewise with 2
//!                                  2001:db8:53::53              └─ backend3  likewise with 3
//! ```
//!
//! Each line is a veth pair and a network of its own, in which the balancer has the address that ends
//! in 1; clients ask its other addresses, on its loopback interface. The balancer forwards between
//! the networks, so that the client can also ask a backend directly.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::Result;

use crate::{Instance, Namespace, XdpPass, XdpReflector};

/// The balancer's addresses for clients, IPv4 first, on its loopback interface.
pub const LISTENERS: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(198, 51, 100, 53)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x53, 0, 0, 0, 0, 0x53)),
];
/// The only interface of the client and of each backend.
pub const HOST_INTERFACE: &str = "eth0";

const BACKENDS: u8 = 3;
/// The balancer's interface towards the switch, if there is one.
const SWITCH_INTERFACE: &str = "lan";
/// How many hosts are on the switch: the client and backend1.
const SWITCHED_HOSTS: usize = 2;

/// The small internet; gone when dropped.
#[derive(Debug)]
pub struct Topology {
    /// Who asks.
    pub client: Host,
    /// Who answers: backend1, backend2, backend3.
    pub backends: Vec<Host>,
    /// Where dproxy runs.
    pub balancer: Namespace,
    _switch: Option<Switch>,
    // Last: the name is ours until all that bears it is gone.
    instance: Instance,
}

/// A host with one interface, [`HOST_INTERFACE`], whose default route is the balancer.
#[derive(Debug)]
pub struct Host {
    xdp_pass: Option<XdpPass>,
    reflector: Option<XdpReflector>,
    /// The host's namespace.
    pub namespace: Namespace,
    /// Its IPv4 address.
    pub v4: Ipv4Addr,
    /// Its IPv6 address.
    pub v6: Ipv6Addr,
    /// The balancer's interface towards it: "client", "backend1", …, or "lan" behind the switch.
    pub balancer_interface: String,
}

/// What a [`Topology`] is to look like.
#[derive(Debug)]
pub struct Builder {
    prefix: String,
    shared_interface: bool,
}

impl Topology {
    /// A topology whose namespaces are named `<prefix>-client`, `<prefix>-balancer` and so on.
    pub fn builder(prefix: impl Into<String>) -> Builder {
        Builder { prefix: prefix.into(), shared_interface: false }
    }

    /// The balancer's interfaces towards the other hosts, the client's first.
    pub fn interfaces(&self) -> Vec<&str> {
        let hosts = [&self.client].into_iter().chain(&self.backends);
        let mut interfaces: Vec<&str> = hosts.map(|host| host.balancer_interface.as_str()).collect();
        interfaces.dedup();
        interfaces
    }

    /// The lock and the folder of this topology.
    pub fn instance(&self) -> &Instance {
        &self.instance
    }
}

impl Host {
    /// From now on an [`XdpReflector`] with this mark answers at a port.
    pub fn reflect(&mut self, port: u16, mark: u16) -> Result<()> {
        // There is room for one program.
        self.xdp_pass = None;
        self.reflector = None;
        self.reflector = Some(XdpReflector::attach_marking(&self.namespace, HOST_INTERFACE, port, mark)?);
        Ok(())
    }

    /// Both addresses of the host with `port`, IPv4 first.
    pub fn sockets(&self, port: u16) -> [SocketAddr; 2] {
        [SocketAddr::from((self.v4, port)), SocketAddr::from((self.v6, port))]
    }
}

impl Builder {
    /// Puts the client and backend1 behind one interface of the balancer, by a switch.
    pub fn shared_interface(mut self) -> Self {
        self.shared_interface = true;
        self
    }

    /// Builds the topology, after removing what a killed predecessor of this prefix left.
    pub fn build(self) -> Result<Topology> {
        let Self { prefix, shared_interface } = self;
        let instance = Instance::claim(&prefix)?;
        let plans = Plan::all();
        for role in plans.iter().map(|plan| plan.role.as_str()).chain(["balancer", "switch"]) {
            Namespace::remove(&format!("{prefix}-{role}"))?;
        }

        let balancer = make_balancer(&prefix)?;
        let switch = shared_interface.then(|| Switch::make(&prefix, &balancer)).transpose()?;
        let connect = |(index, plan): (usize, &Plan)| {
            let switch = switch.as_ref().filter(|_| index < SWITCHED_HOSTS);
            Host::connect(&prefix, &balancer, switch, plan)
        };
        let client = connect((0, &plans[0]))?;
        let backends = plans.iter().enumerate().skip(1).map(connect).collect::<Result<_>>()?;
        Ok(Topology { client, backends, balancer, _switch: switch, instance })
    }
}

/// Where one host is: its role, and the networks that it shares with the balancer.
struct Plan {
    role: String,
    v4: [u8; 3],
    v6: [u16; 3],
}

impl Plan {
    /// All hosts, the client first.
    fn all() -> Vec<Self> {
        let client = Self { role: "client".to_owned(), v4: [192, 0, 2], v6: [0x2001, 0xdb8, 1] };
        let backend = |number: u8| Self {
            role: format!("backend{number}"),
            v4: [10, 53, number],
            v6: [0x2001, 0xdb8, 0xb0 + u16::from(number)],
        };
        [client].into_iter().chain((1..=BACKENDS).map(backend)).collect()
    }

    fn v4(&self, last: u8) -> Ipv4Addr {
        let [a, b, c] = self.v4;
        Ipv4Addr::new(a, b, c, last)
    }

    fn v6(&self, last: u16) -> Ipv6Addr {
        let [a, b, c] = self.v6;
        Ipv6Addr::new(a, b, c, 0, 0, 0, 0, last)
    }
}

impl Host {
    /// A host with a line to the balancer, or to the switch.
    fn connect(prefix: &str, balancer: &Namespace, switch: Option<&Switch>, plan: &Plan) -> Result<Self> {
        let namespace = make_namespace(prefix, &plan.role)?;
        let (balancer_interface, xdp_pass) = match switch {
            None => {
                balancer.add_veth(&plan.role, &namespace, HOST_INTERFACE)?;
                (plan.role.as_str(), Some(XdpPass::attach(&namespace, HOST_INTERFACE)?))
            }
            Some(switch) => {
                switch.add_host(&plan.role, &namespace)?;
                (SWITCH_INTERFACE, None)
            }
        };
        let (v4, v6) = (plan.v4(10), plan.v6(0x10));
        for (gateway, address, prefix_length) in
            [(plan.v4(1).into(), v4.into(), 24), (plan.v6(1).into(), IpAddr::from(v6), 64)]
        {
            balancer.add_address(balancer_interface, gateway, prefix_length)?;
            namespace.add_address(HOST_INTERFACE, address, prefix_length)?;
            namespace.add_default_route(gateway)?;
        }
        let balancer_interface = balancer_interface.to_owned();
        Ok(Self { xdp_pass, reflector: None, namespace, v4, v6, balancer_interface })
    }
}

/// A bridge between several hosts and one interface of the balancer.
#[derive(Debug)]
struct Switch {
    _xdp_pass: XdpPass,
    namespace: Namespace,
}

impl Switch {
    const BRIDGE: &str = "bridge";
    const UPLINK: &str = "balancer";

    fn make(prefix: &str, balancer: &Namespace) -> Result<Self> {
        let namespace = make_namespace(prefix, "switch")?;
        namespace.add_bridge(Self::BRIDGE)?;
        balancer.add_veth(SWITCH_INTERFACE, &namespace, Self::UPLINK)?;
        namespace.add_port(Self::BRIDGE, Self::UPLINK)?;
        Ok(Self { _xdp_pass: XdpPass::attach(&namespace, Self::UPLINK)?, namespace })
    }

    fn add_host(&self, role: &str, host: &Namespace) -> Result<()> {
        self.namespace.add_veth(role, host, HOST_INTERFACE)?;
        self.namespace.add_port(Self::BRIDGE, role)
    }
}

fn make_balancer(prefix: &str) -> Result<Namespace> {
    let balancer = make_namespace(prefix, "balancer")?;
    balancer.set_parameters(&[
        ("net/ipv4/ip_forward", "1"),
        ("net/ipv6/conf/all/forwarding", "1"),
        // Hosts on the switch could reach each other without us, but are not to.
        ("net/ipv4/conf/all/send_redirects", "0"),
        ("net/ipv4/conf/default/send_redirects", "0"),
    ])?;
    for listener in LISTENERS {
        balancer.add_address("lo", listener, if listener.is_ipv4() { 32 } else { 128 })?;
    }
    Ok(balancer)
}

/// A namespace whose interfaces will be ready at once, and quiet.
fn make_namespace(prefix: &str, role: &str) -> Result<Namespace> {
    let namespace = Namespace::create(&format!("{prefix}-{role}"))?;
    namespace.set_parameters(&[
        ("net/ipv4/conf/all/rp_filter", "0"),
        ("net/ipv4/conf/default/rp_filter", "0"),
        ("net/ipv6/conf/all/accept_dad", "0"),
        ("net/ipv6/conf/default/accept_dad", "0"),
        ("net/ipv6/conf/default/accept_ra", "0"),
        ("net/ipv6/conf/default/router_solicitations", "0"),
    ])?;
    Ok(namespace)
}
