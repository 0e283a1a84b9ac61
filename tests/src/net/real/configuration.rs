//! How the servers are configured.

use std::net::SocketAddr;
use std::path::Path;

use super::Software;

/// What a configuration depends on.
pub(super) struct Place<'a> {
    pub(super) folder: &'a Path,
    pub(super) addresses: [SocketAddr; 2],
    pub(super) zones: &'a [&'a str],
}

impl Software {
    /// Each allows responses of 4096 octets over UDP, so that it is seen whether the size in a query was
    /// lowered on the way, gives the records of a set always in the same order, and lets everybody transfer
    /// zones, and update them if it can.
    pub(super) fn configuration(self, place: &Place<'_>) -> String {
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

    /// Addresses and ports, with this between them.
    fn listen(&self, separator: &str) -> [String; 2] {
        self.addresses.map(|address| format!("{}{separator}{}", address.ip(), address.port()))
    }

    fn nsd(&self) -> String {
        let (folder, [v4, v6]) = (self.folder.display(), self.listen("@"));
        let transfers = "provide-xfr: 0.0.0.0/0 NOKEY\n provide-xfr: ::/0 NOKEY";
        let zones = self
            .each_zone(|zone| format!("zone:\n name: {zone}\n zonefile: {folder}/{zone}\n {transfers}\n"));
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
        let (folder, [v4, v6]) = (self.folder.display(), self.listen("@"));
        let zones = self.each_zone(|zone| format!("  - domain: {zone}\n    file: {folder}/{zone}\n"));
        format!(
            r#"
server:
  listen: [{v4}, "{v6}"]
  udp-max-payload: 4096
  identity: real-knot
  version: knot-in-a-test
  nsid: real-knot
  user: root:root
  rundir: {folder}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
  # A client may read slowly.
  tcp-io-timeout: 0
acl:
  - id: everybody
    address: [0.0.0.0/0, "::/0"]
    action: [transfer, update, notify]
log:
  - target: stderr
    any: info
database:
  storage: {folder}
template:
  - id: default
    journal-content: changes
    zonefile-sync: -1
    acl: everybody
zone:
{zones}"#
        )
    }

    fn bind(&self) -> String {
        let folder = self.folder.display();
        let [v4, v6] =
            self.addresses.map(|address| format!("port {} {{ {}; }}", address.port(), address.ip()));
        let everybody = "allow-update { any; }; allow-transfer { any; };";
        let zones = self.each_zone(|zone| {
            format!("  zone \"{zone}\" {{ type primary; file \"{folder}/{zone}\"; {everybody} }};\n")
        });
        // A view of our own for class CH, since the built-in one gives a client three responses a second.
        format!(
            r#"
options {{
  directory "{folder}";
  listen-on {v4};
  listen-on-v6 {v6};
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
        let (folder, [v4, v6]) = (self.folder.display(), self.listen("@"));
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
