//! dproxy's command line, as an operator types it, and its API, as a program uses it.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use dproxy_lab::Balancer;
use serde_json::Value;

use super::commands::{Ended, finish};

const PATIENCE: Duration = Duration::from_secs(20);

/// Somebody at a terminal. All that is typed and shown is printed.
pub struct Operator {
    binary: PathBuf,
    socket: PathBuf,
}

impl Operator {
    /// On a daemon, and on its successors.
    pub fn of(balancer: &Balancer) -> Self {
        Self { binary: balancer.binary().to_owned(), socket: balancer.socket().to_owned() }
    }

    /// The command line of `dproxy COMMAND`.
    pub fn command(&self, command: &str) -> Command {
        let mut line = Command::new(&self.binary);
        line.arg("--socket").arg(&self.socket).args(command.split(' '));
        line
    }

    /// Types `dproxy COMMAND`.
    pub fn types(&self, command: &str) -> Ended {
        shown(command, finish(&mut self.command(command), PATIENCE))
    }

    /// Types a command that must succeed; what it printed.
    pub fn does(&self, command: &str) -> String {
        let Ended { code, output, error } = self.types(command);
        assert_eq!((code, error.as_str()), (Some(0), ""), "`dproxy {command}` has to succeed");
        output
    }

    /// Types a command that must be refused with one clear error; the error.
    pub fn is_refused(&self, command: &str, expected: &str) -> String {
        let ended = self.types(command);
        ended.assert_one_error(command, expected);
        ended.error
    }

    /// What the API has at a path.
    pub fn get(&self, path: &str) -> String {
        let mut stream = UnixStream::connect(&self.socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        let body = response.split_once("\r\n\r\n").filter(|(head, _)| head.contains(" 200 OK"));
        body.unwrap_or_else(|| panic!("{path}: {response}")).1.to_owned()
    }

    /// The configuration in force.
    pub fn configuration(&self) -> String {
        self.get("/v1/configuration")
    }

    /// The status.
    pub fn status(&self) -> Value {
        serde_json::from_str(&self.get("/v1/status")).unwrap()
    }

    /// The generation in force.
    pub fn generation(&self) -> u64 {
        self.status()["generation"].as_u64().unwrap()
    }
}

/// Prints a command and what it said, as it is seen on a terminal.
pub fn shown(command: &str, ended: Ended) -> Ended {
    let indented = |text: &str| text.lines().map(|line| format!("  {line}\n")).collect::<String>();
    let status = if ended.code == Some(0) { String::new() } else { format!("  [status {:?}]\n", ended.code) };
    print!("$ dproxy {command}\n{}{}{status}", indented(&ended.output), indented(&ended.error));
    ended
}
