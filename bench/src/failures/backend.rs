//! A backend that fails as it is told to.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};
use dproxy_lab::{HOST_INTERFACE, Namespace, run};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::server::Manner;

/// A server process, and the host that it is on.
#[derive(Debug)]
pub struct Backend<'a> {
    /// The host.
    pub namespace: &'a Namespace,
    /// Where it serves.
    address: SocketAddr,
    process: Option<Process>,
    /// What a host whose link was down has lost.
    gateway: SocketAddr,
}

#[derive(Debug)]
struct Process {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl<'a> Backend<'a> {
    /// Starts it; when this returns, it answers. `gateway` is its host's.
    pub fn start(namespace: &'a Namespace, address: SocketAddr, gateway: SocketAddr) -> Result<Self> {
        let process = Some(Process::start(namespace, address)?);
        Ok(Self { namespace, address, process, gateway })
    }

    /// Tells it what to do.
    pub fn set(&mut self, manner: Manner) -> Result<()> {
        self.order(manner.word())
    }

    /// Tells it the serial of its zone.
    pub fn set_serial(&mut self, serial: u32) -> Result<()> {
        self.order(&format!("serial {serial}"))
    }

    fn order(&mut self, order: &str) -> Result<()> {
        self.process.as_mut().context("it was killed")?.order(order)
    }

    /// Kills it, as the kernel does when memory runs out.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again.
    pub fn restart(&mut self) -> Result<()> {
        self.process = Some(Process::start(self.namespace, self.address)?);
        Ok(())
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let process = self.process.as_ref().context("it was killed")?;
        Ok(kill(Pid::from_raw(process.child.id().try_into()?), signal)?)
    }

    /// Takes its host's link down, or brings it back.
    pub fn set_link(&self, up: bool) -> Result<()> {
        if !up {
            return self.namespace.ip(&format!("link set {HOST_INTERFACE} down"));
        }
        self.namespace.ip(&format!("link set {HOST_INTERFACE} up"))?;
        // It went with the link.
        self.namespace.add_default_route(self.gateway.ip())
    }

    /// Lets its host's firewall drop its replies, or pass them again.
    pub fn set_firewall(&self, drops: bool) -> Result<()> {
        let rules = if drops {
            "add table inet failure
             add chain inet failure out { type filter hook output priority 0; }
             add rule inet failure out udp sport 53 drop
             add rule inet failure out tcp sport 53 drop"
        } else {
            "delete table inet failure"
        };
        run(self.namespace.command("nft").arg(rules))
    }
}

impl Process {
    fn start(namespace: &Namespace, address: SocketAddr) -> Result<Self> {
        let mut command: Command =
            namespace.command(env::current_exe().context("find this program's own file")?);
        command.arg("--serve").arg(address.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("start a server")?;
        let (orders, answers) =
            child.stdin.take().zip(child.stdout.take()).context("a server has no pipes")?;
        let mut process = Self { child, orders, answers: BufReader::new(answers) };
        process.wait()?;
        Ok(process)
    }

    fn order(&mut self, order: &str) -> Result<()> {
        writeln!(self.orders, "{order}").context("tell a server what to do")?;
        self.wait().with_context(|| format!("a server that was told `{order}`"))
    }

    fn wait(&mut self) -> Result<()> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        ensure!(line == "ok\n", "a server says {line:?}");
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already, and its number is ours until we wait.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
