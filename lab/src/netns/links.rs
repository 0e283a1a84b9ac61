//! Interfaces, addresses and routes of a namespace, made with `ip` and `ethtool`.

use std::net::IpAddr;
use std::process::Command;

use anyhow::Result;

use super::{Namespace, run};

impl Namespace {
    /// Runs `ip` on this namespace: `namespace.ip("link set eth0 up")`.
    pub fn ip(&self, arguments: &str) -> Result<()> {
        run(Command::new("ip").args(["-n", self.name()]).args(arguments.split_whitespace()))
    }

    /// Joins this namespace's new `interface` to `peer`'s new `peer_interface` by a veth pair; both
    /// are up, and neither leaves checksums or VLAN tags to "hardware": an XDP program on the other
    /// end would see a checksum half done, and no tag.
    pub fn add_veth(&self, interface: &str, peer: &Self, peer_interface: &str) -> Result<()> {
        let peer_name = peer.name();
        self.ip(&format!("link add {interface} type veth peer name {peer_interface} netns {peer_name}"))?;
        for (namespace, interface) in [(self, interface), (peer, peer_interface)] {
            namespace.disable_offloads(interface)?;
            namespace.ip(&format!("link set {interface} up"))?;
        }
        Ok(())
    }

    /// Adds a bridge without ports, and sets it up.
    pub fn add_bridge(&self, bridge: &str) -> Result<()> {
        // Without snooping, neighbour discovery passes like any other frame.
        self.ip(&format!("link add {bridge} type bridge mcast_snooping 0"))?;
        self.ip(&format!("link set {bridge} up"))
    }

    /// Makes an interface a port of a bridge of this namespace.
    pub fn add_port(&self, bridge: &str, interface: &str) -> Result<()> {
        self.ip(&format!("link set {interface} master {bridge}"))
    }

    /// Adds an address; an IPv6 address can be used at once (no duplicate address detection).
    pub fn add_address(&self, interface: &str, address: IpAddr, prefix_length: u8) -> Result<()> {
        let nodad = if address.is_ipv6() { "nodad" } else { "" };
        self.ip(&format!("address add {address}/{prefix_length} dev {interface} {nodad}"))
    }

    /// Adds the default route of the gateway's address family.
    pub fn add_default_route(&self, gateway: IpAddr) -> Result<()> {
        self.ip(&format!("route add default via {gateway}"))
    }

    fn disable_offloads(&self, interface: &str) -> Result<()> {
        let off = ["tx", "off", "rxvlan", "off", "txvlan", "off"];
        run(self.command("ethtool").args(["-K", interface]).args(off))
    }
}
