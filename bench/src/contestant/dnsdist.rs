//! dnsdist, as somebody would set it up who wants it fast and needs nothing but a suffix rule.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command};

use anyhow::{Context, Result};

use super::ZONE;
use crate::chain::{BACKEND, Chain, LISTENER};

/// A running dnsdist; killed on drop.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The end of its log.
    pub fn log_tail(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It keeps nothing that it would have to save, and may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What it says about itself, in its first line.
pub fn version() -> Result<String> {
    let output = Command::new("dnsdist").arg("--version").output();
    let output = output.context("start dnsdist: `cargo xtask setup bench` installs it")?;
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(output.lines().next().unwrap_or_default().to_owned())
}

/// Starts it; it answers a moment later.
pub fn start(chain: &Chain) -> Result<Process> {
    let file = |name| chain.instance().folder().join(name);
    let (config, log) = (file("dnsdist.conf"), file("dnsdist.log"));
    fs::write(&config, configuration()).with_context(|| format!("write {}", config.display()))?;
    let output = File::create(&log).with_context(|| format!("create {}", log.display()))?;
    let mut command = chain.balancer.command("dnsdist");
    command.args(["--supervised", "--disable-syslog", "--config"]).arg(&config);
    command.stdout(output.try_clone()?).stderr(output).process_group(0);
    Ok(Process { child: command.spawn().context("start dnsdist")?, log })
}

/// See docs/benchmark.md for why each line is there.
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
