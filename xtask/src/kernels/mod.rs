//! `cargo xtask verify-kernels`

mod download;
mod initramfs;
mod manifest;
mod packages;
mod qemu;
mod report;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::setup::{self, Purpose};
use crate::{build, shell, workspace};
use download::Apt;
use manifest::{Kernel, Manifest};
use qemu::Qemu;
use report::{Expected, Verdict};

/// Boots Debian's kernels in virtual machines, and loads and runs all programs there
///
/// Each kernel has to take the programs as the daemon loads them, within a number of verified instructions, and the
/// programs have to do to the golden frames what they do here; or it has to be refused, if it is too old. Needs no root
/// and no KVM. What it downloads is kept in target/kernels. The exit status is 1 when a kernel is not as expected. See
/// docs/kernels.md.
#[derive(clap::Args)]
pub struct VerifyKernels {
    /// Only kernels of this series, or whose name contains this
    #[arg(long, value_name = "TEXT")]
    kernel: Option<String>,
    /// Say which kernels there are, and what is expected of them; boot none
    #[arg(long)]
    list: bool,
    /// Look for newer packages than those that are kept
    #[arg(long)]
    update: bool,
}

/// A row of the matrix.
struct Wanted {
    /// Major and minor version; without one, the newest kernel that can be had.
    series: Option<(u32, u32)>,
    expected: Expected,
}

/// What is verified: what Debian's releases come with, and the newest. The limits leave room for other compilers; that of
/// a new kernel is that of `tests/tests/budget.rs`.
const MATRIX: [Wanted; 5] = [
    Wanted { series: Some((5, 10)), expected: Expected::Refused { naming: "6.1.0 or newer" } },
    Wanted { series: Some((6, 1)), expected: Expected::Loaded { limit: 300_000 } },
    Wanted { series: Some((6, 12)), expected: NEW },
    Wanted { series: Some((6, 18)), expected: NEW },
    Wanted { series: None, expected: NEW },
];

const NEW: Expected = Expected::Loaded { limit: 250_000 };

/// Kernels booted at a time. Emulation keeps a processor busy; a third would only wait.
const AT_A_TIME: usize = 2;

/// How long a kernel may take, all included. On a machine with nothing else to do, none takes a third.
const TIME_LIMIT: Duration = Duration::from_secs(600);

impl VerifyKernels {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let folder = workspace().join("target/kernels");
        let manifest = self.kernels(&folder)?;
        let chosen: Vec<_> = MATRIX
            .iter()
            .zip(&manifest.kernels)
            .filter(|(_, kernel)| self.kernel.as_ref().is_none_or(|text| is_meant(text, kernel)))
            .map(|(wanted, kernel)| (kernel, &wanted.expected))
            .collect();
        let names: Vec<_> = manifest.kernels.iter().map(|kernel| kernel.release.as_str()).collect();
        ensure!(!chosen.is_empty(), "no kernel is meant by --kernel; there are {}", names.join(", "));
        if self.list {
            chosen.iter().for_each(|(kernel, expected)| println!("{:32} {expected}", kernel.release));
            return Ok(());
        }
        setup::ensure(Purpose::Build)?;
        let qemu = Qemu::find(&folder)?;
        shell::run(&mut shell::cargo(&["build", "--package", "dproxy-tests", "--bin", "verify-kernel"]))?;
        let initramfs = folder.join("initramfs.cpio");
        initramfs::write(&build::beside_us("verify-kernel")?, &initramfs)?;

        let verdicts = boot(&qemu, &chosen, &folder, &initramfs);
        println!("\n{}", report::table(&verdicts));
        let wrong = verdicts.iter().filter(|verdict| !verdict.is_as_expected()).count();
        ensure!(wrong == 0, "{wrong} of {} kernels not as expected", verdicts.len());
        Ok(())
    }

    /// The kernels of the matrix, in its order: those that are kept, or else downloaded.
    fn kernels(&self, folder: &Path) -> Result<Manifest> {
        let kept = Manifest::read(folder).filter(|kept| kept.kernels.len() == MATRIX.len() && !self.update);
        if let Some(kept) = kept {
            return Ok(kept);
        }
        let apt = Apt::set_up(folder)?;
        let offered = apt.kernels()?;
        let packages = packages::choose(&MATRIX.map(|wanted| wanted.series), &offered)?;
        let kernels = packages.iter().map(|package| apt.fetch_kernel(package)).collect::<Result<_>>()?;
        let manifest = Manifest { kernels };
        manifest.write(folder)?;
        Ok(manifest)
    }
}

/// Whether `--kernel` means this one.
fn is_meant(text: &str, kernel: &Kernel) -> bool {
    let is_series = kernel.release.strip_prefix(text).is_some_and(|rest| rest.starts_with('.'));
    let is_any_series =
        text.split('.').count() == 2 && text.split('.').all(|part| part.parse::<u32>().is_ok());
    if is_any_series { is_series } else { kernel.release.contains(text) }
}

/// Boots all, some at a time, and says of each what came of it, as soon as that is known.
fn boot(qemu: &Qemu, chosen: &[(&Kernel, &Expected)], folder: &Path, initramfs: &Path) -> Vec<Verdict> {
    let (next, verdicts) = (Mutex::new(chosen.iter().enumerate()), Mutex::new(Vec::new()));
    let take = || next.lock().ok()?.next();
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME.min(chosen.len()) {
            scope.spawn(|| {
                while let Some((place, (kernel, expected))) = take() {
                    let image = folder.join(&kernel.image);
                    let run = qemu.boot(&image, initramfs, &log_path(folder, kernel), TIME_LIMIT);
                    let verdict = Verdict::of(kernel, expected, run);
                    println!("{verdict}");
                    if let Ok(mut verdicts) = verdicts.lock() {
                        verdicts.push((place, verdict));
                    }
                }
            });
        }
    });
    let mut verdicts = verdicts.into_inner().unwrap_or_default();
    verdicts.sort_by_key(|(place, _)| *place);
    verdicts.into_iter().map(|(_, verdict)| verdict).collect()
}

/// Where the console of a kernel and its lines go, but for the ends of the names.
fn log_path(folder: &Path, kernel: &Kernel) -> PathBuf {
    folder.join("log").join(&kernel.release)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_not_another_one_that_begins_like_it() {
        let kernel = |release: &str| Kernel { release: release.to_owned(), ..Kernel::default() };
        let (old, newer) = (kernel("6.1.0-57-cloud-amd64"), kernel("6.12.117+deb13-cloud-amd64"));
        assert!(is_meant("6.1", &old) && !is_meant("6.1", &newer));
        assert!(is_meant("6.12", &newer) && !is_meant("6.12", &old));
        assert!(is_meant("deb13", &newer) && !is_meant("deb13", &old));
        assert!(is_meant("cloud", &newer) && is_meant("cloud", &old));
    }
}
