//! The memory of a process, and that of its maps.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};
use serde::Serialize;

/// What a process takes.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Memory {
    /// Its own: stacks and heap, as far as there is memory behind them.
    pub anonymous: u64,
    /// That of the maps that it has open, as the kernel accounts it.
    pub maps: u64,
}

impl Memory {
    /// Looks at a process.
    pub fn of(pid: u32) -> Result<Self> {
        let path = format!("/proc/{pid}/status");
        let status = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        let anonymous = field(&status, "RssAnon:").context("the kernel does not tell RssAnon")?;
        Ok(Self { anonymous: anonymous << 10, maps: maps(pid)? })
    }
}

/// Each map counts once, whoever has opened it how often.
fn maps(pid: u32) -> Result<u64> {
    let mut maps = BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
        // A descriptor may have been closed in the meantime.
        let info = fs::read_to_string(entry?.path()).unwrap_or_default();
        maps.extend(field(&info, "map_id:").zip(field(&info, "memlock:")));
    }
    Ok(maps.values().sum())
}

/// The number behind a name at the beginning of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found() {
        let status = "Name:\tRssAnon: 7\nVmRSS:\t  5412 kB\nRssAnon:\t   988 kB\n";
        assert_eq!((field(status, "RssAnon:"), field(status, "RssFile:")), (Some(988), None));
    }

    #[test]
    fn we_take_some() {
        assert!(Memory::of(std::process::id()).unwrap().anonymous > 0);
    }
}
