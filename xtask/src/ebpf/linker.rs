//! bpf-linker, and the LLVM that it is run with.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io, process};

use anyhow::{Context, Result, bail};

use super::compiler::{Compiler, entries};

/// The version in use. This is the last one that borrows the compiler's LLVM, so that the user needs
/// none of their own; it is made for LLVM 22. [`super::compiler::NIGHTLY`] goes with it.
pub const VERSION: &str = "0.10.4";

/// The arguments with which cargo installs it, from the folder of the workspace.
pub fn install_arguments() -> [&'static str; 7] {
    ["install", "bpf-linker", "--version", VERSION, "--locked", "--root", "target/tools"]
}

/// The linker, if set-up has put it there.
///
/// # Errors
/// When it is not there, or another version.
pub fn find(workspace: &Path) -> Result<PathBuf> {
    let linker = workspace.join("target/tools/bin/bpf-linker");
    let Ok(output) = Command::new(&linker).arg("--version").output() else {
        bail!("bpf-linker is missing; {}", how_to_install());
    };
    let version = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
    if version != format!("bpf-linker {VERSION}") {
        bail!("{} is `{version}`, not version {VERSION}; {}", linker.display(), how_to_install());
    }
    Ok(linker)
}

fn how_to_install() -> String {
    format!(
        "`cargo xtask setup` installs it, or in the folder of the workspace `cargo {} --force`",
        install_arguments().join(" ")
    )
}

/// A folder with nothing in it but the compiler's LLVM.
///
/// bpf-linker opens the first `libLLVM*` that it meets in `LD_LIBRARY_PATH`, in the order of the file
/// system: where a distribution has several versions in one folder, that is a matter of luck.
///
/// # Errors
/// When the compiler has no LLVM of its own as a shared library, or the folder cannot be written.
pub fn llvm_folder(workspace: &Path, compiler: &Compiler) -> Result<PathBuf> {
    let library = llvm_library(compiler)?;
    let folder = workspace.join("target/tools/llvm");
    let link = folder.join("libLLVM.so");
    if fs::read_link(&link).is_ok_and(|target| target == library) {
        return Ok(folder);
    }
    replace_link(&library, &link).with_context(|| format!("cannot write {}", link.display()))?;
    Ok(folder)
}

fn llvm_library(compiler: &Compiler) -> Result<PathBuf> {
    let sysroot = &compiler.sysroot;
    let multiarch = format!("lib/{}-linux-gnu", env::consts::ARCH);
    let prefix = format!("libLLVM.so.{}.", compiler.llvm);
    ["lib", &multiarch, "lib64"]
        .iter()
        .find_map(|folder| entries(&sysroot.join(folder), &prefix).pop())
        .with_context(|| {
            format!("bpf-linker needs {prefix}*, which {compiler} has not in {}", sysroot.display())
        })
}

/// Under another name first, since several builds may run at once.
fn replace_link(target: &Path, link: &Path) -> io::Result<()> {
    let new = link.with_extension(process::id().to_string());
    fs::create_dir_all(link.with_file_name(""))?;
    std::os::unix::fs::symlink(target, &new)?;
    fs::rename(new, link)
}
