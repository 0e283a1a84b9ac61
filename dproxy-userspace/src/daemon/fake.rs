//! A datapath and a network in memory, for tests. The datapath decides with the packet path's own code.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};

use dproxy_common::abi::{Backend, BackendLive, Listener, NatSettings, NextHop};
use dproxy_common::explain::Explain;
use dproxy_common::host::{HostPacket, HostState};
use dproxy_common::pipeline;
use dproxy_common::reason::Reason;
use dproxy_common::wire::{Be16, Mac};
use dproxy_common::work::Work;
use futures_util::future::LocalBoxFuture;
use tokio::sync::{Notify, oneshot};

use super::network::{Network, Resolving};
use super::{Engine, Handle, capacity};
use crate::config::{Config, XdpMode};
use crate::control::{Capacity, Memory, Snapshot, SnapshotNames};
use crate::datapath::{Attachment, CounterId, Counters, Datapath, DatapathError};
use crate::network::{Resolution, Why};

/// The interface that it all is behind.
pub(crate) const INTERFACE: u32 = 2;

/// A configuration with something of everything.
pub(crate) const CONFIG: &str = r#"
[listen]
interfaces = ["eth0"]
addresses = ["192.0.2.53", "[2001:db8::53]:53"]
[pools.cryo]
backends = ["192.168.1.9:8053"]
[pools.resolvers]
[[pools.resolvers.backends]]
address = "192.168.1.10"
weight = 3
[[pools.resolvers.backends]]
address = "[2001:db8:1::10]:53"
[pools.dice]
policy = "random"
backends = ["192.168.1.11"]
[routes]
"cryo.network" = "cryo"
"*.dev.example" = "dice"
"=www.example.org" = "resolvers"
"blocked.example" = { answer = "nxdomain" }
"silent.example" = { answer = "drop" }
"." = "resolvers"
"#;

pub(crate) fn config() -> Config {
    Config::parse(CONFIG, "test").unwrap()
}

/// A fast path in memory. Clones are handles to one.
#[derive(Clone)]
pub(crate) struct FakeDatapath(Arc<Mutex<Tables>>);

pub(crate) struct Tables {
    pub(crate) capacity: Capacity,
    pub(crate) published: Option<Snapshot>,
    pub(crate) backends: BTreeMap<u16, Backend>,
    pub(crate) next_hops: BTreeMap<u32, NextHop>,
    listeners: BTreeMap<u16, SocketAddr>,
    pub(crate) counters: Counters,
    pub(crate) cleared: Vec<CounterId>,
    /// What the next publication fails with.
    pub(crate) refusal: Option<String>,
    pub(crate) is_attached: bool,
}

impl FakeDatapath {
    pub(crate) fn new(config: &Config) -> Self {
        Self(Arc::new(Mutex::new(Tables {
            capacity: capacity(config),
            published: None,
            backends: BTreeMap::new(),
            next_hops: BTreeMap::new(),
            listeners: BTreeMap::new(),
            counters: Counters { reasons: vec![0; Reason::COUNT], ..Counters::default() },
            cleared: Vec::new(),
            refusal: None,
            is_attached: false,
        })))
    }

    pub(crate) fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap()
    }

    /// Number of the generation in force.
    pub(crate) fn generation(&self) -> u64 {
        self.tables().published.as_ref().map_or(0, |snapshot| snapshot.generation.number)
    }
}

impl Tables {
    /// The addresses that the generation in force takes replies at.
    pub(crate) fn sources(&self) -> BTreeSet<IpAddr> {
        let destinations = &self.published.as_ref().unwrap().destinations;
        let sources = destinations.iter().filter(|entry| {
            entry.kind & dproxy_common::abi::Destination::NAT_SOURCE != 0 && entry.port == Be16::default()
        });
        sources.map(|entry| entry.address.into()).collect()
    }

    /// The backends' addresses, and where frames to them go.
    pub(crate) fn ways(&self) -> BTreeMap<SocketAddr, Option<NextHop>> {
        let way = |backend: &Backend| backend.live.next_hop().map(|index| self.next_hops[&index]);
        let address = |backend: &Backend| SocketAddr::new(backend.address.into(), backend.port.get());
        self.backends.values().map(|backend| (address(backend), way(backend))).collect()
    }

    fn memory(&self) -> Memory {
        fn dense<T: Clone + Default>(entries: impl Iterator<Item = (usize, T)>) -> Vec<T> {
            let mut table = Vec::new();
            for (index, entry) in entries {
                table.resize(table.len().max(index + 1), T::default());
                table[index] = entry;
            }
            table
        }
        let listener = |(id, address): (&u16, &SocketAddr)| {
            let (address, port) = (address.ip().into(), Be16::new(address.port()));
            (usize::from(*id), Listener { address, port, ..Listener::default() })
        };
        Memory {
            snapshot: self.published.clone().unwrap(),
            nat: NatSettings { slot_bits: 10, port_first: 16384, port_bits: 14, ..NatSettings::default() },
            backends: dense(self.backends.iter().map(|(id, backend)| (usize::from(*id), *backend))),
            next_hops: dense(self.next_hops.iter().map(|(index, hop)| (*index as usize, *hop))),
            listeners: dense(self.listeners.iter().map(listener)),
        }
    }
}

impl Datapath for FakeDatapath {
    fn capacity(&self) -> Capacity {
        self.tables().capacity
    }

    fn introduce(&mut self, names: &SnapshotNames) -> Result<(), DatapathError> {
        let mut tables = self.tables();
        tables.listeners.extend(&names.listeners);
        for (&id, address) in &names.backends {
            let (address, port) = (address.ip().into(), Be16::new(address.port()));
            let known =
                tables.backends.get(&id).filter(|known| known.address == address && known.port == port);
            if known.is_none() {
                tables.backends.insert(id, Backend { address, port, ..Backend::default() });
            }
        }
        Ok(())
    }

    fn publish(&mut self, snapshot: &Snapshot) -> Result<(), DatapathError> {
        if let Some(refusal) = self.tables().refusal.take() {
            return Err(DatapathError(refusal));
        }
        assert_eq!(snapshot.generation.number, self.generation() + 1);
        self.introduce(&snapshot.names)?;
        self.tables().published = Some(snapshot.clone());
        Ok(())
    }

    fn set_next_hop(&mut self, index: u32, hop: &NextHop) -> Result<(), DatapathError> {
        let mut tables = self.tables();
        assert!(
            tables.backends.values().all(|backend| backend.live.next_hop() != Some(index)),
            "a next hop in use must not change"
        );
        tables.next_hops.insert(index, *hop);
        Ok(())
    }

    fn set_live(&mut self, backend: u16, live: BackendLive) -> Result<(), DatapathError> {
        self.tables().backends.get_mut(&backend).expect("a backend that was introduced").live = live;
        Ok(())
    }

    fn explain(&self, frame: &[u8], generation: u64) -> Result<Explain, DatapathError> {
        let memory = self.tables().memory();
        let (mut packet, mut state) = (HostPacket::new(frame, INTERFACE), HostState::new(10, 1));
        let mut work = Work::EMPTY;
        let (_, explained) = pipeline::run(&mut packet, &memory, &mut state, &mut work, Some(generation));
        Ok(explained.unwrap())
    }

    fn counters(&self) -> Result<Counters, DatapathError> {
        Ok(self.tables().counters.clone())
    }

    fn clear(&mut self, counter: CounterId) -> Result<(), DatapathError> {
        self.tables().cleared.push(counter);
        Ok(())
    }

    fn attach(&mut self) -> Result<(), DatapathError> {
        assert!(self.generation() > 0, "no packet may see an empty table");
        self.tables().is_attached = true;
        Ok(())
    }

    fn attachments(&self) -> Vec<Attachment> {
        let mode = if self.tables().is_attached { XdpMode::Native } else { XdpMode::Auto };
        vec![Attachment { interface: "eth0".to_owned(), index: INTERFACE, mode, fallback: None }]
    }
}

/// A network in memory, where all is reachable that nothing else is said about. Clones are handles to one.
#[derive(Clone, Default)]
pub(crate) struct FakeNetwork(Arc<Facts>);

#[derive(Default)]
struct Facts {
    resolutions: Mutex<BTreeMap<IpAddr, Resolution>>,
    changed: Notify,
}

impl FakeNetwork {
    /// Says how an address is reached from now on.
    pub(crate) fn set(&self, address: &str, resolution: Resolution) {
        self.0.resolutions.lock().unwrap().insert(address.parse().unwrap(), resolution);
        self.0.changed.notify_one();
    }
}

impl Network for FakeNetwork {
    fn changed(&mut self) -> LocalBoxFuture<'_, ()> {
        Box::pin(self.0.changed.notified())
    }

    fn resolve<'n>(&'n self, addresses: &'n [IpAddr], interfaces: &'n [u32]) -> Resolving<'n> {
        assert_eq!(interfaces, [INTERFACE]);
        let said = self.0.resolutions.lock().unwrap();
        let resolve = |address: &IpAddr| {
            let source = if address.is_ipv4() { "192.168.1.1" } else { "2001:db8:1::1" };
            said.get(address).cloned().unwrap_or_else(|| reachable(source))
        };
        let resolutions = addresses.iter().map(|address| (*address, resolve(address))).collect();
        Box::pin(async { Ok(resolutions) })
    }
}

/// Reachable from this address of ours.
pub(crate) fn reachable(source: &str) -> Resolution {
    Resolution::Reachable(NextHop {
        source: source.parse::<IpAddr>().unwrap().into(),
        interface: INTERFACE,
        destination_mac: Mac::from_octets([2, 0, 0, 0, 0, 9]),
        ..NextHop::default()
    })
}

/// The neighbour is being asked.
pub(crate) fn asked(address: &str) -> Resolution {
    let (neighbour, interface) = (address.parse().unwrap(), "eth0".to_owned());
    Resolution::Unreachable(Why::Asked { neighbour, interface })
}

/// The neighbour does not answer.
pub(crate) fn silent(address: &str) -> Resolution {
    let (neighbour, interface) = (address.parse().unwrap(), "eth0".to_owned());
    Resolution::Unreachable(Why::Silent { neighbour, interface })
}

/// An engine with [`CONFIG`] in force, and what it works on.
pub(crate) async fn engine() -> (Engine, FakeDatapath, FakeNetwork) {
    let (config, network) = (config(), FakeNetwork::default());
    let datapath = FakeDatapath::new(&config);
    let (boxed, file) = (Box::new(datapath.clone()), "dproxy.toml".to_owned());
    let mut engine = Engine::new(config, file, Vec::new(), boxed, Box::new(network.clone()));
    engine.settle(std::time::Duration::ZERO).await.unwrap();
    engine.begin().unwrap();
    (engine, datapath, network)
}

/// Runs an engine beside a test.
pub(crate) async fn beside<T>(engine: Engine, test: impl AsyncFnOnce(Handle) -> T) -> T {
    let (handle, requests) = engine.handle();
    let (end, ended) = oneshot::channel::<()>();
    let running = engine.run(requests, async {
        let _ = ended.await;
    });
    let testing = async {
        let result = test(handle).await;
        drop(end);
        result
    };
    tokio::join!(running, testing).1
}
