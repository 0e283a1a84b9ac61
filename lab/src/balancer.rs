//! dproxy itself, inside the balancer's namespace.

use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};
use std::{env, io};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use nix::unistd::Pid;
use serde_json::Value;

use crate::{Namespace, Topology};

/// Loading and verifying the program takes a second or two on a slow machine.
const START: Duration = Duration::from_secs(20);
const STOP: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(20);
const LOG_LINES: usize = 20;

/// A running `dproxy run`; stopped on drop.
#[derive(Debug)]
pub struct Balancer {
    process: Child,
    binary: PathBuf,
    config: PathBuf,
    socket: PathBuf,
    log: PathBuf,
}

/// The `dproxy` that was built together with the running program: its sibling.
pub fn default_binary() -> Result<PathBuf> {
    let own = env::current_exe().context("find this program's own file")?;
    let folder = own.parent().unwrap_or(Path::new("/"));
    // Test programs are in `deps/` below it.
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    Ok(folder.join("dproxy"))
}

/// Fails if there is no program at `binary`, and says how to get it.
pub fn require_binary(binary: &Path) -> Result<()> {
    let shown = binary.display();
    ensure!(
        binary.is_file(),
        "there is no dproxy at {shown}: build it with `cargo build -p dproxy-userspace`"
    );
    Ok(())
}

impl Balancer {
    /// Starts `binary` with the configuration `config` (the text), and waits until it answers on
    /// its socket. Configuration, socket and log are in the topology's folder.
    pub fn start(topology: &Topology, binary: &Path, config: &str) -> Result<Self> {
        Self::start_in(&topology.balancer, topology.instance().folder(), binary, config)
    }

    /// The same for any namespace; configuration, state, socket and log are in `folder`. What was in force there
    /// before is forgotten.
    pub fn start_in(namespace: &Namespace, folder: &Path, binary: &Path, config: &str) -> Result<Self> {
        let state = folder.join("state");
        if state.exists() {
            fs::remove_dir_all(&state).with_context(|| format!("remove {}", state.display()))?;
        }
        fs::write(folder.join("dproxy.toml"), config).context("write the configuration")?;
        Self::go_on_in(namespace, folder, binary)
    }

    /// Starts `binary` where another one has ended, or was killed: it goes on with what was in force.
    pub fn go_on(topology: &Topology, binary: &Path) -> Result<Self> {
        Self::go_on_in(&topology.balancer, topology.instance().folder(), binary)
    }

    /// The same with other arguments behind `dproxy run`.
    pub fn go_on_with(topology: &Topology, binary: &Path, arguments: &[&str]) -> Result<Self> {
        Self::run(&topology.balancer, topology.instance().folder(), binary, arguments)
    }

    /// The same for any namespace and folder.
    pub fn go_on_in(namespace: &Namespace, folder: &Path, binary: &Path) -> Result<Self> {
        Self::run(namespace, folder, binary, &[])
    }

    fn run(namespace: &Namespace, folder: &Path, binary: &Path, arguments: &[&str]) -> Result<Self> {
        require_binary(binary)?;
        let file = |name: &str| folder.join(name);
        let (config_file, socket, log) = (file("dproxy.toml"), file("dproxy.sock"), file("dproxy.log"));
        let output = File::create(&log).with_context(|| format!("create {}", log.display()))?;

        let mut command = namespace.command(binary);
        command.arg("run").arg("--config").arg(&config_file).arg("--socket").arg(&socket);
        command.arg("--state").arg(file("state")).args(arguments);
        // Its own process group: Ctrl-C is for us, and we end it when its time has come.
        command.stdout(output.try_clone()?).stderr(output).process_group(0);
        let process = command.spawn().with_context(|| format!("start {}", binary.display()))?;
        let binary = binary.to_owned();
        let mut balancer = Self { process, binary, config: config_file, socket, log };
        balancer.wait_until_it_answers()?;
        Ok(balancer)
    }

    /// The unix socket on which it answers.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The configuration file that it was started with.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// The program that runs.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Runs the command line tool on its socket, `--json` added, and returns what it printed.
    pub fn cli(&self, arguments: &[&str]) -> Result<Value> {
        let mut command = Command::new(&self.binary);
        command.arg("--socket").arg(&self.socket).args(arguments).arg("--json");
        let shown = format!("dproxy {} --json", arguments.join(" "));
        let output = command.output().with_context(|| format!("run `{shown}`"))?;
        if !output.status.success() {
            bail!("`{shown}` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        serde_json::from_slice(&output.stdout).with_context(|| format!("read what `{shown}` printed"))
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.process.try_wait()
    }

    /// Ends it as `kill -9` does.
    pub fn kill(mut self) -> Result<()> {
        self.process.kill().context("kill dproxy")?;
        self.process.wait().context("wait for dproxy")?;
        Ok(())
    }

    /// The last lines of its log.
    pub fn log_tail(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }

    fn wait_until_it_answers(&mut self) -> Result<()> {
        let start = Instant::now();
        let mut last_error = None;
        while start.elapsed() < START {
            if let Some(status) = self.ended()? {
                bail!("dproxy ended at once ({status}); the end of its log:\n{}", self.log_tail());
            }
            if self.owns_socket() {
                match self.cli(&["status"]) {
                    Ok(_) => return Ok(()),
                    Err(error) => last_error = Some(error),
                }
            }
            sleep(POLL);
        }
        let reason = last_error.map_or_else(|| "its socket is not there".to_owned(), |e| format!("{e:#}"));
        bail!("dproxy did not answer within {START:?}: {reason}; the end of its log:\n{}", self.log_tail())
    }

    /// Whether it is this process that listens on the socket, and not another before it.
    fn owns_socket(&self) -> bool {
        let stream = UnixStream::connect(&self.socket);
        let peer = stream.ok().and_then(|stream| getsockopt(&stream, PeerCredentials).ok());
        peer.is_some_and(|peer| u32::try_from(peer.pid()) == Ok(self.pid()))
    }

    /// Asks it to end and to detach, and makes it end if it does not.
    fn stop(&mut self) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.process.id())?);
        let start = Instant::now();
        if self.ended()?.is_none() {
            kill(pid, Signal::SIGINT)?;
        }
        while self.ended()?.is_none() {
            if start.elapsed() > STOP {
                self.process.kill()?;
                self.process.wait()?;
                bail!("dproxy did not stop within {STOP:?} and was killed");
            }
            sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("{error:#}");
        }
    }
}
