//! Addresses of the chain's interfaces, and what every contestant finds there.

use std::net::Ipv4Addr;
use std::process::Command;

use anyhow::Result;
use dproxy_common::wire::{Mac, Macs};
use dproxy_lab::{Namespace, run};

use crate::chain::{BACKEND, Chain, HOST_INTERFACE, INTERFACES};
use crate::cores;

/// Locally administered addresses: the client's, the balancer's towards client and backend, the backend's.
const MACS: [[u8; 6]; 4] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 3], [2, 0, 0, 0, 0, 4]];
/// The clients' network, behind the client's address (RFC 2544).
const CLIENTS: &str = "198.18.0.0/20";

/// Receiver and sender at the front of a frame, by their places in [`MACS`].
pub(super) fn addresses(receiver: usize, sender: usize) -> [u8; 12] {
    let mut macs = [0; 12];
    macs[..6].copy_from_slice(&MACS[receiver]);
    macs[6..].copy_from_slice(&MACS[sender]);
    macs
}

/// The same for the programs.
pub(super) fn macs(receiver: usize, sender: usize) -> Macs {
    Macs::new(Mac::from_octets(MACS[receiver]), Mac::from_octets(MACS[sender]))
}

/// An address as it stands in a frame.
pub(super) fn in_memory(address: Ipv4Addr) -> u32 {
    u32::from_ne_bytes(address.octets())
}

/// MAC addresses and neighbours that everybody knows beforehand, a way to the clients, and a queue for each processor.
pub(super) fn prepare(chain: &Chain) -> Result<()> {
    let ends = [
        (&chain.client, HOST_INTERFACE),
        (&chain.balancer, INTERFACES[0]),
        (&chain.balancer, INTERFACES[1]),
        (&chain.backend, HOST_INTERFACE),
    ];
    let queues = cores::BOTH.len().to_string();
    for ((namespace, interface), mac) in ends.into_iter().zip(MACS) {
        namespace.ip(&format!("link set {interface} address {}", colons(mac)))?;
        run(namespace.command("ethtool").args(["-L", interface, "rx", &queues, "tx", &queues]))?;
        send_where_we_are(namespace, interface)?;
    }
    chain.set_offloads(false)?;
    for (interface, host, mac) in [(0, chain.client_address(), MACS[0]), (1, BACKEND.ip(), MACS[3])] {
        let interface = INTERFACES[interface];
        // What XDP sends into a veth arrives only if its other end receives as a network card does.
        run(chain.balancer.command("ethtool").args(["-K", interface, "gro", "on"]))?;
        let mac = colons(mac);
        chain.balancer.ip(&format!("neigh replace {host} lladdr {mac} dev {interface} nud permanent"))?;
    }
    chain.balancer.ip(&format!("route add {CLIENTS} via {}", chain.client_address()))
}

/// Has each processor send by a queue of its own (XPS). Else a hash decides, and once a processor receives what
/// another one sends, it goes on with that as long as there is more: the other one sends without doing the work.
fn send_where_we_are(namespace: &Namespace, interface: &str) -> Result<()> {
    for (queue, processor) in cores::BOTH.into_iter().enumerate() {
        let mask = 1_u32 << processor;
        let script = format!("echo {mask:x} > /sys/class/net/{interface}/queues/tx-{queue}/xps_cpus");
        // Its /sys is that of the namespace.
        run(Command::new("ip").args(["netns", "exec", namespace.name(), "sh", "-c", &script]))?;
    }
    Ok(())
}

fn colons(mac: [u8; 6]) -> String {
    mac.map(|octet| format!("{octet:02x}")).join(":")
}
