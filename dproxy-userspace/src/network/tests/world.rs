//! Two network namespaces of a test's own: `here`, with an observer in it, and `there`, full of neighbours.

use std::fs::{self, File};
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::panic::resume_unwind;
use std::process::{self, Command};
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::geteuid;
use tokio::time::{sleep, timeout};

use super::super::{Bypass, Observer, Resolution, View};

/// Longer than the kernel takes for anything that a test waits for.
const PATIENCE: Duration = Duration::from_secs(15);

/// Two links: `eth1` here with `peer1` there, `eth2` with `peer2`. On link *n* the addresses are
/// 10.0.*n*.1/24 and fd0*n*::1/64 here, and 10.0.*n*.2 and fd0*n*::2 there; the MAC addresses are
/// 02:00:00:00:0*n*:01 and 02:00:00:00:0*n*:02.
pub struct World {
    pub observer: Observer,
    here: File,
    there: File,
}

/// Runs a test in a world, on a thread of its own.
pub fn live(name: &str, test: impl AsyncFnOnce(&mut World) + Send + 'static) {
    if !geteuid().is_root() {
        println!("skipped: {name}: only root can create network namespaces");
        return;
    }
    let body = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut world = World::create();
            test(&mut world).await;
        });
    };
    thread::spawn(body).join().unwrap_or_else(|panic| resume_unwind(panic));
}

impl World {
    /// Moves the calling thread into the new namespace `here`.
    fn create() -> Self {
        let [there, here] = [new_namespace(), new_namespace()];
        for namespace in [&here, &there] {
            inside(namespace, || {
                ip("link set lo up");
                // Or link-local addresses are of no use in their first seconds.
                set("net/ipv6/conf/default/accept_dad", "0");
                // To announce a new MAC address, as virtual machines do when they have moved.
                set("net/ipv4/conf/default/arp_notify", "1");
                set("net/ipv6/conf/default/ndisc_notify", "1");
            });
        }
        for n in [1, 2] {
            let other = format!("/proc/{}/fd/{}", process::id(), there.as_raw_fd());
            ip(&format!("link add eth{n} type veth peer name peer{n} netns {other}"));
            configure(&here, &format!("eth{n}"), n, 1);
            configure(&there, &format!("peer{n}"), n, 2);
        }
        let observer = Observer::start().unwrap();
        Self { observer, here, there }
    }

    /// Runs `ip` here.
    pub fn here(&self, arguments: &str) {
        inside(&self.here, || ip(arguments));
    }

    /// Runs `ip` there.
    pub fn there(&self, arguments: &str) {
        inside(&self.there, || ip(arguments));
    }

    /// What `ip` prints here.
    pub fn shown(&self, arguments: &str) -> String {
        inside(&self.here, || ip(arguments))
    }

    /// Sets a kernel parameter here.
    pub fn set(&self, parameter: &str, value: &str) {
        inside(&self.here, || set(parameter, value));
    }

    /// The index of an interface here.
    pub fn index(&self, name: &str) -> u32 {
        inside(&self.here, || nix::net::if_::if_nametoindex(name).unwrap())
    }

    /// How an address is reached by a fast path on `eth1`.
    pub async fn resolve(&self, address: &str) -> Resolution {
        self.resolve_by(address, &["eth1"]).await
    }

    /// How an address is reached by a fast path on these interfaces.
    pub async fn resolve_by(&self, address: &str, interfaces: &[&str]) -> Resolution {
        let attached: Vec<u32> = interfaces.iter().map(|name| self.index(name)).collect();
        let address: IpAddr = address.parse().unwrap();
        let View { resolutions, .. } = self.observer.resolve(&[address], &attached).await.unwrap();
        assert_eq!(resolutions.keys().collect::<Vec<_>>(), [&address]);
        resolutions[&address].clone()
    }

    /// Where packets leave past a fast path on `eth1`, as far as it matters for an address.
    pub async fn bypass(&self, address: &str) -> Bypass {
        let attached = [self.index("eth1")];
        self.observer.resolve(&[address.parse().unwrap()], &attached).await.unwrap().bypass
    }

    /// Waits until the resolution is as expected, as [`show`] shows it.
    pub async fn until(&self, address: &str, expected: &str) {
        self.until_by(address, &["eth1"], expected).await;
    }

    /// The same, with a fast path on these interfaces.
    pub async fn until_by(&self, address: &str, interfaces: &[&str], expected: &str) {
        let mut last = String::new();
        let arrival = async {
            while last != expected {
                sleep(Duration::from_millis(10)).await;
                last = show(&self.resolve_by(address, interfaces).await);
            }
        };
        let arrived = timeout(PATIENCE, arrival).await;
        assert!(arrived.is_ok(), "{address} is still: {last}\ninstead of: {expected}");
    }

    /// Waits for a report of changes.
    pub async fn changed(&mut self) {
        timeout(PATIENCE, self.observer.changed()).await.expect("a report of changes");
    }

    /// Waits until there is nothing new to report.
    pub async fn quiet(&mut self) {
        while timeout(Duration::from_millis(300), self.observer.changed()).await.is_ok() {}
    }
}

/// A resolution in one line: "10.0.1.1 [01:01] to [01:02]" with the last two octets of the MAC addresses,
/// or why there is none.
pub fn show(resolution: &Resolution) -> String {
    match resolution {
        Resolution::Reachable(hop) => {
            let [from, to] = [hop.macs.source(), hop.macs.destination()].map(|mac| {
                let [.., a, b] = mac.octets();
                format!("[{a:02x}:{b:02x}]")
            });
            format!("{:?} {from} to {to}", hop.source)
        }
        Resolution::Unreachable(why) => why.to_string(),
    }
}

fn new_namespace() -> File {
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    File::open("/proc/thread-self/ns/net").unwrap()
}

fn configure(namespace: &File, name: &str, link: u8, host: u8) {
    inside(namespace, || {
        ip(&format!("link set {name} address 02:00:00:00:0{link}:0{host} up"));
        ip(&format!("addr add 10.0.{link}.{host}/24 dev {name}"));
        ip(&format!("addr add fd0{link}::{host}/64 dev {name} nodad"));
    });
}

/// Does some work inside a namespace.
fn inside<T: Send>(namespace: &File, work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
            work()
        });
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn set(parameter: &str, value: &str) {
    fs::write(format!("/proc/sys/{parameter}"), value).unwrap();
}
