//! The steps in which a daemon writes: each can be looked at, and the daemon killed in front of it.

use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;

use super::commands::{Killed, end, installed, wait};

const PATIENCE: Duration = Duration::from_secs(10);
/// All that can change a file or a folder, and `openat`, which can create one.
const CALLS: &str = "openat,write,pwrite64,writev,pwritev,ftruncate,fallocate,fsync,fdatasync,sync_file_range,\
                     rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,rmdir,fchmod";

/// A system call on a file that somebody watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its name.
    pub call: String,
    /// How many of this name there were with it.
    number: usize,
    text: String,
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// strace on a running process, for system calls on some files.
pub struct Tracer {
    strace: Killed,
    messages: BufReader<ChildStderr>,
    output: PathBuf,
}

impl Tracer {
    /// Watches what a process does to `files` from now on; with a step, kills it before it takes that.
    pub fn attach(process: u32, files: &[PathBuf], output: &Path, kill_before: Option<&Step>) -> Self {
        let mut command = Command::new(installed("strace"));
        command.args(["-f", "-s", "0", "-p", &process.to_string()]).arg("-o").arg(output);
        command.args(["-e", &format!("trace={CALLS}"), "-e", "signal=none"]);
        if let Some(Step { call, number, .. }) = kill_before {
            command.args(["-e", &format!("inject={call}:signal=KILL:when={number}")]);
        }
        for file in files {
            command.arg("-P").arg(file);
        }
        let mut strace = Killed(command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap());
        let mut messages = BufReader::new(strace.0.stderr.take().unwrap());
        let mut message = String::new();
        while !message.contains(" attached") {
            message.clear();
            let length = messages.read_line(&mut message).unwrap();
            assert!(length > 0, "strace has ended and has not attached to process {process}");
        }
        Self { strace, messages, output: output.to_owned() }
    }

    /// Leaves the process alone from now on; the steps that it has taken.
    pub fn steps(mut self) -> Vec<Step> {
        if self.strace.0.try_wait().unwrap().is_none() {
            end(self.strace.0.id(), Signal::SIGINT);
        }
        wait(&mut self.strace.0, PATIENCE);
        drop(self.messages);
        let output = fs::read_to_string(&self.output).unwrap();
        let mut steps: Vec<Step> = Vec::new();
        // `17 rename("/a", "/b") = 0`
        for text in output.lines().filter_map(|line| Some(line.split_once(' ')?.1.trim())) {
            let Some((call, _)) = text.split_once('(') else { continue };
            let number = 1 + steps.iter().filter(|step| step.call == call).count();
            steps.push(Step { call: call.to_owned(), number, text: text.to_owned() });
        }
        steps
    }
}
