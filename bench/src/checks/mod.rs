//! What it takes to check thousands of backends, and how evenly they are asked.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use dproxy_lab::{Balancer, HOST_INTERFACE, Interrupt, LISTENERS, Namespace, Topology, run};
use serde::Serialize;

use crate::cores;
use crate::failures::{Arrival, Backend, Sight};
use crate::measure::ProcessTime;

/// Backends, each checked once a second, which is the default.
pub const BACKENDS: u16 = 2000;
/// The network that they are in, all of them on one host.
const NETWORK: [u8; 2] = [10, 60];
/// How long they may take to be found good.
const FOUND: Duration = Duration::from_secs(20);
/// What a start brings with it is over by then.
const SETTLE: Duration = Duration::from_secs(3);
/// Queries are counted in times of so long.
const BIN: Duration = Duration::from_millis(10);
const LOOK: Duration = Duration::from_millis(100);

/// One measurement.
#[derive(Debug, Serialize)]
pub struct Checked {
    /// Processor time of the daemon, in percent of one processor.
    pub processor: f64,
    /// Checks a second that came in over UDP.
    pub rate: f64,
    /// Checks within 10 ms: half of these times have no more.
    pub median: usize,
    /// None of these times has more.
    pub most: usize,
    /// Members that are not up at the end.
    pub not_up: usize,
}

/// Measures for so long, in namespaces whose names begin with `prefix`.
pub fn measure(prefix: &str, dproxy: &Path, time: Duration, interrupt: &Interrupt) -> Result<Checked> {
    let topology = Topology::builder(prefix).build()?;
    let host = &topology.backends[0];
    let network = format!("{}.{}.0.0/16", NETWORK[0], NETWORK[1]);
    host.namespace.ip(&format!("route add local {network} dev lo"))?;
    topology.balancer.ip(&format!("route add {network} via {}", host.v4))?;
    let anywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 53));
    // A veth pair has no processors: without this, what the backends' host does with a packet is done, and accounted,
    // where the daemon sends it.
    receive_on(&host.namespace, cores::PEERS)?;
    let _server = Backend::start(&host.namespace, anywhere, anywhere)?;
    let configuration = configuration(&topology);
    let balancer = cores::on_balancers(|| Balancer::start(&topology, dproxy, &configuration))?;
    let begin = Instant::now();
    while not_up(&balancer)? > 0 {
        ensure!(begin.elapsed() < FOUND, "not all backends come up:\n{}", balancer.log_tail());
        wait(LOOK, interrupt)?;
    }
    wait(SETTLE, interrupt)?;

    let sight = Sight::open(&host.namespace)?;
    let (before, begin) = (ProcessTime::of(balancer.pid())?, Instant::now());
    wait(time, interrupt)?;
    let (after, elapsed) = (ProcessTime::of(balancer.pid())?, begin.elapsed());
    let used = Duration::from_nanos(after.since(before).total_ns());
    let arrivals = sight.arrivals();
    let (median, most) = bins(&arrivals, begin, elapsed);
    Ok(Checked {
        processor: used.as_secs_f64() / elapsed.as_secs_f64() * 100.0,
        rate: arrivals.len() as f64 / elapsed.as_secs_f64(),
        median,
        most,
        not_up: not_up(&balancer)?,
    })
}

/// Lets a host take in packets on a processor (RPS, Documentation/networking/scaling.rst).
fn receive_on(host: &Namespace, processor: usize) -> Result<()> {
    let file = format!("/sys/class/net/{HOST_INTERFACE}/queues/rx-0/rps_cpus");
    let script = format!("echo {:x} > {file}", 1 << processor);
    // It mounts the namespace's own /sys.
    run(Command::new("ip").args(["netns", "exec", host.name(), "sh", "-c", &script]))
}

fn wait(time: Duration, interrupt: &Interrupt) -> Result<()> {
    let begin = Instant::now();
    while begin.elapsed() < time {
        sleep(LOOK.min(time));
        ensure!(!interrupt.came()?, "interrupted");
    }
    Ok(())
}

fn configuration(topology: &Topology) -> String {
    let [a, b] = NETWORK;
    let address = |number: u16| {
        let [c, d] = (number + 256).to_be_bytes();
        format!("{a}.{b}.{c}.{d}:53")
    };
    let backends: Vec<String> = (0..BACKENDS).map(address).collect();
    let (interfaces, listener) = (topology.interfaces(), LISTENERS[0]);
    format!(
        "[listen]\ninterfaces = {interfaces:?}\naddresses = [\"{listener}\"]\nxdp = \"native\"\n\
         [pools.bench]\nbackends = {backends:?}\n[routes]\n\"bench.example\" = \"bench\"\n"
    )
}

fn not_up(balancer: &Balancer) -> Result<usize> {
    let listed = balancer.cli(&["backend", "list"])?;
    let backends = listed["backends"].as_array().context("`dproxy backend list` lists none")?;
    Ok(backends.iter().filter(|backend| backend["health"]["state"] != "up").count())
}

/// How many arrive in a short time: the median, and the most.
fn bins(arrivals: &[Arrival], begin: Instant, elapsed: Duration) -> (usize, usize) {
    let number = |at: Instant| at.saturating_duration_since(begin).as_nanos() / BIN.as_nanos();
    let mut bins: BTreeMap<u128, usize> =
        (0..elapsed.as_nanos() / BIN.as_nanos()).map(|bin| (bin, 0)).collect();
    for arrival in arrivals {
        // The last one is not whole.
        bins.entry(number(arrival.at)).and_modify(|count| *count += 1);
    }
    let mut counts: Vec<usize> = bins.into_values().collect();
    counts.sort_unstable();
    (counts.get(counts.len() / 2).copied().unwrap_or(0), counts.last().copied().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_are_counted_by_ten_milliseconds() {
        let begin = Instant::now();
        let at = |milliseconds| Arrival { at: begin + Duration::from_millis(milliseconds), is_check: true };
        let arrivals = [0, 1, 2, 3, 9, 15, 25, 26, 35, 44, 51].map(at);
        assert_eq!(bins(&arrivals, begin, Duration::from_millis(50)), (1, 5));
        assert_eq!(bins(&[], begin, Duration::from_millis(50)), (0, 0));
    }
}
