//! Removal of a namespace, also one that a killed process left behind.

use std::fs::{self, File};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, id};
use std::{io, ptr};

use anyhow::{Context, Result};

use super::{path, run};

/// Removes the namespace `name`, if there is one, and kills the processes that live in it: as long
/// as one does, so do the namespace's interfaces.
pub(super) fn remove(name: &str) -> Result<()> {
    let path = path(name);
    if !path.exists() {
        return Ok(());
    }
    kill_inhabitants(&path).with_context(|| format!("end the processes in network namespace {name}"))?;
    run(Command::new("ip").args(["netns", "delete", name]))
}

/// [`remove`] for where nobody can be told but the user.
pub(super) fn or_complain(name: &str) {
    if let Err(error) = remove(name) {
        eprintln!("network namespace {name} is left behind: {error:#}");
    }
}

fn kill_inhabitants(namespace: &Path) -> io::Result<()> {
    let namespace = identity(namespace)?;
    // `ip netns attach` can give a name to the namespace of the whole machine, in which we live too.
    if namespace == identity(Path::new("/proc/self/ns/net"))? {
        return Ok(());
    }
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if pid == id() {
            continue;
        }
        // Opened before the look at its namespace: the number cannot come to mean another process.
        let Ok(process) = open_process(pid) else { continue };
        // No answer means that it has ended by itself.
        if identity(Path::new(&format!("/proc/{pid}/ns/net"))).is_ok_and(|its| its == namespace) {
            kill(&process)?;
        }
    }
    Ok(())
}

/// What tells one namespace from another (ioctl_ns(2)).
fn identity(namespace: &Path) -> io::Result<(u64, u64)> {
    let metadata = File::open(namespace)?.metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}

fn open_process(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open(pid, flags) touches no memory of ours.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

fn kill(process: &OwnedFd) -> io::Result<()> {
    let no_details = ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is open, and null stands for "as kill(2) would".
    let sent = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), libc::SIGKILL, no_details, 0)
    };
    if sent == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
