//! The configuration: files as the original dproxy has them, which dproxy imports, and what they cannot
//! say, which is edited live.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use dproxy_lab::{Balancer, LISTENERS, Topology};

use crate::internet::Internet;

/// The original's `config.gcfg`; `masterupstream` is where all that has no route goes.
fn settings(master: &str) -> String {
    format!(
        "[dproxy]\n\
         \tloglevel\t\t= \"info\"\n\
         \tport\t\t\t= 53\n\
         \tupstreamlocation\t= \"upstream/\"\n\
         \tupstreamextension\t= \".prox\"\n\
         \tusemasterupstream\t= true\n\
         \tmasterupstream\t\t= \"{master}\"\n\
         \n\
         [redis]\n\
         \thost\t\t\t= \"localhost:6379\"\n\
         \tpassword\t\t= \"\"\n"
    )
}

/// A route file of the original's: a zone, and its only server.
fn route_file(zone: &str, address: &str, port: u16) -> String {
    [format!("*.{zone}"), zone.to_owned()]
        .map(|name| format!("[{name}]\n\taddress\t\t= {address}\n\tport\t\t= {port}\n"))
        .join("\n")
}

/// Writes the original's files to the topology's folder, and returns what `binary` makes of them.
pub(crate) fn import(internet: &Internet, binary: &Path) -> Result<String> {
    let folder = internet.topology.instance().folder().join("original");
    let upstream = folder.join("upstream");
    fs::create_dir_all(&upstream).with_context(|| format!("make the folder {}", upstream.display()))?;
    let write = |name: &str, text: String| {
        let file = folder.join(name);
        fs::write(&file, text).with_context(|| format!("write {}", file.display()))
    };
    write("config.gcfg", settings(&internet.address_of("master").to_string()))?;
    for (zone, server) in [("cryo.test", "cryo"), ("dyn.test", "dynamic"), ("plain.test", "plain-a")] {
        let address = internet.address_of(server);
        let text = route_file(zone, &address.ip().to_string(), address.port());
        write(&format!("upstream/{zone}.prox"), text)?;
    }
    convert(&internet.topology, &folder, binary)
}

fn convert(topology: &Topology, folder: &Path, binary: &Path) -> Result<String> {
    let mut import = Command::new(binary);
    import.args(["import", "dproxy"]).arg(folder);
    for interface in topology.interfaces() {
        import.args(["--interface", interface]);
    }
    for listener in LISTENERS {
        import.args(["--listen", &listener.to_string()]);
    }
    let output = import.output().with_context(|| format!("start {}", binary.display()))?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        bail!("`dproxy import dproxy {}` failed: {}", folder.display(), error.trim());
    }
    let converted = String::from_utf8(output.stdout).context("read the converted configuration")?;
    ensure!(converted.contains(LISTEN), "the converted configuration has no [listen]:\n{converted}");
    Ok(converted.replacen(LISTEN, &format!("{LISTEN}{NATIVE}"), 1))
}

const LISTEN: &str = "\n[listen]\n";
/// By itself dproxy chooses generic XDP for veth pairs, because of checksums left to "hardware". Those of
/// the lab leave nothing to it.
const NATIVE: &str = "xdp        = \"native\"\n";

/// What the original's files cannot say: several backends, IPv6 ones, and answers.
pub(crate) fn edits(internet: &Internet) -> [String; 5] {
    let [local, remote] = ["plain-a", "plain-b"].map(|server| internet.address_of(server));
    [
        format!("pool add plain --hash qname+client --backend {local} --backend {remote}"),
        "route add plain.test plain --replace".to_owned(),
        "pool remove plain-test".to_owned(),
        "route add blocked.test nxdomain".to_owned(),
        "route add private.test refused".to_owned(),
    ]
}

/// Makes these edits.
pub(crate) fn edit(internet: &Internet, balancer: &Balancer) -> Result<()> {
    for edit in edits(internet) {
        balancer.cli(&edit.split(' ').collect::<Vec<_>>())?;
    }
    Ok(())
}
