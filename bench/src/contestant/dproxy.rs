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

/// Starts it without the fast path.
pub fn start_slow_path(chain: &Chain, binary: &Path) -> Result<Balancer> {
    Balancer::start_in(&chain.balancer, chain.instance().folder(), binary, &slow_path_configuration())
}

/// The route and the pool, and all else as it comes.
pub fn slow_path_configuration() -> String {
    let [client, backend] = INTERFACES;
    format!(
        r#"[listen]
interfaces = ["{client}", "{backend}"]
addresses  = ["{LISTENER}"]
xdp        = "off"

[pools.bench]
backends = ["{BACKEND}"]

[routes]
"{ZONE}" = "bench"
"#
    )
}
