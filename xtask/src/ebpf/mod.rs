//! Compiles packages for BPF: the kernel half, and the benchmark's own programs.
//!
//! Two compilers can do it, [`compiler`] says which one is at hand; [`linker`] is the same for both.

pub mod compiler;
pub mod linker;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use anyhow::{Context, Result, ensure};

use compiler::{Core, Way};

/// The target: BPF in the byte order of this machine.
pub const TARGET: &str =
    if cfg!(target_endian = "little") { "bpfel-unknown-none" } else { "bpfeb-unknown-none" };

/// Compiles a package of the workspace in folder `workspace` for BPF, with these features, and returns the object: its
/// binary of the same name.
///
/// # Errors
/// When there is no compiler or linker for BPF (the text says what to install), or when compiling fails.
pub fn build(workspace: &Path, package: &str, features: &[&str]) -> Result<PathBuf> {
    let way = compiler::choose(compiler::inventory())?;
    let linker = linker::find(workspace)?;
    eprintln!("compiling {package} with {way}");
    let llvm = linker::llvm_folder(workspace, &way.compiler)?;
    // Its own target folder: the cargo that waits for this build script holds the lock of the usual one.
    let target_dir = workspace.join("target/ebpf");

    let mut cargo = cargo(&way);
    cargo.current_dir(workspace).env("LD_LIBRARY_PATH", llvm).env(linker_variable(), linker);
    cargo.args(["build", "--package", package, "--bins", "--release", "--target", TARGET]);
    cargo.arg("--target-dir").arg(&target_dir).args(["--features", &features.join(",")]);
    // What a build script prints to stdout is for the cargo that runs it.
    cargo.stdout(Stdio::null());

    let status = cargo.status().with_context(|| format!("cannot start {}", cargo.get_program().display()))?;
    ensure!(status.success(), "{package} does not compile with {way}: cargo's messages are above");
    let object = target_dir.join(TARGET).join("release").join(package);
    ensure!(object.is_file(), "{} is missing: {package} needs a binary of its name", object.display());
    Ok(object)
}

/// For a build script: compiles a package in the workspace above, and puts the object where the script's own package takes
/// it from, `OUT_DIR/<name>`.
///
/// # Errors
/// As [`build`].
pub fn build_for_script(package: &str, features: &[&str], name: &str) -> Result<()> {
    let folder = |variable| env::var_os(variable).map(PathBuf::from).context("only for build scripts");
    let (here, out) = (folder("CARGO_MANIFEST_DIR")?, folder("OUT_DIR")?);
    let workspace = here.parent().context("this package is not in a workspace")?;
    let object = build(workspace, package, features)?;
    let destination = out.join(name);
    fs::copy(&object, &destination)
        .with_context(|| format!("cannot copy {} to {}", object.display(), destination.display()))?;
    Ok(())
}

/// A cargo that compiles for BPF in the given way, and knows nothing of the build that called us.
fn cargo(way: &Way) -> Command {
    let compiler = &way.compiler;
    let mut cargo = Command::new(match way.core {
        Core::Compiled => env::var_os("CARGO").unwrap_or("cargo".into()),
        // Only a nightly's cargo has `-Z`. Not by way of rustup, which may change LD_LIBRARY_PATH.
        Core::Source => compiler.sysroot.join("bin/cargo").into(),
    });
    for (name, _) in env::vars_os() {
        if name.to_str().is_none_or(|name| !is_inherited(name)) {
            cargo.env_remove(name);
        }
    }
    match way.core {
        // Unstable features that a released compiler takes of these crates alone.
        Core::Compiled => cargo.env("RUSTC_BOOTSTRAP", "aya_ebpf,dproxy_ebpf,dproxy_bench_ebpf"),
        Core::Source => cargo.args(["-Z", "build-std=core"]),
    };
    cargo.env("RUSTC", &compiler.rustc).env("CARGO_ENCODED_RUSTFLAGS", rustflags().join("\x1f"));
    cargo
}

fn rustflags() -> [String; 4] {
    [
        // aya-ebpf lays out `pt_regs` for the machine that runs the program.
        format!("--cfg=bpf_target_arch=\"{}\"", env::consts::ARCH),
        // The first with atomic exchange and add that return the old value, and with 32-bit arithmetic.
        "-Ctarget-cpu=v3".into(),
        "-Cdebuginfo=2".into(),
        "-Clink-arg=--btf".into(),
    ]
}

fn linker_variable() -> String {
    format!("CARGO_TARGET_{}_LINKER", TARGET.to_uppercase().replace('-', "_"))
}

/// Whether our cargo sees this variable of the one that runs us.
///
/// Cargo, rustup and clippy describe their own build in the environment (compiler, flags, target,
/// wrappers), which is not ours. Where crates come from, the job server and the look of messages are.
fn is_inherited(name: &str) -> bool {
    const THEIRS: [&str; 4] = ["CARGO", "RUST", "CLIPPY_", "LD_LIBRARY_PATH"];
    const OURS: [&str; 6] =
        ["CARGO_HOME", "CARGO_MAKEFLAGS", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTR", "CARGO_TERM_"];
    let starts = |prefix: &&str| name.starts_with(*prefix);
    OURS.iter().any(starts) || !THEIRS.iter().any(starts)
}

#[cfg(test)]
mod tests {
    use super::*;

    const THEIRS: &str = "RUSTC RUSTFLAGS RUSTC_WORKSPACE_WRAPPER RUSTUP_TOOLCHAIN CARGO_ENCODED_RUSTFLAGS \
        CARGO_BUILD_TARGET CARGO_TARGET_DIR CARGO_CFG_TARGET_ARCH CLIPPY_ARGS LD_LIBRARY_PATH";
    const OURS: &str = "PATH HOME CARGO_HOME CARGO_MAKEFLAGS CARGO_HTTP_CAINFO https_proxy";

    #[test]
    fn the_outer_build_does_not_leak_into_ours() {
        for theirs in THEIRS.split_whitespace() {
            assert!(!is_inherited(theirs), "{theirs} must not reach the inner cargo");
        }
        for ours in OURS.split_whitespace() {
            assert!(is_inherited(ours), "{ours} must reach the inner cargo");
        }
    }

    #[test]
    fn the_linker_variable_is_named_after_the_target() {
        assert!(linker_variable().ends_with("_UNKNOWN_NONE_LINKER"), "{}", linker_variable());
    }
}
