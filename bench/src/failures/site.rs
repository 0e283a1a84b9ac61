//! Three backends, dproxy before them, and a client that asks 5,000 queries a second.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use dproxy_lab::{Balancer, Interrupt, LISTENERS, Topology};
use serde_json::Value;

use super::asker::{Asker, Query};
use super::backend::Backend;
use super::sight::{Arrival, Sight};
use crate::cores;

/// The zone asked for.
const ZONE: &str = "bench.example";
/// How long backends may take to be found good.
const FOUND: Duration = Duration::from_secs(5);
/// Queries before anything happens.
const WARM_UP: Duration = Duration::from_millis(1500);
/// How long something may take.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(5);

/// All of it; gone when dropped.
#[derive(Debug)]
pub struct Site<'a> {
    /// The backends, the one that fails first.
    pub backends: Vec<Backend<'a>>,
    sights: Vec<Sight>,
    balancer: Balancer,
    asker: Asker,
    interrupt: &'a Interrupt,
    begun: Instant,
}

/// What has happened there.
#[derive(Debug)]
pub struct Seen {
    /// When the first query was sent.
    pub begun: Instant,
    /// All queries of the client's.
    pub queries: Vec<Query>,
    /// What came to each backend.
    pub arrivals: Vec<Vec<Arrival>>,
    /// What dproxy says has happened.
    pub events: Vec<Event>,
}

/// An event: its kind, the backend concerned, and the text.
#[derive(Clone, Debug)]
pub struct Event {
    pub kind: String,
    pub backend: Option<SocketAddr>,
    pub text: String,
}

/// Where backends listen.
pub fn address(topology: &Topology, number: usize) -> SocketAddr {
    SocketAddr::from((topology.backends[number].v4, 53))
}

impl<'a> Site<'a> {
    /// With this pool besides its backends, which are named by the first three `{}`s.
    pub fn open(topology: &'a Topology, dproxy: &Path, pool: &str, interrupt: &'a Interrupt) -> Result<Self> {
        let start = |number: usize| {
            let address = address(topology, number);
            let IpAddr::V4(ip) = address.ip() else { bail!("{address} is not IPv4") };
            let [a, b, c, _] = ip.octets();
            let gateway = SocketAddr::from((Ipv4Addr::new(a, b, c, 1), 0));
            Backend::start(&topology.backends[number].namespace, address, gateway)
        };
        let backends = (0..3).map(start).collect::<Result<Vec<_>>>()?;
        let sights = backends.iter().map(|backend| Sight::open(backend.namespace)).collect::<Result<_>>()?;
        let [interfaces, listener] = [format!("{:?}", topology.interfaces()), LISTENERS[0].to_string()];
        let config = format!(
            "[listen]\ninterfaces = {interfaces}\naddresses = [\"{listener}\"]\nxdp = \"native\"\n\
             {pool}\n[routes]\n\"{ZONE}\" = \"bench\"\n"
        );
        let balancer = cores::on_balancers(|| Balancer::start(topology, dproxy, &config))?;
        wait_until_up(&balancer)?;
        let server = SocketAddr::from((LISTENERS[0], 53));
        let asker = Asker::start(&topology.client.namespace, server, ZONE)?;
        let site = Self { backends, sights, balancer, asker, interrupt, begun: Instant::now() };
        site.wait(WARM_UP)?;
        Ok(site)
    }

    /// Lets time pass.
    pub fn wait(&self, time: Duration) -> Result<()> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            sleep(LOOK.min(until.saturating_duration_since(Instant::now())));
            ensure!(!self.interrupt.came()?, "interrupted");
        }
        Ok(())
    }

    /// Waits until clients' queries come to the first backend.
    pub fn wait_for_queries(&self, after: Instant) -> Result<()> {
        let begin = Instant::now();
        while self.first_query(after).is_none() {
            ensure!(
                begin.elapsed() < PATIENCE,
                "it has got no query for {PATIENCE:?}; the end of dproxy's log:\n{}",
                self.balancer.log_tail()
            );
            self.wait(LOOK)?;
        }
        Ok(())
    }

    fn first_query(&self, after: Instant) -> Option<Instant> {
        let arrivals = self.sights[0].arrivals();
        arrivals.iter().find(|arrival| !arrival.is_check && arrival.at > after).map(|arrival| arrival.at)
    }

    /// Ends it, and tells what there was.
    pub fn close(self) -> Result<Seen> {
        let queries = self.asker.stop()?;
        let events = events(&self.balancer)?;
        let arrivals = self.sights.iter().map(Sight::arrivals).collect();
        Ok(Seen { begun: self.begun, queries, arrivals, events })
    }
}

fn wait_until_up(balancer: &Balancer) -> Result<()> {
    let begin = Instant::now();
    loop {
        let listed = balancer.cli(&["backend", "list"])?;
        let backends = listed["backends"].as_array().context("`dproxy backend list` lists none")?;
        if backends.iter().all(|backend| backend["health"]["state"] == "up") {
            return Ok(());
        }
        ensure!(begin.elapsed() < FOUND, "not all backends come up: {listed}");
        sleep(LOOK * 10);
    }
}

fn events(balancer: &Balancer) -> Result<Vec<Event>> {
    let mut command = Command::new(balancer.binary());
    let output = command.arg("--socket").arg(balancer.socket()).args(["events", "--json"]).output()?;
    let read = |line: &[u8]| {
        let event: Value = serde_json::from_slice(line)?;
        let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
        let backend = event["backend"].as_str().and_then(|backend| backend.parse().ok());
        anyhow::Ok(Event { kind: text("kind"), backend, text: text("text") })
    };
    output.stdout.split(|octet| *octet == b'\n').filter(|line| !line.is_empty()).map(read).collect()
}
