//! A datapath and a network in memory, for tests. The datapath decides with the packet path's own code.

mod datapath;
mod network;

use std::time::Duration;

use tokio::sync::oneshot;

use super::{Engine, Handle};
use crate::config::Config;
pub(crate) use datapath::FakeDatapath;
pub(crate) use network::{FakeNetwork, asked, local, reachable, silent};

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

/// An engine with [`CONFIG`] in force, and what it works on.
pub(crate) async fn engine() -> (Engine, FakeDatapath, FakeNetwork) {
    let (config, network) = (config(), FakeNetwork::default());
    let datapath = FakeDatapath::new(&config);
    let (boxed, file) = (Box::new(datapath.clone()), "dproxy.toml".to_owned());
    let mut engine = Engine::new(config, file, Vec::new(), boxed, Box::new(network.clone()));
    engine.settle(Duration::ZERO).await.unwrap();
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
