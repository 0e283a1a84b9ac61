//! What to try while the lab is up.

use std::env;
use std::io::Write;
use std::path::Path;

use anyhow::Result;
use dproxy_lab::{Balancer, LISTENERS};

use crate::internet::Internet;

/// Prints commands that can be copied to another terminal.
pub(crate) fn show(internet: &Internet, balancer: &Balancer, out: &mut impl Write) -> Result<()> {
    let [v4, v6] = LISTENERS;
    let prefix = internet.topology.instance().prefix();
    let inside = format!("ip netns exec {prefix}-client");
    let dproxy = from_here(balancer.binary());
    let plain_b = internet.address_of("plain-b");
    let update = internet.update_address();
    writeln!(
        out,
        r#"
The lab is up. Try in another terminal, as root:

  export DPROXY_SOCKET={socket}

  # Ask.
  {inside} dig @{v4} www.10.0.0.8.cryo.test
  {inside} dig @{v6} home.dyn.test
  {inside} dig +tcp @{v4} large.plain.test TXT

  # Give a name to another backend: the answer says who gave it.
  {dproxy} route add id.server cryo-test
  {inside} dig +short @{v4} id.server CH TXT
  {dproxy} explain id.server TXT

  # Shift load between two backends of a pool.
  {dproxy} backend weight plain '{plain_b}' 9
  for i in $(seq 20); do
    {inside} dig +short @{v4} $i.whoami.plain.test TXT
  done | sort | uniq -c

  # Look.
  {dproxy} status
  {dproxy} stats --watch

  # Change a record of the dynamic zone.
  {inside} curl 'http://{update}/update?name=home.dyn.test&address=203.0.113.8'

Configuration: {config}, from the files in {original}
Ctrl-C ends the lab and removes all of it."#,
        socket = balancer.socket().display(),
        original = internet.topology.instance().folder().join("original").display(),
        config = balancer.config().display(),
    )?;
    out.flush()?;
    Ok(())
}

/// The program as one would type it in this folder.
fn from_here(program: &Path) -> String {
    let here = env::current_dir().unwrap_or_default();
    match program.strip_prefix(here) {
        Ok(below) if below.components().count() == 1 => format!("./{}", below.display()),
        Ok(below) => below.display().to_string(),
        Err(_) => program.display().to_string(),
    }
}
