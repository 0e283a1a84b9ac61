//! Virtual machines, by emulation: slow, but the same everywhere, in containers and other virtual machines too.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::download;
use crate::machine;

const PROGRAM: &str = "qemu-system-x86_64";

/// Enough for the tables and for the verifier, which takes the most.
const MEMORY: &str = "1536M";

/// Where libraries are in Debian's packages.
const LIBRARIES: [&str; 2] = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];
/// Where qemu's firmware is in Debian's packages.
const FIRMWARE: [&str; 2] = ["usr/share/qemu", "usr/share/seabios"];

/// The emulator: the machine's own, or one that is unpacked but not installed.
pub struct Qemu {
    program: PathBuf,
    firmware: Vec<PathBuf>,
    libraries: Option<OsString>,
}

/// What came of a boot.
#[derive(Clone, Debug)]
pub struct Run {
    /// What the first process has said.
    pub lines: String,
    /// The last lines of the console.
    pub console: Vec<String>,
    /// Did it end by itself?
    pub ended: bool,
    /// All included.
    pub duration: Duration,
}

impl Qemu {
    /// Finds it, or unpacks it.
    pub fn find(folder: &Path) -> Result<Self> {
        if machine::has_program(PROGRAM) {
            return Ok(Self { program: PROGRAM.into(), firmware: Vec::new(), libraries: None });
        }
        let unpacked = folder.join("qemu");
        if !unpacked.exists() {
            download::unpack(&["qemu-system-x86"], &unpacked)?;
        }
        let libraries = std::env::join_paths(LIBRARIES.map(|place| unpacked.join(place)));
        let qemu = Self {
            program: unpacked.join("usr/bin").join(PROGRAM),
            firmware: FIRMWARE.map(|place| unpacked.join(place)).to_vec(),
            libraries: Some(libraries.context("this folder's name has a colon in it")?),
        };
        let version = qemu.command().arg("--version").stdout(Stdio::null()).status();
        let again = || format!("remove {}, so that qemu is unpacked again", unpacked.display());
        ensure!(version.with_context(again)?.success(), again());
        Ok(qemu)
    }

    /// Boots a kernel, waits until it ends, and ends it after a while. What is said is also kept, as `LOG.console` and
    /// `LOG.lines`.
    pub fn boot(&self, image: &Path, initramfs: &Path, log: &Path, limit: Duration) -> Result<Run> {
        let start = Instant::now();
        if let Some(folder) = log.parent() {
            fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        }
        let [console_path, lines_path] = ["console", "lines"].map(|end| with_end(log, end));
        let mut command = self.command();
        command.args(["-accel", "tcg", "-m", MEMORY, "-nodefaults", "-display", "none", "-no-reboot"]);
        command.arg("-kernel").arg(image).arg("-initrd").arg(initramfs);
        command.args(["-append", "console=ttyS0 panic=-1 quiet", "-serial", "stdio", "-serial"]);
        command.arg(format!("file:{}", lines_path.display()));
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = Guard(child.with_context(|| format!("cannot start setpriv and {PROGRAM}"))?);
        let (console, ended) = watch(&mut child.0, start + limit)?;
        drop(child);
        fs::write(&console_path, console.join("\n"))
            .with_context(|| format!("cannot write {}", console_path.display()))?;
        let lines = fs::read(&lines_path).with_context(|| format!("cannot read {}", lines_path.display()))?;
        let lines = String::from_utf8_lossy(&lines).into_owned();
        let console = console[console.len().saturating_sub(LAST)..].to_vec();
        Ok(Run { lines, console, ended, duration: start.elapsed() })
    }

    /// It is killed when we end, however that may be: a process of its own would go on for as long as its kernel does.
    fn command(&self) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(&self.program);
        self.firmware.iter().for_each(|folder| {
            command.arg("-L").arg(folder);
        });
        if let Some(libraries) = &self.libraries {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        command
    }
}

/// How many lines of a console are shown.
const LAST: usize = 15;

/// Reads the console until the machine ends or the time is over. Says which.
fn watch(child: &mut Child, end: Instant) -> Result<(Vec<String>, bool)> {
    let console = child.stdout.take().context("qemu has no output")?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(console).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    let mut lines = Vec::new();
    loop {
        match receiver.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(line) => lines.push(line),
            Err(RecvTimeoutError::Disconnected) => return Ok((lines, true)),
            Err(RecvTimeoutError::Timeout) => return Ok((lines, false)),
        }
    }
}

/// Ends with its owner.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A path with more behind it: a release has dots, so that `with_extension` would cut it.
fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(end);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(script: &str, limit: Duration) -> (Vec<String>, bool) {
        let child = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn();
        let mut child = Guard(child.unwrap_or_else(|error| panic!("{error}")));
        watch(&mut child.0, Instant::now() + limit).unwrap_or_else(|error| panic!("{error:#}"))
    }

    #[test]
    fn a_machine_that_hangs_is_ended_and_its_console_is_kept() {
        let (console, ended) = watched("echo booting; exec sleep 600", Duration::from_secs(2));
        assert_eq!((console, ended), (vec!["booting".to_owned()], false));
        let (console, ended) = watched("printf 'one\\r\\ntwo'", Duration::from_secs(60));
        assert_eq!((console, ended), (vec!["one".to_owned(), "two".to_owned()], true));
    }

    #[test]
    fn an_end_is_put_behind_a_version() {
        assert_eq!(with_end(Path::new("log/6.1.0-57"), "lines"), Path::new("log/6.1.0-57.lines"));
    }
}
