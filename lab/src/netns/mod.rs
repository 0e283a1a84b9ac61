//! Named network namespaces, as `ip netns` has them, so that a user can type
//! `ip netns exec dproxy-client dig …`.
//!
//! We ourselves enter with setns(2), and only the network namespace: `ip netns exec` also makes a new
//! mount namespace with its own /sys, and whatever is pinned to a bpffs there is gone when it ends.

mod links;
mod remove;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::{CommandExt, parent_id};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::{Command, id};
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, setns};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, Signal};

/// A network namespace of ours. It is deleted on drop, with the processes that still live in it.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    handle: NamespaceHandle,
}

/// Keeps a network namespace open; cheap to clone, and free to move to another thread.
#[derive(Debug, Clone)]
pub struct NamespaceHandle(Arc<File>);

impl Namespace {
    /// Creates the namespace `name`, with its loopback interface up.
    pub fn create(name: &str) -> Result<Self> {
        run(Command::new("ip").args(["netns", "add", name]))?;
        let file = File::open(path(name)).inspect_err(|_| remove::or_complain(name));
        let file = file.with_context(|| format!("open network namespace {name}"))?;
        let namespace = Self { name: name.to_owned(), handle: NamespaceHandle(Arc::new(file)) };
        namespace.ip("link set lo up")?;
        Ok(namespace)
    }

    /// Removes the namespace `name`, if there is one, and kills the processes that live in it.
    pub fn remove(name: &str) -> Result<()> {
        remove::remove(name)
    }

    /// The name that `ip netns list` shows.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A way into this namespace that can be kept and moved to another thread.
    pub fn handle(&self) -> NamespaceHandle {
        self.handle.clone()
    }

    /// Runs `work` inside the namespace, on a thread of its own. A socket made there stays in the
    /// namespace wherever it is used later.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let entered = thread::scope(|scope| {
            let inside = scope.spawn(|| self.handle.join().map(|()| work()));
            inside.join().unwrap_or_else(|panic| resume_unwind(panic))
        });
        entered.with_context(|| format!("enter network namespace {}", self.name))
    }

    /// A command that will run inside the namespace and die with the *thread* that starts it (so
    /// not to be started inside [`enter`](Self::enter), unless it also ends there).
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let handle = self.handle();
        let parent = id();
        let mut command = Command::new(program);
        // SAFETY: between fork and exec only system calls are made: nothing is allocated or locked.
        unsafe {
            command.pre_exec(move || {
                handle.join()?;
                // Signals that we have blocked for ourselves must reach the child.
                SigSet::empty().thread_set_mask()?;
                set_pdeathsig(Signal::SIGKILL)?;
                // Our parent may have died before the line above.
                if parent_id() == parent { Ok(()) } else { Err(io::ErrorKind::Interrupted.into()) }
            });
        }
        command
    }

    /// Sets kernel parameters of this namespace: `("net/ipv4/ip_forward", "1")`.
    pub fn set_parameters(&self, parameters: &[(&str, &str)]) -> Result<()> {
        self.enter(|| {
            for (key, value) in parameters {
                let file = Path::new("/proc/sys").join(key);
                fs::write(&file, value).with_context(|| format!("write {value} to {}", file.display()))?;
            }
            Ok(())
        })?
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        remove::or_complain(&self.name);
    }
}

impl NamespaceHandle {
    /// Moves the calling thread into the namespace, for good.
    pub fn join(&self) -> io::Result<()> {
        Ok(setns(&self.0, CloneFlags::CLONE_NEWNET)?)
    }
}

/// Where `ip netns` keeps the namespace `name`.
fn path(name: &str) -> PathBuf {
    Path::new("/run/netns").join(name)
}

/// Runs a command to its end in silence; the error holds the command and what it said.
pub fn run(command: &mut Command) -> Result<()> {
    let shown = show(command);
    let output = match command.output() {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!("`{shown}` cannot run: install iproute2 and ethtool")
        }
        Err(error) => return Err(error).with_context(|| format!("run `{shown}`")),
    };
    if output.status.success() {
        return Ok(());
    }
    bail!("`{shown}` failed: {}", String::from_utf8_lossy(&output.stderr).trim())
}

/// The command as one would type it.
fn show(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
