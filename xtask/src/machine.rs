//! What this machine has, and who we are on it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::shell;

/// Whether we are root.
pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Whether a program is there, for root: servers are in folders that a user's `PATH` need not name.
pub fn has_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(|folder| Path::new(folder).to_path_buf());
    std::env::split_paths(&path).chain(usual).any(|folder| is_executable(&folder.join(name)))
}

fn is_executable(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// Where dproxy pins its maps, programs and links.
const BPFFS: &str = "/sys/fs/bpf";

/// Mounts the BPF file system, which distributions without systemd leave to whoever needs it.
/// Without root this does nothing: whoever then needs it says so.
pub fn mount_bpffs() -> Result<()> {
    let mounts = fs::read_to_string("/proc/self/mounts").context("cannot read /proc/self/mounts")?;
    if is_root() && !has_bpffs(&mounts) {
        shell::run(Command::new("mount").args(["-t", "bpf", "bpf", BPFFS]))
            .context("is this kernel built with CONFIG_BPF_SYSCALL, and this container allowed to mount?")?;
    }
    Ok(())
}

fn has_bpffs(mounts: &str) -> bool {
    mounts.lines().any(|line| {
        let mut fields = line.split(' ').skip(1);
        fields.next() == Some(BPFFS) && fields.next() == Some("bpf")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bpffs_is_mounted_only_where_it_is_looked_for() {
        assert!(has_bpffs("proc /proc proc rw 0 0\nbpf /sys/fs/bpf bpf rw,mode=700 0 0\n"));
        assert!(!has_bpffs("sysfs /sys sysfs rw 0 0\nnone /tmp/bpf bpf rw 0 0\n"));
        assert!(!has_bpffs("tmpfs /sys/fs/bpf tmpfs rw 0 0\n"));
    }

    #[test]
    fn a_program_is_an_executable_file() {
        assert!(has_program("sh"));
        assert!(!has_program("no-such-program"));
        assert!(!is_executable(Path::new("/etc/passwd")) && !is_executable(Path::new("/usr")));
    }
}
