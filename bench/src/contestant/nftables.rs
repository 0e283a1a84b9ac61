//! The kernel's own NAT, which keeps a flow for each client (conntrack), and knows nothing of names.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::chain::{BACKEND, Chain, LISTENER};

/// What it says about itself.
pub fn version() -> Result<String> {
    let output = Command::new("nft").arg("--version").output();
    let output = output.context("start nft: `cargo xtask setup bench` installs it")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Puts the rules in force in the balancer's namespace, with which they go.
pub fn start(chain: &Chain) -> Result<()> {
    let mut command = chain.balancer.command("nft");
    command.args(["-f", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut nft = command.spawn().context("start nft")?;
    let mut input = nft.stdin.take().context("nft takes no rules")?;
    input.write_all(configuration().as_bytes()).context("tell nft the rules")?;
    drop(input);
    let output = nft.wait_with_output()?;
    ensure!(output.status.success(), "nft: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

/// Answers need no rule: conntrack knows them.
pub fn configuration() -> String {
    let (address, port, backend) = (LISTENER.ip(), LISTENER.port(), BACKEND.ip());
    format!(
        "table ip bench {{
    chain prerouting {{
        type nat hook prerouting priority dstnat
        ip daddr {address} udp dport {port} dnat to {backend}
    }}
}}
"
    )
}
