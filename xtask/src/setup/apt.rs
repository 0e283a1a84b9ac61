//! Debian's and Ubuntu's packages.

use std::process::Command;

use anyhow::{Context, Result};
use xtask::ebpf::compiler;

use crate::{machine, shell};

/// `--no-remove`: what the user has installed stays, whatever it is in conflict with. The timeout is for
/// machines that have just booted and are busy with upgrades of their own.
const INSTALL: [&str; 6] =
    ["install", "-y", "--no-install-recommends", "--no-remove", "-o", "DPkg::Lock::Timeout=300"];

/// Runs `apt-get "$@"` without starting a service.
const WITHOUT_SERVICES: &str = include_str!("without-services.sh");

/// What can be had with apt here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offers {
    /// This is another system.
    Nothing,
    /// The tools, but no Rust compiler for BPF that is new enough.
    Tools,
    /// All that we need.
    All,
}

/// Whether this is such a system.
pub fn is_here() -> bool {
    machine::has_program("apt-get") && machine::has_program("dpkg")
}

/// What can be had here, according to the lists that apt has.
pub fn offers() -> Offers {
    match (is_here(), is_here() && offers_compiler()) {
        (false, _) => Offers::Nothing,
        (true, false) => Offers::Tools,
        (true, true) => Offers::All,
    }
}

/// What a user would type to install `packages`.
pub fn install_line(packages: &[&str]) -> String {
    format!("sudo apt-get install -y --no-install-recommends {}", packages.join(" "))
}

/// Fetches the lists of packages.
pub fn update() -> Result<()> {
    shell::run(Command::new("apt-get").arg("update"))
}

/// Whether apt can install a Rust compiler for BPF that is new enough, and without removing anything
/// (Debian's compiler and Debian's rustup exclude each other).
fn offers_compiler() -> bool {
    let new_enough = shell::output("apt-cache", &["policy", compiler::PACKAGES[0]])
        .and_then(|policy| candidate(&policy))
        .is_some_and(|version| version >= compiler::PACKAGES_SINCE);
    let simulation = [&["--simulate"], &INSTALL[..], &compiler::PACKAGES].concat();
    new_enough && shell::output("apt-get", &simulation).is_some()
}

/// Major and minor version that `apt-cache policy` would install.
fn candidate(policy: &str) -> Option<(u32, u32)> {
    let version = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate: "))?;
    let upstream = version.split_once(':').map_or(version, |(_epoch, rest)| rest);
    let mut numbers = upstream.split(['.', '-', '+', '~']).map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// Installs packages, and keeps the services in them from starting, now and at the next boot.
pub fn install(packages: &[&str], services: &[&str]) -> Result<()> {
    let arguments = [&INSTALL[..], packages].concat();
    println!("+ apt-get {}", arguments.join(" "));
    if !services.is_empty() {
        println!("  (no service starts: /usr/sbin/policy-rc.d refuses until this is done)");
    }
    let status = Command::new("sh")
        .args(["-c", WITHOUT_SERVICES, "sh"])
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .status()
        .context("cannot start sh")?;
    anyhow::ensure!(status.success(), "apt-get failed ({status}); its messages are above");
    for service in services {
        disable(service);
    }
    Ok(())
}

/// Its package is installed either way: a failure is worth a word, not the end.
fn disable(service: &str) {
    let [program, arguments @ ..] = if machine::has_program("systemctl") {
        ["systemctl", "disable", service]
    } else {
        ["update-rc.d", service, "disable"]
    };
    if let Err(error) = shell::run(Command::new(program).args(arguments)) {
        eprintln!("warning: {service} will start at the next boot: {error:#}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_candidate_is_read_from_what_apt_prints() {
        let policy = |version: &str| {
            format!("rustc-web:\n  Installed: (none)\n  Candidate: {version}\n  Version table:\n")
        };
        assert_eq!(candidate(&policy("1.96.0+dfsg1-1~deb12u2")), Some((1, 96)));
        assert_eq!(candidate(&policy("1:1.85-2")), Some((1, 85)));
        assert_eq!(candidate(&policy("(none)")), None);
        assert_eq!(candidate(""), None);
        assert!((1, 100) >= compiler::PACKAGES_SINCE && (1, 85) < compiler::PACKAGES_SINCE);
    }
}
