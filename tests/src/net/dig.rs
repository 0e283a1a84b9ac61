//! dig and kdig, whose output can be compared.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use dproxy_lab::Namespace;

use super::commands::installed;

/// dig or kdig, in a namespace.
pub struct Tool<'a> {
    namespace: &'a Namespace,
    program: PathBuf,
    options: &'static str,
}

impl fmt::Debug for Tool<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.program.display(), self.options)
    }
}

impl<'a> Tool<'a> {
    /// dig, over UDP alone, with EDNS but without cookies.
    pub fn dig(namespace: &'a Namespace) -> Self {
        Self::dig_with(namespace, "+tries=1 +time=3 +notcp +ignore +nocookie +noednsnegotiation")
    }

    /// dig with other options.
    pub fn dig_with(namespace: &'a Namespace, options: &'static str) -> Self {
        Self { namespace, program: installed("dig"), options }
    }

    /// kdig, over UDP alone, with EDNS.
    pub fn kdig(namespace: &'a Namespace) -> Self {
        Self { namespace, program: installed("kdig"), options: "+retry=0 +timeout=3 +ignore +edns +noidn" }
    }

    /// What the tool prints, without what differs from one asking to the next.
    pub fn ask(&self, server: SocketAddr, question: &str) -> String {
        let mut command = self.namespace.command(&self.program);
        // The server is named last: an IPv6 address with a port is two things to both tools.
        let (ip, port): (IpAddr, _) = (server.ip(), server.port().to_string());
        command.args(self.options.split(' ')).args(["-p", &port, &format!("@{ip}")]);
        let output = command.args(question.split(' ')).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{command:?} failed: {text}");
        normalised(&text)
    }
}

/// Without ID, time, addresses and the server's part of a cookie; the records of a section in order.
fn normalised(text: &str) -> String {
    const CHANGING: [&str; 7] =
        ["; <<>>", ";; Query time", ";; SERVER", ";; WHEN", ";; From", ";; Time", ";; global"];
    let kept = text.lines().filter(|line| !CHANGING.iter().any(|change| line.starts_with(change)));
    let mut lines: Vec<String> = kept.map(|line| without_cookie(&without_id(line)).to_owned()).collect();
    for section in lines.split_mut(|line| line.is_empty() || line.starts_with(';')) {
        section.sort_unstable();
    }
    lines.join("\n")
}

fn without_id(line: &str) -> String {
    let digit = |c: char| c.is_ascii_digit();
    match line.split_once("id: ") {
        Some((before, after)) => format!("{before}id: *{}", after.trim_start_matches(digit)),
        None => line.to_owned(),
    }
}

/// The client's part, 8 octets, has to come back (RFC 7873 §4). The server's depends on time and client.
fn without_cookie(line: &str) -> &str {
    const MARK: &str = "COOKIE: ";
    line.find(MARK).and_then(|start| line.get(..start + MARK.len() + 16)).unwrap_or(line)
}
