//! Other programs, and what the kernel tells.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use dproxy_lab::Namespace;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, setgid, setgroups, setuid};

use super::wait_for;

/// How a program ended, and what it said.
#[derive(Debug)]
pub struct Ended {
    /// Exit status; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub output: String,
    /// Standard error.
    pub error: String,
}

impl Ended {
    /// A failure as all of dproxy's are to be: status 1 and, on standard error, one message that says what
    /// is wrong, for people. `title` is for our own message.
    pub fn assert_one_error(&self, title: &str, expected: &str) {
        let Self { code, output, error } = self;
        assert_eq!(*code, Some(1), "{title}: exit status; it says: {error}");
        assert_eq!(output, "", "{title}: errors go to standard error");
        assert_eq!(error.matches(expected).count(), 1, "{title}: it has to say once `{expected}`: {error}");
        let is_message = |line: &&str| line.starts_with("dproxy: ") || line.contains("; nothing was changed");
        assert_eq!(error.lines().filter(is_message).count(), 1, "{title}: one error: {error}");
        for dump in ["panicked", "BACKTRACE", "backtrace", "Error {", "Error(", "Os {", "Err(", "Some("] {
            assert!(!error.contains(dump), "{title}: a dump of Rust's: {error}");
        }
    }
}

/// Runs a command to its end, which must come within `limit`.
pub fn finish(command: &mut Command, limit: Duration) -> Ended {
    let shown = format!("{command:?}");
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = Killed(child.unwrap_or_else(|error| panic!("start {shown}: {error}")));
    let status = wait_for(&format!("the end of {shown}"), limit, || child.0.try_wait().unwrap());
    let read = |pipe: Option<&mut dyn std::io::Read>| {
        let mut octets = Vec::new();
        pipe.unwrap().read_to_end(&mut octets).unwrap();
        String::from_utf8_lossy(&octets).into_owned()
    };
    let output = read(child.0.stdout.as_mut().map(|pipe| pipe as _));
    let error = read(child.0.stderr.as_mut().map(|pipe| pipe as _));
    Ended { code: status.code(), output, error }
}

/// A child that does not outlive us.
pub(super) struct Killed(pub Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends a signal to a process that somebody waits for.
pub fn end(process: u32, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(process).unwrap()), signal).unwrap();
}

/// Where a program is. Debian's servers are in sbin, which not every PATH has.
pub fn installed(program: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    let mut files = folders.map(|folder| folder.join(program)).filter(|file| file.is_file());
    files.next().unwrap_or_else(|| panic!("{program} is missing; `cargo xtask setup` installs it"))
}

/// The XDP programs of a namespace, by interface: mode and id, as `ip link` shows them.
pub fn xdp_programs(namespace: &Namespace) -> BTreeMap<String, (&'static str, u32)> {
    let listed = namespace.command("ip").args(["-o", "-d", "link"]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let program = |line: &str| {
        // `3: eth0@if2: <UP> mtu 1500 xdp qdisc … prog/xdp id 17 …`
        let id = line.split_once("prog/xdp id ")?.1.split_whitespace().next()?.parse().ok()?;
        let name = line.split([':', '@']).nth(1)?.trim().to_owned();
        let mode = line.split_whitespace().find_map(|word| match word {
            "xdp" => Some("native"),
            "xdpgeneric" => Some("generic"),
            _ => None,
        });
        Some((name, (mode?, id)))
    };
    listed.lines().filter_map(program).collect()
}

/// The sum of the kernel's counters of a namespace, of IPv4 and IPv6, whose names end with `suffix`.
pub fn kernel_counter(namespace: &Namespace, suffix: &str) -> u64 {
    namespace.enter(|| kernel_counter_here(suffix)).unwrap()
}

/// The same in the namespace that this thread is in.
pub(super) fn kernel_counter_here(suffix: &str) -> u64 {
    let read = |file: &str| {
        // Not `/proc/net`: that is the main thread's.
        let path = format!("/proc/thread-self/net/{file}");
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("read {path}: {error}"))
    };
    let (v4, v6) = (read("snmp"), read("snmp6"));
    // Two lines to a group, `Udp: InDatagrams …` and `Udp: 17 …`; over IPv6 one to a counter.
    let lines: Vec<&str> = v4.lines().collect();
    let v4 = lines.chunks(2).flat_map(|group| group[0].split_whitespace().zip(group[1].split_whitespace()));
    let v6 = v6.lines().filter_map(|line| line.split_once(char::is_whitespace));
    let counters: Vec<(&str, &str)> = v4.chain(v6).filter(|(name, _)| name.ends_with(suffix)).collect();
    assert!(counters.len() >= 2, "the kernel has no counters named {suffix}");
    counters.iter().map(|(_, packets)| packets.trim().parse::<u64>().unwrap()).sum()
}

/// Lets a command be one of the user nobody's, without any rights. Its program is `/proc/self/fd/…` of an open file:
/// the way to that may be closed to nobody.
pub fn become_nobody(command: &mut Command, binary: &File) {
    let nobody = User::from_name("nobody").unwrap().unwrap();
    let descriptor = binary.as_raw_fd();
    let give_up = move || {
        // The program is this descriptor: it has to survive until then.
        // SAFETY: the parent holds it open until the child has ended.
        let program = unsafe { BorrowedFd::borrow_raw(descriptor) };
        fcntl(program, FcntlArg::F_SETFD(FdFlag::empty()))?;
        setgroups(&[])?;
        setgid(nobody.gid)?;
        Ok(setuid(nobody.uid)?)
    };
    // SAFETY: between fork and exec only system calls are made: nothing is allocated or locked.
    unsafe { command.pre_exec(give_up) };
}

/// Waits for the end of a process that somebody else started.
pub(super) fn wait(child: &mut Child, limit: Duration) -> ExitStatus {
    wait_for("a child to end", limit, || child.try_wait().unwrap())
}
