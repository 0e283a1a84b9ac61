//! Reads a record, line by line.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use crc32fast::Hasher;
use nix::errno::Errno;
use serde::Deserialize;

use super::error::cause;
use super::record::Header;
use super::write::{EndLine, PoolLine, PoolName, RouteLine, SettingsLine, VERSION};
use crate::config::{Change, Config, Pattern, Pool, Settings, Target};

/// Why a record cannot be had.
#[derive(Debug)]
pub(super) enum Fault {
    /// It is not what was written: what is wrong with it, said of the file.
    Damaged(String),
    /// It may be in order, but the system does not let us read it.
    System(io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.raw_os_error() {
            // The disk itself says so; trying again does not help.
            Some(number) if number == Errno::EIO as i32 => Self::Damaged(cause(&error)),
            _ => Self::System(error),
        }
    }
}

/// What a record says, in the order of the file.
#[derive(Debug, Default)]
pub(super) struct Entries {
    settings: Option<Box<Settings>>,
    pools: Vec<(String, Option<Pool>)>,
    routes: Vec<(Pattern, Option<Target>)>,
}

impl Entries {
    /// Of a record that is relative to another one.
    pub(super) fn into_change(self) -> Change {
        let Self { settings, pools, routes } = self;
        Change { settings, pools: pools.into_iter().collect(), routes: routes.into_iter().collect() }
    }

    /// Of a whole one.
    pub(super) fn into_config(self) -> Config {
        let Self { settings, pools, routes } = self;
        let Settings { listen, fast_path, slow_path, control, health } =
            settings.map_or_else(Settings::default, |s| *s);
        let pools = pools.into_iter().filter_map(|(name, pool)| Some((name, pool?))).collect();
        let routes = routes.into_iter().filter_map(|(pattern, target)| Some((pattern, target?))).collect();
        Config { listen, fast_path, slow_path, control, health, pools, routes }
    }
}

/// The names of pools: all routes to a pool share one.
#[derive(Debug, Default)]
pub(super) struct PoolNames(HashSet<Arc<str>>);

impl PoolNames {
    fn shared(&mut self, name: &str) -> Arc<str> {
        if let Some(shared) = self.0.get(name) {
            return Arc::clone(shared);
        }
        let shared: Arc<str> = name.into();
        self.0.insert(Arc::clone(&shared));
        shared
    }
}

/// Reads the header alone; nothing is known of the rest then.
pub(super) fn header(path: &Path) -> Result<Header, Fault> {
    Lines::open(path)?.header()
}

/// Reads all of a record.
pub(super) fn record(path: &Path, names: &mut PoolNames) -> Result<(Header, Entries), Fault> {
    let mut lines = Lines::open(path)?;
    let header = lines.header()?;
    let mut entries = Entries::default();
    while !lines.entry(&mut entries, names)? {}
    Ok((header, entries))
}

struct Lines {
    input: BufReader<File>,
    /// The one that was read last, with its line feed.
    line: Vec<u8>,
    /// Of the lines before that one.
    crc: Hasher,
    /// How many those are.
    before: u64,
}

impl Lines {
    fn open(path: &Path) -> Result<Self, Fault> {
        let input = BufReader::with_capacity(64 << 10, File::open(path)?);
        Ok(Self { input, line: Vec::new(), crc: Hasher::new(), before: 0 })
    }

    /// Reads the next line, if there is one.
    fn next(&mut self) -> Result<bool, Fault> {
        if !self.line.is_empty() {
            self.crc.update(&self.line);
            self.before += 1;
            self.line.clear();
        }
        self.input.read_until(b'\n', &mut self.line)?;
        Ok(!self.line.is_empty())
    }

    fn header(&mut self) -> Result<Header, Fault> {
        #[derive(Deserialize)]
        struct Version {
            #[serde(rename = "dproxy-state")]
            version: u32,
        }
        if !self.next()? {
            return Err(Fault::Damaged("it is empty".to_owned()));
        }
        match self.parse()? {
            Version { version: VERSION } => self.parse(),
            Version { version } => Err(Fault::Damaged(format!(
                "it is of version {version}, which another dproxy writes; this one reads version {VERSION}"
            ))),
        }
    }

    /// Reads an entry, or the end: is it that?
    fn entry(&mut self, entries: &mut Entries, names: &mut PoolNames) -> Result<bool, Fault> {
        if !self.next()? {
            return Err(Fault::Damaged(format!("it ends behind line {}, without its checksum", self.before)));
        }
        // The first key is what was written first.
        if self.line.starts_with(b"{\"route\"") {
            let RouteLine { route, to, answer } = self.parse()?;
            let pattern = Pattern::from_str(&route).map_err(|error| self.wrong(error.what()))?;
            let pool = to.map(|PoolName(name)| Target::Pool(names.shared(&name)));
            entries.routes.push((pattern, pool.or(answer.map(Target::Answer))));
        } else if self.line.starts_with(b"{\"pool\"") {
            let PoolLine { pool, to } = self.parse()?;
            entries.pools.push((pool, to));
        } else if self.line.starts_with(b"{\"settings\"") {
            let SettingsLine { settings } = self.parse()?;
            entries.settings = Some(settings);
        } else {
            self.end()?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Is this line the end, and are those before it as they were written?
    fn end(&mut self) -> Result<(), Fault> {
        let EndLine { lines, crc32 } = self.parse()?;
        let (before, found) = (self.before, self.crc.clone().finalize());
        if (lines, crc32) != (before, found) {
            return Err(Fault::Damaged(format!(
                "it has {before} lines with checksum {found}, not {lines} with {crc32} as it says"
            )));
        }
        match self.next()? {
            false => Ok(()),
            true => Err(self.wrong("behind the end")),
        }
    }

    fn parse<'de, T: Deserialize<'de>>(&'de self) -> Result<T, Fault> {
        if self.line.last() != Some(&b'\n') {
            return Err(self.wrong("cut off"));
        }
        serde_json::from_slice(&self.line).map_err(|error| self.wrong(error))
    }

    fn wrong(&self, what: impl std::fmt::Display) -> Fault {
        Fault::Damaged(format!("line {}: {what}", self.before + 1))
    }
}
