//! dproxy's program with its tables, attached to nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, ensure};
use dproxy_common::abi::{BackendLive, NextHop};
use dproxy_common::reason::Reason;
use dproxy_common::wire::{Address, Mac, Macs, VlanTags};
use dproxy_userspace::config::{Config, Name, XdpMode};
use dproxy_userspace::control::{Capacity, Host, Ids, Layout, Plan, SnapshotNames, names_of};
use dproxy_userspace::datapath::{Datapath, Kernel, KernelOptions, LoadedProgram, query_frame};
use nix::net::if_::if_nametoindex;

use super::cases::{Tables, random_name};
use super::tables::pool_of;
use crate::chain::{INTERFACES, LISTENER};

/// Who asks.
const CLIENT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10)), 40_000);
/// Our address towards backends.
const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 53, 1, 1));
/// TYPE A (RFC 1035 §3.2.2).
const TYPE_A: u16 = 1;

/// A loaded program.
#[derive(Debug)]
pub struct Device {
    tables: Tables,
    kernel: Kernel,
    names: Arc<SnapshotNames>,
}

impl Device {
    /// Loads the program, and gives it its tables.
    pub fn load(tables: Tables) -> Result<Self> {
        let config = Config::parse(&tables.configuration(), "bench").map_err(|error| anyhow!("{error}"))?;
        let (names, long) = names_of(&config);
        let fast_path = &config.fast_path;
        let capacity = Capacity::for_routes(fast_path.routes, fast_path.slots.trailing_zeros());
        let capacity =
            if capacity.holds(names, long) { Some(capacity) } else { capacity.with_routes(names, long) };
        let capacity = capacity.context("so many routes do not fit")?;
        let bpffs = PathBuf::from(format!("/sys/fs/bpf/dproxy-bench-{}", std::process::id()));
        let options = KernelOptions {
            capacity,
            nat_ports: fast_path.nat_ports,
            interfaces: Vec::new(),
            mode: XdpMode::Generic,
            bpffs: bpffs.clone(),
            log_packets: false,
        };
        let mut kernel = Kernel::load(&options)?;
        // Without interfaces, nothing is ever pinned there.
        for empty in [bpffs.join("links"), bpffs] {
            let _ = fs::remove_dir(empty);
        }
        let host = Host { sources: BTreeSet::from([SOURCE]), locals: BTreeMap::new() };
        let plan = Plan { config: &config, host: &host, number: 3, capacity: &capacity };
        let patch = Layout::new(Ids::new(&capacity)).build(&plan, None)?;
        let names = patch.names.clone();
        kernel.publish(patch)?;
        let mut device = Self { tables, kernel, names };
        device.reach_backends()?;
        Ok(device)
    }

    /// All backends are neighbours behind the interface that queries come from: what leaves by another one would
    /// leave no trace of its reply.
    fn reach_backends(&mut self) -> Result<()> {
        let hop = NextHop {
            source: Address::from(SOURCE),
            interface: Self::interface()?,
            tags: VlanTags::NONE,
            macs: Macs::new(Mac::from_octets([2, 0, 0, 0, 1, 1]), Mac::from_octets([2, 0, 0, 0, 1, 2])),
            ..NextHop::default()
        };
        self.kernel.set_next_hop(0, &hop)?;
        for id in self.names.backends.keys() {
            self.kernel.set_live(*id, BackendLive::reachable(0))?;
        }
        Ok(())
    }

    /// The interface that packets come from, by index.
    pub fn interface() -> Result<u32> {
        if_nametoindex(INTERFACES[0]).context("the client's side")
    }

    /// What is in its tables.
    pub fn tables(&self) -> Tables {
        self.tables
    }

    /// The program that is measured.
    pub fn program(&self) -> Result<LoadedProgram> {
        self.kernel.programs().first().copied().context("it is gone")
    }

    /// Packets that ended for a reason.
    pub fn ended(&self, reason: Reason) -> Result<u64> {
        let counters = self.kernel.counters()?;
        let counts = Reason::ALL.iter().zip(counters.reasons);
        Ok(counts.filter(|(counted, _)| **counted == reason).map(|(_, count)| count).sum())
    }

    /// A query as a client sends it; `name` in presentation format.
    pub fn query(name: &str) -> Result<Vec<u8>> {
        let name: Name = name.parse().map_err(|error| anyhow!("{name}: {error}"))?;
        Ok(query_frame(CLIENT, LISTENER, name.wire(), TYPE_A)?)
    }

    /// What the kernel says about the programs.
    pub fn programs(&self) -> Vec<LoadedProgram> {
        self.kernel.programs()
    }

    /// Asks the loaded program about each of the random names, and one below it: says how many there are.
    pub fn verify_routes(&self) -> Result<u32> {
        let pools = |id| self.names.pools.get(&id).map(String::as_str);
        let mut routes = BTreeSet::new();
        let count = self.tables.random_routes();
        for number in 0..count {
            let name = random_name(number);
            let explained = self.kernel.explain(&Self::query(&format!("www.{name}"))?, 0)?;
            let (pool, expected) = (pools(explained.subject.pool), pool_of(number));
            ensure!(pool == Some(&expected), "{name} leads to {pool:?} rather than {expected}");
            ensure!(routes.insert(explained.subject.route), "{name} has another name's route");
        }
        Ok(count)
    }
}
