//! The machine, as far as it matters to who wants to believe the figures.

use std::fmt;
use std::fs;
use std::process::Command;

use serde::Serialize;

/// What the machine is, and what it was doing.
#[derive(Debug, Serialize)]
pub struct Machine {
    /// When we began, UTC.
    date: String,
    kernel: String,
    processor: String,
    processors: usize,
    memory_mib: u64,
    /// Over the minute before we began.
    load_average: f64,
}

impl Machine {
    /// Looks at this machine. What cannot be found out stays empty.
    pub fn look() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let (cpuinfo, meminfo, loadavg) =
            (read("/proc/cpuinfo"), read("/proc/meminfo"), read("/proc/loadavg"));
        let memory_kib =
            field(&meminfo, "MemTotal").and_then(|size| size.split(' ').next()?.parse::<u64>().ok());
        Self {
            date: date(),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            processor: field(&cpuinfo, "model name").unwrap_or_default().to_owned(),
            processors: cpuinfo.lines().filter(|line| line.starts_with("processor")).count(),
            memory_mib: memory_kib.unwrap_or_default() / 1024,
            load_average: loadavg.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or_default(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { date, kernel, processor, processors, memory_mib, load_average } = self;
        write!(f, "{date}, Linux {kernel}, {processors} × {processor}, {memory_mib} MiB")?;
        if *load_average > 0.5 {
            write!(f, "\nThe machine was busy with other things (load average {load_average}).")?;
        }
        Ok(())
    }
}

/// The value of `name : value`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'))?;
    Some(line.trim())
}

fn date() -> String {
    let output = Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%SZ"]).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_whatever_stands_before_the_colon() {
        assert_eq!(
            field("processor\t: 0\nmodel name\t: A CPU @ 2 GHz\n", "model name"),
            Some("A CPU @ 2 GHz")
        );
        assert_eq!(field("MemTotal:       24105 kB\n", "MemTotal"), Some("24105 kB"));
        assert_eq!(field("MemTotalX: 1\n", "MemTotal"), None);
    }

    #[test]
    fn the_machine_is_seen() {
        let machine = Machine::look();
        assert!(machine.processors > 0 && machine.memory_mib > 0 && !machine.kernel.is_empty());
        assert_eq!(machine.date.len(), "2026-01-01T00:00:00Z".len());
    }
}
