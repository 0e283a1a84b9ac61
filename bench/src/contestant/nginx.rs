//! nginx with its stream module: every client is a session of its own, with a socket of its own to the backend.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::daemon::Daemon;
use crate::chain::{BACKEND, Chain, LISTENER};

/// Where Debian has the module; elsewhere it may be built in.
const MODULE: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

/// What it says about itself.
pub fn version() -> Result<String> {
    let output = Command::new("nginx").arg("-v").output();
    let output = output.context("start nginx: `cargo xtask setup bench` installs it")?;
    Ok(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

/// Starts it with a worker for each processor.
pub fn start(chain: &Chain) -> Result<Daemon> {
    // Ports are the balancer's own affair, and each session takes one.
    chain.balancer.set_parameters(&[("net/ipv4/ip_local_port_range", "1024 65535")])?;
    let folder = chain.instance().folder();
    let config = folder.join("nginx.conf");
    fs::write(&config, configuration(folder)).with_context(|| format!("write {}", config.display()))?;
    let mut command = chain.balancer.command("nginx");
    command.arg("-c").arg(&config).arg("-p").arg(folder);
    Daemon::start(command, folder.join("nginx.log"))
}

/// See docs/benchmark.md for why each line is there.
pub fn configuration(folder: &Path) -> String {
    let folder = folder.display();
    let module = if Path::new(MODULE).is_file() { format!("load_module {MODULE};\n") } else { String::new() };
    format!(
        "{module}daemon off;
worker_processes 2;
worker_cpu_affinity auto;
worker_rlimit_nofile 262144;
pid {folder}/nginx.pid;
error_log stderr crit;
events {{
    worker_connections 131072;
}}
stream {{
    access_log off;
    server {{
        listen {LISTENER} udp reuseport rcvbuf=1m;
        proxy_pass {BACKEND};
        proxy_responses 1;
        proxy_timeout 1s;
    }}
}}
"
    )
}
