//! A datapath and a network in memory, for tests. The datapath decides with the packet path's own code.

mod datapath;
mod network;
mod slow_path;

use std::time::Duration;

use tokio::sync::oneshot;

use super::edits::{EditMade, EditRequest};
use super::{Edit, EditError, Engine, Entry, Handle, Network, NoNetwork, Parts, Who, capacity};
use crate::config::Config;
use crate::datapath::{Absent, Datapath};
use crate::state::{Kind, Store};
pub(crate) use datapath::FakeDatapath;
pub(crate) use network::{FakeNetwork, asked, elsewhere, local, reachable, silent};
pub(crate) use slow_path::FakeSlowPath;

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
primary = "192.168.1.10"
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

/// An engine with [`CONFIG`] in force, and what it works on.
pub(crate) async fn engine() -> (Engine, FakeDatapath, FakeNetwork) {
    let (engine, datapath, _, network) = engine_of(config()).await;
    (engine, datapath, network)
}

/// An engine with a configuration in force, and all that it works on.
pub(crate) async fn engine_of(config: Config) -> (Engine, FakeDatapath, FakeSlowPath, FakeNetwork) {
    let datapath = FakeDatapath::new(&config);
    engine_on(config, datapath).await
}

/// The same on tables that somebody has used before.
pub(crate) async fn engine_on(
    config: Config,
    datapath: FakeDatapath,
) -> (Engine, FakeDatapath, FakeSlowPath, FakeNetwork) {
    let network = FakeNetwork::default();
    let proxy = FakeSlowPath::default();
    let engine = begin(config, Box::new(datapath.clone()), &proxy, Box::new(network.clone())).await;
    (engine, datapath, proxy, network)
}

/// The same without a fast path.
pub(crate) async fn engine_without_fast_path(config: Config) -> (Engine, FakeSlowPath) {
    let absent = Absent::new("listen.xdp is \"off\"", capacity(&config), "/nowhere");
    let proxy = FakeSlowPath::default();
    (begin(config, Box::new(absent), &proxy, Box::new(NoNetwork)).await, proxy)
}

async fn begin(
    config: Config,
    datapath: Box<dyn Datapath>,
    proxy: &FakeSlowPath,
    network: Box<dyn Network>,
) -> Engine {
    let store = Store::open(proxy.seen().state.path()).unwrap();
    let parts = Parts {
        config,
        config_file: "dproxy.toml".to_owned(),
        warnings: Vec::new(),
        datapath,
        proxy: Box::new(proxy.clone()),
        network,
        store,
        recorded: None,
    };
    let mut engine = Engine::new(parts);
    engine.settle(Duration::ZERO).await.unwrap();
    engine.begin(Some(Entry::new(Who::Daemon, Kind::Start, vec!["start".to_owned()]))).unwrap();
    engine
}

impl Engine {
    /// Makes one edit.
    pub(crate) async fn edit(&mut self, edit: &Edit) -> Result<EditMade, EditError> {
        let (answer, made) = oneshot::channel();
        let request = EditRequest { edit: edit.clone(), who: Who::Daemon, generation: None, answer };
        self.edit_all(vec![request]).await;
        made.await.unwrap()
    }
}

/// Runs an engine beside a test.
pub(crate) async fn beside<T>(mut engine: Engine, test: impl AsyncFnOnce(Handle) -> T) -> T {
    let (handle, mut requests) = engine.handle();
    let (end, ended) = oneshot::channel::<()>();
    let running = async {
        engine
            .run(&mut requests, async {
                let _ = ended.await;
            })
            .await;
        drop(requests);
    };
    let testing = async {
        let result = test(handle).await;
        drop(end);
        result
    };
    tokio::join!(running, testing).1
}
