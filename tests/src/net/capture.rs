//! What tcpdump sees.

use std::io::{BufRead, BufReader, Read};
use std::process::{ChildStderr, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use dproxy_lab::Namespace;
use nix::sys::signal::Signal;

use super::POLL;
use super::commands::{Killed, end, installed, wait};

const START: Duration = Duration::from_secs(10);
const STOP: Duration = Duration::from_secs(5);

/// A running tcpdump.
pub struct Capture {
    tcpdump: Killed,
    text: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
}

impl Capture {
    /// Captures from an interface what `filter` lets through; when this returns, it has begun.
    pub fn start(namespace: &Namespace, interface: &str, filter: &str) -> Self {
        let mut command = namespace.command(installed("tcpdump"));
        // -vv checks checksums, -e shows link-layer headers, -xx all octets. Its buffer has a fixed number
        // of places of the size -s, eight if that is left as it is.
        command.args(["-i", interface, "-vvnnexx", "-l", "--immediate-mode", "-s", "2048", filter]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut tcpdump = Killed(child.unwrap());
        wait_until_it_listens(tcpdump.0.stderr.take().unwrap());

        let text = Arc::new(Mutex::new(String::new()));
        let (mut output, sink) = (tcpdump.0.stdout.take().unwrap(), Arc::clone(&text));
        let reader = spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut buffer) {
                sink.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..length]));
            }
        });
        Self { tcpdump, text, reader }
    }

    /// Waits for a frame, of which it returns all octets.
    pub fn find(&self, is_it: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        self.wait("that is looked for", |frames| frames.iter().find(|frame| is_it(frame)).cloned())
    }

    /// Waits until there are so many frames, stops, and returns what tcpdump said about them.
    pub fn stop(mut self, number: usize) -> String {
        self.wait(&format!("number {number}"), |frames| (frames.len() >= number).then_some(()));
        end(self.tcpdump.0.id(), Signal::SIGINT);
        wait(&mut self.tcpdump.0, STOP);
        self.reader.join().unwrap();
        self.text.lock().unwrap().clone()
    }

    fn wait<T>(&self, which: &str, look: impl Fn(&[Vec<u8>]) -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            let text = self.text.lock().unwrap().clone();
            let frames = frames(&text);
            if let Some(found) = look(&frames) {
                return found;
            }
            assert!(start.elapsed() < STOP, "no frame {which} among {}:\n{text}", frames.len());
            sleep(POLL);
        }
    }
}

fn wait_until_it_listens(errors: ChildStderr) {
    let (sender, listens) = std::sync::mpsc::channel();
    // Read to its end: tcpdump must not find it closed.
    spawn(move || {
        for line in BufReader::new(errors).lines().map_while(Result::ok) {
            if line.contains("listening on ") {
                let _ = sender.send(());
            }
        }
    });
    listens.recv_timeout(START).expect("tcpdump listens");
}

/// The octets of each frame, from `\t0x0010:  0a35 0101 …`.
fn frames(text: &str) -> Vec<Vec<u8>> {
    let mut frames: Vec<Vec<u8>> = Vec::new();
    // A line without its end is not whole yet.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    for (offset, words) in whole.lines().filter_map(|line| line.strip_prefix("\t0x")?.split_once(":  ")) {
        if offset == "0000" {
            frames.push(Vec::new());
        }
        let digits: String = words.split_whitespace().collect();
        let octets =
            (0..digits.len() / 2).map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap());
        frames.last_mut().unwrap().extend(octets);
    }
    frames
}
