//! Debian's packages, by apt, without installing any: from the machine's own mirror, with lists of our own, since the
//! machine's are of one release.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::manifest::Kernel;
use super::packages::{PREFIXES, Package};
use crate::shell;

/// Debian's suites that have kernels.
const SUITES: [&str; 6] = ["bullseye", "bookworm", "bookworm-backports", "trixie", "trixie-backports", "sid"];
const SECURITY_SUITES: [&str; 3] = ["bullseye-security", "bookworm-security", "trixie-security"];

/// What Debian signs its lists with, of the package `debian-archive-keyring`.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Apt, with lists of packages of all these suites.
pub struct Apt {
    folder: PathBuf,
    settings: PathBuf,
}

impl Apt {
    /// Fetches the lists.
    pub fn set_up(folder: &Path) -> Result<Self> {
        let own = folder.join("apt");
        for place in ["state/lists/partial", "cache/archives/partial"] {
            create(&own.join(place))?;
        }
        let sources = own.join("sources.list");
        write(&sources, sources_list(&indexes()?)?)?;
        let settings = [
            ("Dir::Etc::SourceList", sources),
            ("Dir::Etc::SourceParts", "/dev/null".into()),
            ("Dir::State", own.join("state")),
            ("Dir::State::status", "/var/lib/dpkg/status".into()),
            ("Dir::Cache", own.join("cache")),
            // Its own user cannot write into the folders of whoever runs this.
            ("APT::Sandbox::User", "root".into()),
        ];
        let line = |(name, value): &(&str, PathBuf)| format!("{name} \"{}\";\n", value.display());
        let settings: String = settings.iter().map(line).collect();
        let apt = Self { folder: folder.to_owned(), settings: own.join("apt.conf") };
        write(&apt.settings, settings)?;
        // A suite may be gone; whether that matters shows when packages are chosen.
        if let Err(error) = shell::run(apt.command("apt-get").arg("update")) {
            eprintln!("warning: {error:#}");
        }
        Ok(apt)
    }

    /// All kernels that can be had.
    pub fn kernels(&self) -> Result<BTreeSet<Package>> {
        let mut packages = BTreeSet::new();
        // A release has a package of each kind, or of one. The first kind is the one with the image.
        let mut releases = BTreeSet::new();
        for prefix in PREFIXES {
            let names = output(self.command("apt-cache").args(["pkgnames", prefix]))?;
            let named = names.lines().filter_map(Package::named);
            packages.extend(named.filter(|package| releases.insert(package.release.clone())));
        }
        Ok(packages)
    }

    /// Downloads a kernel, if it is not there, and takes the image out.
    pub fn fetch_kernel(&self, package: &Package) -> Result<Kernel> {
        let image = format!("vmlinuz-{}", package.release);
        let place = self.folder.join(&image);
        if !place.exists() {
            let downloads = self.folder.join("download");
            // As a killed process has left it.
            let _ = fs::remove_dir_all(&downloads);
            create(&downloads)?;
            let mut download = self.command("apt-get");
            shell::run(download.args(["download", &package.name]).current_dir(&downloads))?;
            for package in packages_in(&downloads)? {
                take_image(&package, &place)?;
            }
            fs::remove_dir_all(&downloads)
                .with_context(|| format!("cannot remove {}", downloads.display()))?;
        }
        let file = fs::metadata(&place).with_context(|| format!("cannot look at {}", place.display()))?;
        Ok(Kernel { release: package.release.clone(), image, octets: file.len() })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.arg("-c").arg(&self.settings);
        command
    }
}

/// Downloads packages of the machine's own release, and what they need that is not installed, and unpacks them into a
/// folder.
pub fn unpack(packages: &[&str], folder: &Path) -> Result<()> {
    let cache = folder.with_extension("cache");
    let archives = cache.join("archives");
    create(&archives.join("partial"))?;
    let cache_option = format!("-oDir::Cache={}", cache.display());
    let install =
        ["-qq", "--download-only", "--no-install-recommends", "-oDebug::NoLocking=1", &cache_option];
    let mut apt = Command::new("apt-get");
    apt.args(install).arg("-oAPT::Sandbox::User=root").arg("install").args(packages);
    shell::run(&mut apt).context("`apt-get update`, as root, makes apt know what can be had")?;
    let new = folder.with_extension("new");
    let _ = fs::remove_dir_all(&new);
    for package in packages_in(&archives)? {
        let status = Command::new("dpkg-deb").arg("--extract").arg(&package).arg(&new).status();
        let status = status.context("cannot start dpkg-deb")?;
        ensure!(status.success(), "dpkg-deb cannot unpack {}", package.display());
    }
    fs::rename(&new, folder).with_context(|| format!("cannot create {}", folder.display()))?;
    fs::remove_dir_all(&cache).with_context(|| format!("cannot remove {}", cache.display()))
}

/// Takes the kernel's image out of a package: whole, or not at all. It is `/boot/vmlinuz-RELEASE`, or, in newer packages,
/// `/usr/lib/modules/RELEASE/vmlinuz`.
fn take_image(package: &Path, place: &Path) -> Result<()> {
    let new = place.with_file_name("vmlinuz.new");
    let file = File::create(&new).with_context(|| format!("cannot create {}", new.display()))?;
    let archive = Command::new("dpkg-deb").arg("--fsys-tarfile").arg(package).stdout(Stdio::piped()).spawn();
    let mut archive = archive.context("cannot start dpkg-deb")?;
    let octets = archive.stdout.take().context("dpkg-deb has no output")?;
    let extract = ["--extract", "--to-stdout", "--wildcards", "*/vmlinuz*"];
    let tar = Command::new("tar").args(extract).stdin(octets).stdout(file).status();
    let tar = tar.context("cannot start tar")?;
    let archive = archive.wait().context("cannot wait for dpkg-deb")?;
    ensure!(tar.success() && archive.success(), "{} has no kernel in it", package.display());
    fs::rename(&new, place).with_context(|| format!("cannot create {}", place.display()))
}

fn packages_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)
        .and_then(Iterator::collect::<io::Result<Vec<_>>>)
        .with_context(|| format!("cannot read {}", folder.display()))?;
    let paths = entries.into_iter().map(|entry| entry.path());
    Ok(paths.filter(|path| path.extension().is_some_and(|end| end == "deb")).collect())
}

fn write(file: &Path, text: String) -> Result<()> {
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

fn create(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start {:?}", command.get_program()))?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Labels and addresses of what the machine's own apt reads.
fn indexes() -> Result<String> {
    let format = ["indextargets", "--format", "$(LABEL)\t$(SITE)", "Created-By: Packages"];
    output(Command::new("apt-get").args(format)).context("kernels come by apt, from a mirror of Debian's")
}

/// Our suites at the machine's own mirrors.
fn sources_list(indexes: &str) -> Result<String> {
    let mirror = |label: &str| {
        let sites = indexes.lines().filter_map(|line| line.split_once('\t'));
        sites.into_iter().find(|(of, _)| *of == label).map(|(_, site)| site)
    };
    let main =
        mirror("Debian").context("this machine's apt reads no mirror of Debian's, which has the kernels")?;
    let security = mirror("Debian-Security").into_iter();
    let line = |site: &str, suite: &str| {
        format!("deb [arch=amd64 lang=none target=Packages signed-by={KEYRING}] {site} {suite} main\n")
    };
    let of_security = security.flat_map(|site| SECURITY_SUITES.map(|suite| line(site, suite)));
    Ok(SUITES.iter().map(|suite| line(main, suite)).chain(of_security).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_suites_are_taken_from_the_mirrors_of_the_machine() {
        let indexes = "Other\thttp://other.example/apt\nDebian\thttp://mirror.example/debian\n\
                       Debian-Security\thttp://mirror.example/security\n";
        let list = sources_list(indexes).unwrap_or_else(|error| panic!("{error:#}"));
        assert!(list.contains("] http://mirror.example/debian bookworm-backports main\n"), "{list}");
        assert!(list.contains("] http://mirror.example/security bookworm-security main\n"), "{list}");
        assert_eq!(list.lines().count(), SUITES.len() + SECURITY_SUITES.len());
        assert!(!list.contains("other.example"), "{list}");
        let without = sources_list("Debian\thttp://mirror.example/debian\n").unwrap_or_default();
        assert_eq!(without.lines().count(), SUITES.len());
        assert!(sources_list("Ubuntu\thttp://mirror.example/ubuntu\n").is_err());
    }
}
