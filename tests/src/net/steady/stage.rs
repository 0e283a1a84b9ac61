//! The small internet with servers that cost next to nothing, and one that takes its time.

use std::fs;
use std::path::PathBuf;

use dproxy_lab::{Balancer, Topology, default_binary};

use super::slow_server::SlowServer;
use super::{Api, Steady, Who};
use crate::net::{configuration, wait_until_reachable};

/// The name that the server answers that takes its time.
const SLOW: &str = "slow.test";
/// Where that server is.
const SLOW_BACKEND: &str = "10.53.3.10:5300";

/// Servers that turn queries around in XDP, on the backends' port 53: [`Who::A`], [`Who::B`] and [`Who::C`]; and
/// [`Who::SLOW`] on the third one's port 5300.
pub struct Stage {
    // Dropped in this order.
    _slow: SlowServer,
    /// The namespaces.
    pub topology: Topology,
}

impl Stage {
    /// The servers are there; dproxy is not.
    pub fn new(name: &str) -> Self {
        let mut topology = Topology::builder(name).build().unwrap();
        for (host, who) in topology.backends.iter_mut().zip([Who::A, Who::B, Who::C]) {
            host.reflect(53, who.mark()).unwrap();
        }
        let slow = SlowServer::start(&topology.backends[2].namespace, SLOW_BACKEND.parse().unwrap());
        Self { _slow: slow, topology }
    }

    /// A configuration with these pools and routes, and those of the server that takes its time.
    pub fn configuration(&self, pools: &[(&str, &[&str])], routes: &[(&str, &str)]) -> String {
        let mut text = format!("[pools]\nslow.backends = [\"{SLOW_BACKEND}\"]\n");
        for (name, backends) in pools {
            text += &format!("{name}.backends = {backends:?}\n");
        }
        text += &format!("[routes]\n\"{SLOW}\" = \"slow\"\n");
        for (pattern, target) in routes {
            let target = match *target {
                "refused" => "{ answer = \"refused\" }".to_owned(),
                pool => format!("\"{pool}\""),
            };
            text += &format!("\"{pattern}\" = {target}\n");
        }
        configuration(&self.topology, "native", &text)
    }

    /// The configuration file.
    pub fn file(&self) -> PathBuf {
        self.topology.instance().folder().join("dproxy.toml")
    }

    /// Writes the configuration file as an editor does.
    pub fn write(&self, text: &str) {
        let new = self.file().with_extension("new");
        fs::write(&new, text).unwrap();
        fs::rename(&new, self.file()).unwrap();
    }

    /// Starts dproxy, and waits until every backend can be reached.
    pub fn start(&self, configuration: &str) -> Balancer {
        let balancer = Balancer::start(&self.topology, &default_binary().unwrap(), configuration).unwrap();
        wait_until_reachable(&balancer);
        balancer
    }

    /// Asks for these names, and now and then for the one that is answered late.
    pub fn ask(&self, names: &[&str]) -> Steady {
        Steady::start(&self.topology.client.namespace, names, SLOW)
    }

    /// A connection to dproxy.
    pub fn api(&self, balancer: &Balancer) -> Api {
        Api::connect(balancer.socket())
    }
}

/// dproxy as a later version will be, with this feature.
pub fn successor_binary(feature: &str) -> PathBuf {
    let binary = default_binary().unwrap().with_file_name(format!("dproxy-{feature}"));
    assert!(binary.is_file(), "there is no {}: `cargo xtask test` builds it", binary.display());
    binary
}
