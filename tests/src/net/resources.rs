//! What a process uses, and what ours may.

use std::fs;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Octets of a process that are in memory and in no file: what it has allocated and used.
pub fn allocated(process: u32) -> u64 {
    let path = format!("/proc/{process}/status");
    let status = fs::read_to_string(&path).unwrap_or_else(|error| panic!("read {path}: {error}"));
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    // "     1234 kB"
    let number = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    number.unwrap_or_else(|| panic!("{path} tells no RssAnon")) * 1024
}

/// Lets this process have at least so many files open.
pub fn raise_file_limit(files: u64) {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let limit = hard.max(files);
    setrlimit(Resource::RLIMIT_NOFILE, limit, limit).unwrap();
}
