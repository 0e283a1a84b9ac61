//! dproxy.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use dproxy_lab::Balancer;

use super::ZONE;
use crate::chain::{BACKEND, Chain, INTERFACES, LISTENER};

/// What it says about itself.
pub fn version(binary: &Path) -> Result<String> {
    let output = Command::new(binary).arg("--version").output();
    let output = output.with_context(|| format!("start {}", binary.display()))?;
    ensure!(output.status.success(), "`{} --version` failed: {}", binary.display(), output.status);
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Starts it with `listen.xdp` so.
pub fn start(chain: &Chain, binary: &Path, xdp: &str) -> Result<Balancer> {
    Balancer::start_in(&chain.balancer, chain.instance().folder(), binary, &configuration(xdp))
}

/// The route and the pool, `listen.xdp`, and all else as it comes.
pub fn configuration(xdp: &str) -> String {
    let [client, backend] = INTERFACES;
    format!(
        r#"[listen]
interfaces = ["{client}", "{backend}"]
addresses  = ["{LISTENER}"]
xdp        = "{xdp}"

[pools.bench]
backends = ["{BACKEND}"]

[routes]
"{ZONE}" = "bench"
"#
    )
}
