//! Finds a Rust compiler for BPF. rustup ships `core` for no BPF target, which leaves two ways:
//!
//! - a distribution's compiler with a compiled `core` (Debian: `rustc-web`, `libstd-rust-web-dev-bpf`);
//! - a nightly of rustup's with the component `rust-src`, which compiles `core` itself.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use super::TARGET;

/// The nightly that set-up installs. It goes with [`super::linker::VERSION`]: newer ones have an LLVM
/// that this linker was not made for.
pub const NIGHTLY: &str = "nightly-2026-05-20";

/// The LLVM of `linker::VERSION`. It cannot read what a newer one wrote, nor be run with an older one.
const LINKER_LLVM: u32 = 22;

/// Debian's packages that are the first way, and the first release of Rust with a [`LINKER_LLVM`].
pub const PACKAGES: [&str; 2] = ["rustc-web", "libstd-rust-web-dev-bpf"];
/// See [`PACKAGES`].
pub const PACKAGES_SINCE: (u32, u32) = (1, 95);

/// How a compiler comes to a `core` for BPF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Core {
    /// It is there, compiled.
    Compiled,
    /// It is there as source, and the compiler is a nightly, which may build it.
    Source,
}

/// A Rust compiler that was found.
#[derive(Clone, Debug)]
pub struct Compiler {
    /// The program.
    pub rustc: PathBuf,
    /// The folder that it is installed in.
    pub sysroot: PathBuf,
    /// For instance `1.96.0`.
    pub release: String,
    /// Major version of its LLVM.
    pub llvm: u32,
    /// What it has of `core`.
    pub core: Option<Core>,
}

/// The compiler to take.
#[derive(Clone, Debug)]
pub struct Way {
    /// The compiler.
    pub compiler: Compiler,
    /// How it comes to `core`.
    pub core: Core,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let core = match self.core {
            Core::Compiled => "with a compiled core",
            Core::Source => "with core built from source",
        };
        write!(f, "{} {core}", self.compiler)
    }
}

impl fmt::Display for Compiler {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} ({}, LLVM {})", self.rustc.display(), self.release, self.llvm)
    }
}

/// No compiler for BPF is there. Its text says what was found, and what to install.
#[derive(Debug)]
pub struct Missing {
    found: Vec<Compiler>,
}

impl std::error::Error for Missing {}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, "no Rust compiler here can build for BPF:")?;
        for compiler in &self.found {
            let lack = match compiler.core {
                Some(_) => "its LLVM is too old for bpf-linker",
                None if compiler.release.contains("nightly") => "it has no rust-src",
                None => "it has no core for BPF",
            };
            writeln!(f, "  {compiler}: {lack}")?;
        }
        writeln!(f, "`cargo xtask setup`, as root on Debian or Ubuntu, installs one. By hand, one of:")?;
        let (major, minor) = PACKAGES_SINCE;
        writeln!(f, "  apt-get install {} (from {major}.{minor} on)", PACKAGES.join(" "))?;
        write!(f, "  {}", nightly_command().join(" "))
    }
}

/// The command that installs the nightly.
pub fn nightly_command() -> [&'static str; 8] {
    ["rustup", "toolchain", "install", NIGHTLY, "--profile", "minimal", "--component", "rust-src"]
}

/// Chooses among the compilers that were found.
///
/// The nearest LLVM to the linker's wins, then the earlier in the list.
///
/// # Errors
/// When none of them can compile for BPF.
pub fn choose(found: Vec<Compiler>) -> Result<Way, Missing> {
    found
        .iter()
        .filter(|compiler| compiler.llvm >= LINKER_LLVM)
        .filter_map(|compiler| compiler.core.map(|core| Way { compiler: compiler.clone(), core }))
        .min_by_key(|way| way.compiler.llvm)
        .ok_or(Missing { found })
}

/// The compilers of this machine that may be able to: the distribution's, then rustup's nightlies.
pub fn inventory() -> Vec<Compiler> {
    let distribution = look(Path::new("/usr/bin/rustc"), compiled_core);
    let nightlies = nightlies().into_iter().filter_map(|toolchain| {
        look(&toolchain.join("bin/rustc"), |sysroot| compiled_core(sysroot).or_else(|| core_source(sysroot)))
    });
    distribution.into_iter().chain(nightlies).collect()
}

/// Folders of rustup's nightlies, in a stable order.
fn nightlies() -> Vec<PathBuf> {
    let Some(rustup) = env::var_os("RUSTUP_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".rustup")))
    else {
        return Vec::new();
    };
    entries(&rustup.join("toolchains"), "nightly")
}

fn look(rustc: &Path, core: impl Fn(&Path) -> Option<Core>) -> Option<Compiler> {
    let ask = |arguments: &[&str]| {
        // Not the libraries of the toolchain that runs us.
        let output = Command::new(rustc).args(arguments).env_remove("LD_LIBRARY_PATH").output().ok()?;
        String::from_utf8(output.stdout).ok().filter(|_| output.status.success())
    };
    let (release, llvm) = parse_version(&ask(&["-vV"])?)?;
    let sysroot = PathBuf::from(ask(&["--print", "sysroot"])?.trim_end());
    Some(Compiler { rustc: rustc.into(), core: core(&sysroot), sysroot, release, llvm })
}

/// Release and LLVM's major version, from `rustc -vV`.
fn parse_version(text: &str) -> Option<(String, u32)> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let llvm = field("LLVM version")?.split('.').next()?.parse().ok()?;
    Some((field("release")?.to_owned(), llvm))
}

fn compiled_core(sysroot: &Path) -> Option<Core> {
    let libraries = sysroot.join("lib/rustlib").join(TARGET).join("lib");
    (!entries(&libraries, "libcore-").is_empty()).then_some(Core::Compiled)
}

fn core_source(sysroot: &Path) -> Option<Core> {
    sysroot.join("lib/rustlib/src/rust/library/core/Cargo.toml").is_file().then_some(Core::Source)
}

/// What is in `folder` under a name that begins with `prefix`, sorted; nothing when there is no folder.
pub(super) fn entries(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let Ok(read) = fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<_> = read
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)))
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distribution_comes_before_a_nightly_with_the_same_llvm() {
        let found = vec![compiler("distribution", 22, Some(Core::Compiled)), nightly(22)];
        assert_eq!(chosen(found), Some(("distribution".into(), Core::Compiled)));
    }

    #[test]
    fn a_nightly_builds_core_where_the_distribution_has_none() {
        let found = vec![compiler("distribution", 22, None), nightly(22)];
        assert_eq!(chosen(found), Some(("nightly".into(), Core::Source)));
    }

    #[test]
    fn a_compiler_with_an_older_llvm_than_the_linker_is_not_taken() {
        let found = vec![compiler("distribution", 19, Some(Core::Compiled)), nightly(22)];
        assert_eq!(chosen(found), Some(("nightly".into(), Core::Source)));
    }

    #[test]
    fn the_nearest_llvm_is_taken_but_a_newer_one_is_better_than_none() {
        let newer = compiler("distribution", 23, Some(Core::Compiled));
        assert_eq!(chosen(vec![newer.clone(), nightly(22)]), Some(("nightly".into(), Core::Source)));
        assert_eq!(chosen(vec![newer]), Some(("distribution".into(), Core::Compiled)));
    }

    #[test]
    fn when_there_is_none_the_text_says_why_and_what_to_install() {
        let found = vec![compiler("distribution", 19, Some(Core::Compiled)), compiler("nightly", 22, None)];
        let text = choose(found).expect_err("none of them can").to_string();
        for part in [
            "distribution (1.2.3, LLVM 19): its LLVM is too old",
            "nightly (1.2.3, LLVM 22): it has no core for BPF",
            "apt-get install rustc-web libstd-rust-web-dev-bpf",
            "rustup toolchain install nightly-",
            "--component rust-src",
        ] {
            assert!(text.contains(part), "`{part}` is missing in:\n{text}");
        }
        assert!(choose(Vec::new()).is_err(), "a machine without any of these compilers");
    }

    #[test]
    fn the_version_is_read_from_what_rustc_prints() {
        let text = "rustc 1.96.0 (ac68faa20 2026-05-25)\nrelease: 1.96.0\nLLVM version: 22.1.8\n";
        assert_eq!(parse_version(text), Some(("1.96.0".into(), 22)));
        assert_eq!(parse_version("rustc 1.96.0\n"), None);
    }

    fn chosen(found: Vec<Compiler>) -> Option<(String, Core)> {
        let way = choose(found).ok()?;
        Some((way.compiler.rustc.display().to_string(), way.core))
    }

    fn nightly(llvm: u32) -> Compiler {
        compiler("nightly", llvm, Some(Core::Source))
    }

    fn compiler(name: &str, llvm: u32, core: Option<Core>) -> Compiler {
        Compiler { rustc: name.into(), sysroot: "/".into(), release: "1.2.3".into(), llvm, core }
    }
}
