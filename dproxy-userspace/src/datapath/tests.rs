//! The fast path in the kernel, for real: as root, in namespaces that end with the test.

mod attach;
mod counters;
mod explain;
mod flights;
mod packet_log;
mod publish;
mod stream;
mod takeover;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use dproxy_common::{
    abi::NextHop,
    wire::{Mac, Macs},
};

use super::*;
use crate::config::{Change, Config};
use crate::control::{Held, Host, Ids, Layout, Patch, Plan, Snapshot};
use world::World;

/// Where [`control`] thinks it sends from.
const SOURCE: &str = "192.0.2.1";

/// A kernel with small tables.
fn options(interfaces: &[&str], mode: XdpMode) -> KernelOptions {
    KernelOptions {
        capacity: Capacity::for_routes(1024, 10),
        nat_ports: crate::config::PortRange::default(),
        interfaces: interfaces.iter().map(ToString::to_string).collect(),
        mode,
        bpffs: world::BPFFS.into(),
        log_packets: false,
    }
}

/// Makes generations of configurations, one after the other.
struct Compiler {
    layout: Layout,
    capacity: Capacity,
    number: u64,
    /// Backends on this host, and the listener that each stands for.
    locals: BTreeMap<SocketAddr, SocketAddr>,
}

impl Compiler {
    fn new(capacity: Capacity) -> Self {
        Self { layout: Layout::new(Ids::new(&capacity)), capacity, number: 0, locals: BTreeMap::new() }
    }

    /// The next generation, from what follows `[listen]`'s first lines.
    fn compile(&mut self, rest: &str) -> Snapshot {
        let config = parse(rest);
        self.next(&config, |layout, plan| Snapshot::of(&layout.build(plan, None).unwrap(), &config))
    }

    /// The next generation, as what changes of the one before.
    fn change(&mut self, before: &str, held: &Held, rest: &str) -> Patch {
        let config = parse(rest);
        let change = Change::between(&parse(before), &config);
        self.next(&config, |layout, plan| layout.patch(plan, held, &change).unwrap())
    }

    fn next<T>(&mut self, config: &Config, make: impl FnOnce(&mut Layout, &Plan<'_>) -> T) -> T {
        let sources = BTreeSet::from([SOURCE.parse().unwrap()]);
        let host = Host { sources, locals: self.locals.clone() };
        self.number += 1;
        self.layout.settle();
        make(&mut self.layout, &Plan { config, host: &host, number: self.number, capacity: &self.capacity })
    }
}

fn parse(rest: &str) -> Config {
    let listen =
        format!("[listen]\ninterfaces = [\"v0\"]\naddresses = [\"{SOURCE}\", \"[2001:db8::53]:5353\"]\n");
    Config::parse(&format!("{listen}{rest}"), "test").unwrap()
}

/// One backend behind one route, an answer, and the default.
const SIMPLE: &str = r#"
[pools]
one = { backends = ["192.0.2.10"] }
two = { backends = ["192.0.2.20", "192.0.2.21:5300"] }
[routes]
"example.org" = "one"
"=www.example.org" = "two"
"*.example.org" = "two"
"blocked.example" = { answer = "nxdomain" }
"#;

/// Somewhere that frames can be sent to.
fn next_hop() -> NextHop {
    NextHop {
        source: SOURCE.parse::<std::net::IpAddr>().unwrap().into(),
        interface: 1,
        macs: Macs::new(Mac::from_octets([2, 0, 0, 0, 0, 9]), Mac::from_octets([2, 0, 0, 0, 0, 1])),
        ..NextHop::default()
    }
}

/// A loaded kernel, attached to nothing, with [`SIMPLE`] in force and all its backends reachable.
fn simple() -> (Kernel, Compiler, Snapshot) {
    simple_with(&options(&[], XdpMode::Auto))
}

fn simple_with(options: &KernelOptions) -> (Kernel, Compiler, Snapshot) {
    let mut kernel = Kernel::load(options).unwrap();
    let mut compiler = Compiler::new(kernel.capacity());
    let snapshot = compiler.compile(SIMPLE);
    kernel.publish(snapshot.patch()).unwrap();
    kernel.set_next_hop(0, &next_hop()).unwrap();
    for &id in snapshot.names.backends.keys() {
        kernel.set_live(id, BackendLive::reachable(0)).unwrap();
    }
    (kernel, compiler, snapshot)
}

/// The frame of a query for a name, from a client somewhere.
fn query(name: &str) -> Vec<u8> {
    let name: crate::config::Name = name.parse().unwrap();
    query_frame("198.51.100.7:4711".parse().unwrap(), format!("{SOURCE}:53").parse().unwrap(), name.wire(), 1)
        .unwrap()
}
