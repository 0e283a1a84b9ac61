//! DNS servers of the distribution, each as its operators run it, but in the foreground and in a folder of
//! ours.

use std::env;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dproxy_lab::dns::op::ResponseCode;
use dproxy_lab::dns::rr::{Name, RecordType};
use dproxy_lab::{Host, Namespace, Question, Topology};

use super::commands::{Killed, installed};
use super::{wait_until, zone_file};

const START: Duration = Duration::from_secs(20);

/// A server program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Software {
    /// NLnet Labs' authoritative server.
    Nsd,
    /// CZ.NIC's authoritative server.
    Knot,
    /// ISC's server.
    Bind,
    /// NLnet Labs' resolver, with zones of its own.
    Unbound,
}

/// A running server; killed on drop.
pub struct Real {
    _process: Killed,
    /// Where it listens, IPv4 first.
    pub addresses: [SocketAddr; 2],
}

/// What a configuration depends on.
struct Place<'a> {
    folder: &'a Path,
    addresses: [SocketAddr; 2],
    zones: &'a [&'a str],
}

impl Real {
    /// Starts a server on a host with these zones (see [`zone_file`]), and waits until it answers.
    pub fn start(topology: &Topology, host: &Host, software: Software, zones: &[&str]) -> Self {
        Self::start_at(topology, &host.namespace, host.sockets(53), software, zones)
    }

    /// The same in any namespace and at any addresses; but only NSD takes other ports than 53.
    pub fn start_at(
        topology: &Topology,
        namespace: &Namespace,
        addresses: [SocketAddr; 2],
        software: Software,
        zones: &[&str],
    ) -> Self {
        let folder = topology.instance().folder().join(software.program());
        fs::create_dir(&folder).unwrap();
        for zone in zones {
            fs::write(folder.join(zone), zone_file(zone)).unwrap();
        }
        let place = Place { folder: &folder, addresses, zones };
        let file = folder.join("configuration");
        fs::write(&file, software.configuration(&place)).unwrap();

        let log = File::create(folder.join("log")).unwrap();
        let mut command = namespace.command(copy(software.program()));
        command.args(software.foreground()).arg("-c").arg(&file).current_dir(&folder);
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let mut process = Killed(command.spawn().unwrap());
        let origin = Name::from_ascii(zones[0]).unwrap();
        let question = Question::new(origin, RecordType::SOA).timeout(Duration::from_millis(100));
        let (start, shown) = (Instant::now(), format!("{software:?}"));
        wait_until(&format!("{shown} to answer"), START, || {
            if let Some(status) = process.0.try_wait().unwrap() {
                panic!("{shown} ended ({status}): {}", fs::read_to_string(folder.join("log")).unwrap());
            }
            addresses.iter().all(|address| {
                let reply = question.ask(&topology.client.namespace, *address);
                reply.is_ok_and(|reply| reply.message.response_code == ResponseCode::NoError)
            })
        });
        println!("{shown} answers after {:?}", start.elapsed());
        Self { _process: process, addresses }
    }
}

/// A copy of a server's program, to run instead: what AppArmor allows a server to read goes by the path of
/// its program, and our folder is not part of it.
fn copy(program: &str) -> PathBuf {
    let folder = env::current_exe().unwrap().with_file_name("servers");
    let (copy, new) = (folder.join(program), folder.join(format!("{program}.new")));
    fs::create_dir_all(folder).unwrap();
    fs::copy(installed(program), &new).unwrap();
    // Not written in place: it may be running.
    fs::rename(new, &copy).unwrap();
    copy
}

impl Software {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Nsd, Self::Knot, Self::Bind, Self::Unbound];

    fn program(self) -> &'static str {
        match self {
            Self::Nsd => "nsd",
            Self::Knot => "knotd",
            Self::Bind => "named",
            Self::Unbound => "unbound",
        }
    }

    fn foreground(self) -> &'static [&'static str] {
        match self {
            Self::Nsd => &["-d"],
            Self::Knot => &[],
            Self::Bind => &["-g"],
            Self::Unbound => &["-d", "-p"],
        }
    }

    /// Each allows responses of 4096 octets over UDP, so that it is seen whether the size in a query was
    /// lowered on the way, and gives the records of a set always in the same order.
    fn configuration(self, place: &Place<'_>) -> String {
        match self {
            Self::Nsd => place.nsd(),
            Self::Knot => place.knot(),
            Self::Bind => place.bind(),
            Self::Unbound => place.unbound(),
        }
    }
}

impl Place<'_> {
    fn each_zone(&self, text: impl Fn(&str) -> String) -> String {
        self.zones.iter().map(|zone| text(zone)).collect()
    }

    fn ips(&self) -> [String; 2] {
        self.addresses.map(|address| address.ip().to_string())
    }

    fn nsd(&self) -> String {
        let folder = self.folder.display();
        let [v4, v6] = self.addresses.map(|address| format!("{}@{}", address.ip(), address.port()));
        let zones = self.each_zone(|zone| format!("zone:\n name: {zone}\n zonefile: {folder}/{zone}\n"));
        // Full NAT makes one client of all: response rate limiting would mute the server.
        format!(
            r#"
server:
  ip-address: {v4}
  ip-address: {v6}
  rrl-ratelimit: 0
  ipv4-edns-size: 4096
  ipv6-edns-size: 4096
  identity: real-nsd
  version: nsd-in-a-test
  nsid: ascii_real-nsd
  server-count: 1
  username: ""
  chroot: ""
  zonesdir: {folder}
  xfrdir: {folder}
  zonelistfile: {folder}/zones.list
  database: ""
  xfrdfile: ""
  pidfile: ""
remote-control:
  control-enable: no
{zones}"#
        )
    }

    fn knot(&self) -> String {
        let (folder, [v4, v6]) = (self.folder.display(), self.ips());
        let zones = self.each_zone(|zone| format!("  - domain: {zone}\n    file: {folder}/{zone}\n"));
        format!(
            r#"
server:
  listen: [{v4}@53, "{v6}@53"]
  udp-max-payload: 4096
  identity: real-knot
  version: knot-in-a-test
  nsid: real-knot
  user: root:root
  rundir: {folder}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
log:
  - target: stderr
    any: info
database:
  storage: {folder}
template:
  - id: default
    journal-content: none
    zonefile-sync: -1
zone:
{zones}"#
        )
    }

    fn bind(&self) -> String {
        let (folder, [v4, v6]) = (self.folder.display(), self.ips());
        let zones = self
            .each_zone(|zone| format!("  zone \"{zone}\" {{ type primary; file \"{folder}/{zone}\"; }};\n"));
        // A view of our own for class CH, since the built-in one gives a client three responses a second.
        format!(
            r#"
options {{
  directory "{folder}";
  listen-on {{ {v4}; }};
  listen-on-v6 {{ {v6}; }};
  max-udp-size 4096;
  edns-udp-size 4096;
  rrset-order {{ order none; }};
  server-id "real-bind";
  version "bind-in-a-test";
  recursion no;
  dnssec-validation no;
  notify no;
  pid-file none;
  session-keyfile none;
}};
controls {{ }};
view "chaos" CH {{
  zone "version.bind" CH {{ type primary; database "_builtin version"; }};
  zone "id.server" CH {{ type primary; database "_builtin id"; }};
}};
view "zones" IN {{
{zones}}};
"#
        )
    }

    fn unbound(&self) -> String {
        let (folder, [v4, v6]) = (self.folder.display(), self.ips());
        let zones = self.each_zone(|zone| {
            let of_ours = "for-downstream: yes\n for-upstream: no";
            format!("auth-zone:\n name: {zone}\n zonefile: {folder}/{zone}\n {of_ours}\n")
        });
        format!(
            r#"
server:
  interface: {v4}
  interface: {v6}
  access-control: 0.0.0.0/0 allow
  access-control: ::/0 allow
  max-udp-size: 4096
  edns-buffer-size: 4096
  rrset-roundrobin: no
  identity: real-unbound
  version: unbound-in-a-test
  nsid: ascii_real-unbound
  module-config: iterator
  # By default, names below test do not exist; and there is nobody here to be asked about others.
  local-zone: test. nodefault
  local-zone: example.org. refuse
  num-threads: 1
  username: ""
  chroot: ""
  directory: {folder}
  do-daemonize: no
  use-syslog: no
  logfile: ""
remote-control:
  control-enable: no
{zones}"#
        )
    }
}
