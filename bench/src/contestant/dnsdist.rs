//! dnsdist, as somebody would set it up who wants it fast and needs nothing but a suffix rule.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use super::ZONE;
use super::daemon::Daemon;
use crate::chain::{BACKEND, Chain, LISTENER};

/// What it says about itself, in its first line.
pub fn version() -> Result<String> {
    let output = Command::new("dnsdist").arg("--version").output();
    let output = output.context("start dnsdist: `cargo xtask setup bench` installs it")?;
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(output.lines().next().unwrap_or_default().to_owned())
}

/// Starts it with a configuration; it answers a moment later.
pub fn start(chain: &Chain, configuration: &str) -> Result<Daemon> {
    let file = |name| chain.instance().folder().join(name);
    let config = file("dnsdist.conf");
    fs::write(&config, configuration).with_context(|| format!("write {}", config.display()))?;
    let mut command = chain.balancer.command("dnsdist");
    command.args(["--supervised", "--disable-syslog", "--config"]).arg(&config);
    Daemon::start(command, file("dnsdist.log"))
}

/// For one processor. See docs/benchmark.md for why each line is there.
pub fn configuration() -> String {
    format!(
        r#"setSecurityPollSuffix("")
setACL("0.0.0.0/0")
addLocal("{LISTENER}", {{maxInFlight=100}})
setMaxUDPOutstanding(65535)
setUDPSocketBufferSizes(1048576, 1048576)
setUDPMultipleMessagesVectorSize(64)
setMaxTCPClientThreads(1)
setMaxTCPConnectionsPerClient(0)
setMaxTCPQueriesPerConnection(0)
setServerPolicy(firstAvailable)
newServer{{address="{BACKEND}", pool="bench", maxInFlight=100}}:setUp()
zone = newSuffixMatchNode()
zone:add(newDNSName("{ZONE}."))
addAction(SuffixMatchNodeRule(zone), PoolAction("bench"))
addAction(AllRule(), RCodeAction(DNSRCode.REFUSED))
"#
    )
}

/// The same for two processors, over UDP alone: two threads receive queries, and two receive answers.
pub fn configuration_for_both() -> String {
    let local = format!("addLocal(\"{LISTENER}\", {{reusePort=true}})");
    let server = format!("newServer{{address=\"{BACKEND}\", pool=\"bench\"}}:setUp()");
    format!(
        r#"setSecurityPollSuffix("")
setACL("0.0.0.0/0")
{local}
{local}
setMaxUDPOutstanding(65535)
setUDPSocketBufferSizes(1048576, 1048576)
setUDPMultipleMessagesVectorSize(64)
setServerPolicy(roundrobin)
{server}
{server}
zone = newSuffixMatchNode()
zone:add(newDNSName("{ZONE}."))
addAction(SuffixMatchNodeRule(zone), PoolAction("bench"))
addAction(AllRule(), RCodeAction(DNSRCode.REFUSED))
"#
    )
}
