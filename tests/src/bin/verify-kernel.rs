//! The first process of a virtual machine, for `cargo xtask verify-kernels`: loads all programs as the daemon does, runs
//! the golden table in them, says what came of it, and ends the machine.
//!
//! Each thing it says is a line of words with tabs between them, on the second serial port: the first one is the
//! console, where the kernel writes whenever it likes. Under any other process than the first, it does the same to the
//! kernel that runs, and prints its lines.

#![expect(clippy::expect_used, reason = "what goes wrong is told by the panic hook")]

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Mutex;
use std::{panic, process, thread};

use dproxy_tests::{cases, golden, kernel::InKernel};
use dproxy_userspace::datapath::LoadError;
use nix::mount::{MsFlags, mount};
use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};

/// The index of the loopback interface in any network namespace. Frames come in here.
const LOOPBACK: u32 = 1;
/// Where frames go out: `BPF_PROG_TEST_RUN` sends none, so there need not be such an interface.
const ELSEWHERE: u32 = 2;

fn main() {
    let is_first = process::id() == 1;
    if is_first {
        mount_all();
    }
    let lines: Box<dyn Write + Send> =
        if is_first { Box::new(second_port()) } else { Box::new(io::stdout()) };
    let lines = Lines(Mutex::new(lines));
    // Linux before 5.11 counts maps as locked memory.
    setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY).expect("locked memory has no limit");
    match panic::catch_unwind(|| verify(&lines)) {
        Ok(Ok(())) => lines.say(&["end"]),
        Ok(Err(refusal)) => lines.say(&["refused", &refusal.to_string()]),
        Err(panic) => lines.say(&["failed", &text_of(panic.as_ref())]),
    }
    drop(lines);
    if is_first {
        end_machine();
    }
}

/// Loads the programs as the daemon does, quiet and with a line about each packet, and runs the golden table.
fn verify(lines: &Lines) -> Result<(), LoadError> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("/proc is mounted");
    lines.say(&["kernel", release.trim()]);
    let world = cases::world([LOOPBACK, ELSEWHERE]);
    for (how, logs) in [("plain", false), ("logging", true)] {
        let mut loaded = InKernel::try_load(&world, logs)?;
        for program in loaded.kernel.programs() {
            let verified = program.verified_instructions.expect("this kernel tells (Linux 5.16)");
            lines.say(&["program", program.name, how, &verified.to_string()]);
        }
        let frames = golden::run(&mut loaded, LOOPBACK);
        lines.say(&["frames", how, &frames.to_string()]);
    }
    Ok(())
}

/// Where the lines go.
struct Lines(Mutex<Box<dyn Write + Send>>);

impl Lines {
    fn say(&self, words: &[&str]) {
        let words: Vec<_> = words.iter().map(|word| word.replace(['\t', '\n', '\r'], " ")).collect();
        let mut lines = self.0.lock().expect("whoever writes a line does not panic");
        writeln!(lines, "{}", words.join("\t")).expect("a line can be written");
    }
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> String {
    let literal = panic.downcast_ref::<&str>().map(ToString::to_string);
    literal.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".to_owned())
}

/// All that the daemon finds on any host.
fn mount_all() {
    for (kind, place) in [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("bpf", "/sys/fs/bpf")]
    {
        fs::create_dir_all(place).unwrap_or_else(|error| panic!("cannot create {place}: {error}"));
        mount(Some(kind), Path::new(place), Some(kind), MsFlags::empty(), None::<&str>)
            .unwrap_or_else(|error| panic!("cannot mount {place}: {error}"));
    }
}

fn second_port() -> File {
    let port = fs::OpenOptions::new().write(true).open("/dev/ttyS1");
    port.expect("this machine has a second serial port")
}

/// Reboots, which `-no-reboot` makes the end of the machine.
fn end_machine() {
    let asked = fs::write("/proc/sysrq-trigger", "b");
    asked.expect("this kernel takes SysRq from root");
    loop {
        // The end of the first process would be a kernel panic.
        thread::park();
    }
}
