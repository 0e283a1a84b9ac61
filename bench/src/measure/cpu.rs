//! Where processor time went: what the kernel has accounted to a process, and to each processor.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::unistd::{SysconfVar, sysconf};
use serde::Serialize;

/// Processor time of a process, of all its threads, those that have ended included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ProcessTime {
    /// In user mode, nanoseconds.
    pub user_ns: u64,
    /// In the kernel, nanoseconds.
    pub system_ns: u64,
}

/// What a processor did, nanoseconds; sampled by the kernel at each of its ticks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ProcessorTime {
    /// Anything but waiting, interrupts included.
    pub busy_ns: u64,
    /// Of that, in soft interrupts: where packets are received.
    pub softirq_ns: u64,
    /// Not ours: another guest of the host ran.
    pub steal_ns: u64,
}

impl ProcessTime {
    /// What the process has used so far.
    pub fn of(pid: u32) -> Result<Self> {
        let path = format!("/proc/{pid}/stat");
        let stat = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        Self::parse(&stat, tick()).with_context(|| format!("{path} is not as proc(5) has it: {stat}"))
    }

    /// Both kinds.
    pub fn total_ns(self) -> u64 {
        self.user_ns + self.system_ns
    }

    /// What was used after `earlier`.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            user_ns: self.user_ns.saturating_sub(earlier.user_ns),
            system_ns: self.system_ns.saturating_sub(earlier.system_ns),
        }
    }

    /// The name in parentheses may have spaces and parentheses itself: fields count from the last one.
    fn parse(stat: &str, tick: Duration) -> Option<Self> {
        let (_, fields) = stat.rsplit_once(") ")?;
        // The first of these is field 3; utime is field 14, stime is field 15.
        let mut times = fields.split(' ').skip(14 - 3).map(|ticks| nanoseconds(ticks, tick));
        Some(Self { user_ns: times.next()??, system_ns: times.next()?? })
    }
}

impl ProcessorTime {
    /// All processors, in their order.
    pub fn of_all() -> Result<Vec<Self>> {
        let stat = fs::read_to_string("/proc/stat").context("read /proc/stat")?;
        Self::parse(&stat, tick()).context("/proc/stat is not as proc(5) has it")
    }

    /// What happened after `earlier`.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            busy_ns: self.busy_ns.saturating_sub(earlier.busy_ns),
            softirq_ns: self.softirq_ns.saturating_sub(earlier.softirq_ns),
            steal_ns: self.steal_ns.saturating_sub(earlier.steal_ns),
        }
    }

    fn parse(stat: &str, tick: Duration) -> Option<Vec<Self>> {
        let lines = stat.lines().filter(|line| line.starts_with("cpu") && !line.starts_with("cpu "));
        lines.map(|line| Self::parse_line(line, tick)).collect()
    }

    fn parse_line(line: &str, tick: Duration) -> Option<Self> {
        let fields = line.split_whitespace().skip(1).map(|ticks| nanoseconds(ticks, tick));
        let fields: Vec<u64> = fields.collect::<Option<_>>()?;
        let [user, nice, system, _idle, _iowait, irq, softirq, steal, ..] = fields[..] else { return None };
        let busy_ns = user + nice + system + irq + softirq;
        Some(Self { busy_ns, softirq_ns: softirq, steal_ns: steal })
    }
}

fn nanoseconds(ticks: &str, tick: Duration) -> Option<u64> {
    Some(ticks.parse::<u64>().ok()? * tick.as_nanos() as u64)
}

/// The unit of both files (proc(5)); 10 ms on every Linux there is.
fn tick() -> Duration {
    let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().and_then(|ticks| u32::try_from(ticks).ok());
    Duration::from_secs(1) / per_second.unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(10);

    #[test]
    fn a_processs_time_is_read_behind_its_name() {
        let stat = "77 (a) b (c) S 1 2 3 0 -1 4194560 1234 0 5 0 250 31 7 8 20 0 9 0 100 1 2";
        let time = ProcessTime::parse(stat, TICK).unwrap();
        assert_eq!(time, ProcessTime { user_ns: 2_500_000_000, system_ns: 310_000_000 });
        assert_eq!(ProcessTime::parse("77 (short) S 1 2", TICK), None);
    }

    #[test]
    fn this_process_has_used_time() {
        let spin = std::time::Instant::now();
        while spin.elapsed() < 3 * TICK {}
        assert!(ProcessTime::of(std::process::id()).unwrap().total_ns() > 0);
        assert!(!ProcessorTime::of_all().unwrap().is_empty());
    }

    #[test]
    fn each_processor_is_read_and_the_sum_of_all_is_not() {
        let stat = "cpu  9 9 9 9 9 9 9 9 0 0\n\
                    cpu0 100 1 20 999 5 3 40 7 0 0\ncpu1 1 0 0 0 0 0 0 0 0 0\nintr 12 0\n";
        let tick = TICK.as_nanos() as u64;
        let expected = [(164, 40, 7), (1, 0, 0)].map(|(busy, softirq, steal)| ProcessorTime {
            busy_ns: busy * tick,
            softirq_ns: softirq * tick,
            steal_ns: steal * tick,
        });
        assert_eq!(ProcessorTime::parse(stat, TICK).unwrap(), expected);
        assert_eq!(ProcessorTime::parse("cpu0 1 2 x", TICK), None);
    }
}
