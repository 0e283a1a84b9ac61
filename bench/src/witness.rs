//! dnsperf (DNS-OARC) as a generator that is not ours.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use dproxy_lab::Interrupt;
use serde::Serialize;

use crate::backend::Backend;
use crate::chain::Chain;
use crate::contestant::{Contestant, Running, ZONE};
use crate::load::Peer;
use crate::measure::ProcessTime;
use crate::runner::Plan;
use crate::scenario::{NAMES, Transport};

/// How long the backend rests between its turns: dnsperf wants the processor, too.
const REST: Duration = Duration::from_micros(50);

/// What dnsperf has seen.
#[derive(Debug, Serialize)]
pub struct Witnessed {
    /// Who was asked.
    pub contestant: Contestant,
    /// Over what.
    pub transport: Transport,
    /// What dnsperf says.
    #[serde(flatten)]
    pub seen: Seen,
    /// What the balancer's process used from dnsperf's start to its end, per completed query.
    pub cpu_ns_per_query: Option<f64>,
}

/// From dnsperf's statistics.
#[derive(Debug, PartialEq, Serialize)]
pub struct Seen {
    /// Queries completed per second.
    pub queries_per_second: f64,
    /// Queries answered.
    pub completed: u64,
    /// Queries not answered.
    pub lost: u64,
}

/// Lets dnsperf ask a contestant as fast as it can.
pub fn look(
    chain: &Chain,
    transport: Transport,
    contestant: Contestant,
    plan: &Plan,
    interrupt: &Interrupt,
) -> Result<Witnessed> {
    let mut backend = Backend::start(chain, transport)?;
    let running = contestant.start(chain, &plan.dproxy)?;
    plan.stage(chain, transport, &mut backend, interrupt).prove(contestant, &running)?;

    let time = || running.pid().map(ProcessTime::of).transpose();
    let before = time()?;
    let mut dnsperf = start(chain, transport, &running, plan.duration)?;
    let begin = Instant::now();
    while dnsperf.try_wait()?.is_none() {
        backend.turn(begin.elapsed())?;
        sleep(REST);
        if interrupt.came()? {
            dnsperf.kill()?;
            bail!("interrupted");
        }
    }
    let used = time()?.zip(before).map(|(after, before)| after.since(before).total_ns());
    let output = dnsperf.wait_with_output()?;
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    let seen = parse(&output).with_context(|| format!("dnsperf's output is not as we know it:\n{output}"))?;
    ensure!(seen.completed > 0, "dnsperf got no answer");
    eprintln!("  {} over {transport:?}: {:.0} queries/s", contestant.title(), seen.queries_per_second);
    let cpu_ns_per_query = used.map(|used| used as f64 / seen.completed as f64);
    Ok(Witnessed { contestant, transport, seen, cpu_ns_per_query })
}

fn start(chain: &Chain, transport: Transport, running: &Running, duration: Duration) -> Result<Child> {
    let names = chain.instance().folder().join("names");
    let lines: String = (0..NAMES).map(|number| format!("www{number}.{ZONE} A\n")).collect();
    fs::write(&names, lines).with_context(|| format!("write {}", names.display()))?;
    // As many clients and queries under way as our own generator has.
    let [mode, clients, outstanding] = match transport {
        Transport::Udp => ["udp", "32", "128"],
        Transport::Tcp => ["tcp", "10", "1000"],
    };
    let mut command: Command = chain.client.command("dnsperf");
    command.args(["-m", mode, "-c", clients, "-q", outstanding, "-T", "1", "-t", "1", "-e", "-d"]);
    command.arg(names).args(["-s", &running.server.ip().to_string()]);
    command.args(["-l", &duration.as_secs().to_string()]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    child.context("start dnsperf: `cargo xtask setup bench` installs it")
}

fn parse(output: &str) -> Option<Seen> {
    let value = |name: &str| {
        let line = output.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':'));
        line?.split_whitespace().next()
    };
    Some(Seen {
        queries_per_second: value("Queries per second")?.parse().ok()?,
        completed: value("Queries completed")?.parse().ok()?,
        lost: value("Queries lost")?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_read() {
        let output = "[Status] Testing complete (time limit)\n\nStatistics:\n\n  \
                      Queries sent:         200100\n  Queries completed:    200000 (99.95%)\n  \
                      Queries lost:         100 (0.05%)\n\n  Response codes:       NOERROR 200000 (100.00%)\n  \
                      Average packet size:  request 36, response 36\n  Run time (s):         2.000\n  \
                      Queries per second:   100000.500000\n";
        let seen = Seen { queries_per_second: 100_000.5, completed: 200_000, lost: 100 };
        assert_eq!(parse(output), Some(seen));
        assert_eq!(parse("Statistics:\n"), None);
    }
}
