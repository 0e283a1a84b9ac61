//! Processor time to the nanosecond, by the clocks that threads and processes have (clock_getcpuclockid(3)).

use std::{fs, io};

use anyhow::{Result, ensure};
use nix::unistd::gettid;

/// What a thread or a process has used. Where the kernel accounts soft interrupts to whom they interrupt, these count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuClock(libc::clockid_t);

/// What the kernel makes of a number (include/linux/posix-timers_types.h).
const SCHEDULED: libc::clockid_t = 2;
const PER_THREAD: libc::clockid_t = 4;

impl CpuClock {
    /// The calling thread's.
    pub fn of_this_thread() -> Self {
        Self(!gettid().as_raw() << 3 | PER_THREAD | SCHEDULED)
    }

    /// A process's and those of the processes that it has started, as long as they live.
    pub fn of_family(pid: u32) -> Vec<Self> {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        let children = children.split_whitespace().filter_map(|child| child.parse().ok());
        [pid]
            .into_iter()
            .chain(children)
            .map(|pid| Self(!(pid as libc::clockid_t) << 3 | SCHEDULED))
            .collect()
    }

    /// Nanoseconds so far.
    pub fn read(self) -> Result<u64> {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the time lives.
        let read = unsafe { libc::clock_gettime(self.0, &raw mut time) };
        ensure!(read == 0, "read a processor clock: {}", io::Error::last_os_error());
        Ok(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn what_is_used_is_seen_from_elsewhere() {
        let (mine, family) = (CpuClock::of_this_thread(), CpuClock::of_family(std::process::id()));
        let read = move || (mine.read().unwrap(), family[0].read().unwrap());
        let before = read.clone()();
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_millis(30) {}
        let after = std::thread::spawn(read).join().unwrap();
        assert!(after.0 > before.0 && after.0 - before.0 < 40_000_000, "{before:?} {after:?}");
        assert!(after.1 - before.1 >= after.0 - before.0, "of all threads, at least that");
    }

    #[test]
    fn who_has_ended_has_no_clock() {
        let ended = std::thread::spawn(CpuClock::of_this_thread).join().unwrap();
        assert!(ended.read().is_err());
    }
}
