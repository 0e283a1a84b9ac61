//! Writes a record: lines of JSON, the last of which has a checksum of all others.
//!
//! ```text
//! {"dproxy-state":1,"generation":7,"base":6,"at":"2026-05-01T12:00:03Z","by":…,"kind":"edit","what":[…]}
//! {"settings":{"listen":{…},"fast_path":{…},"slow_path":{…},"control":{…}}}
//! {"pool":"cryo","to":{"policy":"maglev",…}}
//! {"route":"cryo.network","to":"cryo"}
//! {"route":"blocked.example","answer":"nxdomain"}
//! {"route":"old.example"}
//! {"lines":6,"crc32":3735928559}
//! ```
//!
//! A pool or route that becomes nothing is removed.

use std::borrow::Cow;
use std::io;

use crc32fast::Hasher;
use serde::{Deserialize, Serialize};

use super::disk::Output;
use super::record::{Content, Header};
use crate::config::{Answer, Pattern, Pool, Settings, Target};

/// The form of records; to be raised when an older dproxy must not read a newer one's.
pub(super) const VERSION: u32 = 1;

/// How much is written at once.
const CHUNK: usize = 64 << 10;

#[derive(Serialize, Deserialize)]
pub(super) struct SettingsLine<T> {
    pub(super) settings: T,
}

#[derive(Serialize, Deserialize)]
pub(super) struct PoolLine<N, T> {
    pub(super) pool: N,
    #[serde(default = "nothing", skip_serializing_if = "Option::is_none")]
    pub(super) to: Option<T>,
}

/// Instead of `Option::default`, for which serde wants a `T: Default`.
fn nothing<T>() -> Option<T> {
    None
}

#[derive(Serialize, Deserialize)]
pub(super) struct RouteLine<'a> {
    #[serde(borrow)]
    pub(super) route: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) to: Option<PoolName<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) answer: Option<Answer>,
}

/// Serde borrows a `Cow` as a field only, not within an `Option`.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct PoolName<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

#[derive(Serialize, Deserialize)]
pub(super) struct EndLine {
    /// How many there are before this one.
    pub(super) lines: u64,
    /// Of all octets before this line.
    pub(super) crc32: u32,
}

/// Writes a record; it is not on the disk yet.
pub(super) fn write(output: &mut dyn Output, header: &Header, content: Content<'_>) -> io::Result<()> {
    #[derive(Serialize)]
    struct FirstLine<'a> {
        #[serde(rename = "dproxy-state")]
        version: u32,
        #[serde(flatten)]
        header: &'a Header,
    }
    let mut lines = Lines { output, buffer: Vec::new(), crc: Hasher::new(), count: 0 };
    lines.put(&FirstLine { version: VERSION, header })?;
    match content {
        Content::Whole(config) => {
            lines.settings(&config.settings())?;
            config.pools.iter().try_for_each(|(name, pool)| lines.pool(name, Some(pool)))?;
            config.routes.iter().try_for_each(|(pattern, target)| lines.route(pattern, Some(target)))?;
        }
        Content::Change { base: _, change } => {
            change.settings.iter().try_for_each(|settings| lines.settings(settings))?;
            change.pools.iter().try_for_each(|(name, pool)| lines.pool(name, pool.as_ref()))?;
            change.routes.iter().try_for_each(|(pattern, target)| lines.route(pattern, target.as_ref()))?;
        }
    }
    lines.end()
}

struct Lines<'a> {
    output: &'a mut dyn Output,
    buffer: Vec<u8>,
    crc: Hasher,
    count: u64,
}

impl Lines<'_> {
    fn settings(&mut self, settings: &Settings) -> io::Result<()> {
        self.put(&SettingsLine { settings })
    }

    fn pool(&mut self, name: &str, to: Option<&Pool>) -> io::Result<()> {
        self.put(&PoolLine { pool: name, to })
    }

    fn route(&mut self, pattern: &Pattern, target: Option<&Target>) -> io::Result<()> {
        let (to, answer) = match target {
            Some(Target::Pool(name)) => (Some(PoolName(Cow::Borrowed(name))), None),
            Some(Target::Answer(answer)) => (None, Some(*answer)),
            None => (None, None),
        };
        self.put(&RouteLine { route: pattern.to_string().into(), to, answer })
    }

    fn put(&mut self, line: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.buffer, line)?;
        self.buffer.push(b'\n');
        self.count += 1;
        if self.buffer.len() < CHUNK { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.crc.update(&self.buffer);
        self.output.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    fn end(mut self) -> io::Result<()> {
        self.flush()?;
        self.put(&EndLine { lines: self.count, crc32: self.crc.clone().finalize() })?;
        self.flush()
    }
}
