//! Namespaces that a test has for itself.

use std::fs::File;
use std::io::Write;
use std::process::Command;

use nix::mount::MsFlags;
use nix::sched::{CloneFlags, setns, unshare};

/// Where tests keep their pins.
pub const BPFFS: &str = "/sys/fs/bpf/dproxy";

/// A network and a mount namespace of this thread alone: they, and all that is in them, end with it.
/// Processes that the thread starts are in them too.
pub struct World {
    network: File,
}

impl World {
    /// Enters them; without the right to, says so and returns nothing.
    pub fn enter() -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            skip("loading a program needs root");
            return None;
        }
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).unwrap();
        let none = None::<&str>;
        nix::mount::mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
        mount("bpf", "/sys/fs/bpf");
        ip("link set lo up");
        Some(Self { network: this_network() })
    }

    /// Adds a veth `name` here; its other end, `peer`, is in the network that is returned. Both are up.
    pub fn veth(&self, name: &str, peer: &str) -> File {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        let far = this_network();
        self.within(&self.network, || {
            let network =
                format!("/proc/{}/fd/{}", std::process::id(), std::os::fd::AsRawFd::as_raw_fd(&far));
            ip(&format!("link add {name} type veth peer name {peer}"));
            ip(&format!("link set {peer} netns {network}"));
            ip(&format!("link set {name} up"));
        });
        ip(&format!("link set {peer} up"));
        setns(&self.network, CloneFlags::CLONE_NEWNET).unwrap();
        far
    }

    /// Does something in another network. Sockets made there stay there.
    pub fn within<T>(&self, network: &File, action: impl FnOnce() -> T) -> T {
        let here = this_network();
        setns(network, CloneFlags::CLONE_NEWNET).unwrap();
        let result = action();
        setns(&here, CloneFlags::CLONE_NEWNET).unwrap();
        result
    }
}

/// Says that this test is skipped, and why, to people and to `cargo xtask test`.
fn skip(reason: &str) {
    let line = format!("skipped: {} : {reason}\n", std::thread::current().name().unwrap_or("a test"));
    print!("{line}");
    if let Some(log) = std::env::var_os("DPROXY_SKIP_LOG") {
        let log = File::options().append(true).create(true).open(log);
        log.and_then(|mut log| log.write_all(line.as_bytes())).unwrap();
    }
}

/// Mounts a new file system.
pub fn mount(kind: &str, path: &str) {
    nix::mount::mount(Some(kind), path, Some(kind), MsFlags::empty(), None::<&str>).unwrap();
}

fn this_network() -> File {
    File::open("/proc/thread-self/ns/net").unwrap()
}

/// Runs ip(8).
pub fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}
