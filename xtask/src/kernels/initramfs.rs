//! What a virtual machine has for a file system: one program, and the libraries that it needs.
//!
//! The kernel takes it as a cpio archive of the format "newc" (its Documentation/driver-api/early-userspace/buffer-format.rst).

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::shell;

/// Writes an archive with this program as the first process.
pub fn write(program: &Path, archive: &Path) -> Result<()> {
    // What a debugger would need is most of it, and takes long to unpack.
    let stripped = archive.with_extension("init");
    let strip = Command::new("strip").arg("-o").arg(&stripped).arg(program).status();
    ensure!(strip.context("cannot start strip")?.success(), "strip failed for {}", program.display());
    let program = stripped.display().to_string();
    let libraries = shell::output("ldd", &[&program]).context("ldd cannot say which libraries it needs")?;

    let mut cpio = Cpio::default();
    cpio.file("init", &read(&program)?);
    for library in paths(&libraries) {
        cpio.file(library.trim_start_matches('/'), &read(library)?);
    }
    // The kernel opens it for the first process.
    cpio.add("dev", FOLDER, (0, 0), &[]);
    cpio.add("dev/console", CHARACTER_DEVICE, (5, 1), &[]);
    fs::write(archive, cpio.finish()).with_context(|| format!("cannot write {}", archive.display()))
}

fn read(path: &str) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {path}"))
}

/// The files that `ldd` names: `NAME => PATH (ADDRESS)` or `PATH (ADDRESS)`.
fn paths(ldd: &str) -> impl Iterator<Item = &str> {
    ldd.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
}

/// File types and permissions, as of `stat`.
const FOLDER: u32 = 0o040_755;
const EXECUTABLE: u32 = 0o100_755;
const CHARACTER_DEVICE: u32 = 0o020_600;

/// An archive under way.
#[derive(Default)]
struct Cpio {
    octets: Vec<u8>,
    entries: u32,
    folders: Vec<String>,
}

impl Cpio {
    /// Adds an executable file, and the folders that it is in.
    fn file(&mut self, name: &str, octets: &[u8]) {
        for (end, _) in name.match_indices('/') {
            let folder = &name[..end];
            if !self.folders.iter().any(|known| known == folder) {
                self.folders.push(folder.to_owned());
                self.add(folder, FOLDER, (0, 0), &[]);
            }
        }
        self.add(name, EXECUTABLE, (0, 0), octets);
    }

    fn add(&mut self, name: &str, mode: u32, device: (u32, u32), octets: &[u8]) {
        self.entries += 1;
        let (inode, length, name_length) = (self.entries, octets.len() as u32, name.len() as u32 + 1);
        // Inode, mode, owner, group, links, time; length; device of the file; device that it is; name; checksum.
        let fields = [inode, mode, 0, 0, 1, 0, length, 0, 0, device.0, device.1, name_length, 0];
        self.octets.extend(b"070701");
        for field in fields {
            self.octets.extend(format!("{field:08x}").bytes());
        }
        self.octets.extend(name.bytes().chain([0]));
        self.pad();
        self.octets.extend(octets);
        self.pad();
    }

    /// Name and content begin at multiples of 4.
    fn pad(&mut self) {
        self.octets.resize(self.octets.len().next_multiple_of(4), 0);
    }

    fn finish(mut self) -> Vec<u8> {
        self.add("TRAILER!!!", 0, (0, 0), &[]);
        self.octets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, mode, device and content of each entry, as the kernel's `do_header` and `do_name` read them.
    fn entries(mut archive: &[u8]) -> Vec<(String, u32, u32, Vec<u8>)> {
        let mut entries = Vec::new();
        let total = archive.len();
        while !archive.is_empty() {
            assert_eq!(&archive[..6], b"070701", "an entry begins at {}", total - archive.len());
            let field = |number: usize| {
                let digits =
                    std::str::from_utf8(&archive[6 + 8 * number..14 + 8 * number]).unwrap_or_default();
                u32::from_str_radix(digits, 16).unwrap_or_else(|_| panic!("no number: {digits}"))
            };
            let (mode, minor, length, name_length) =
                (field(1), field(10), field(6) as usize, field(11) as usize);
            let content = (110 + name_length).next_multiple_of(4);
            assert_eq!(archive[110 + name_length - 1], 0, "a name ends with 0");
            let name = String::from_utf8_lossy(&archive[110..110 + name_length - 1]).into_owned();
            entries.push((name, mode, minor, archive[content..content + length].to_vec()));
            archive = &archive[(content + length).next_multiple_of(4)..];
        }
        entries
    }

    #[test]
    fn an_archive_has_what_was_put_into_it() {
        let mut cpio = Cpio::default();
        cpio.file("init", b"12345");
        cpio.file("lib/x86_64-linux-gnu/libc.so.6", b"libc");
        cpio.file("lib/x86_64-linux-gnu/libm.so.6", b"");
        cpio.add("dev/console", CHARACTER_DEVICE, (5, 1), &[]);
        let entry =
            |name: &str, mode, minor, content: &[u8]| (name.to_owned(), mode, minor, content.to_vec());
        assert_eq!(
            entries(&cpio.finish()),
            [
                entry("init", EXECUTABLE, 0, b"12345"),
                entry("lib", FOLDER, 0, b""),
                entry("lib/x86_64-linux-gnu", FOLDER, 0, b""),
                entry("lib/x86_64-linux-gnu/libc.so.6", EXECUTABLE, 0, b"libc"),
                entry("lib/x86_64-linux-gnu/libm.so.6", EXECUTABLE, 0, b""),
                entry("dev/console", CHARACTER_DEVICE, 1, b""),
                entry("TRAILER!!!", 0, 0, b""),
            ]
        );
    }

    #[test]
    fn libraries_are_what_ldd_names() {
        let ldd = "\tlinux-vdso.so.1 (0x00007f2b7fcda000)\n\
                   \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f2b7ee1e000)\n\
                   \t/lib64/ld-linux-x86-64.so.2 (0x00007f2b7fcdc000)\n";
        let found: Vec<_> = paths(ldd).collect();
        assert_eq!(found, ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"]);
        assert_eq!(paths("\tstatically linked\n").count(), 0);
    }
}
