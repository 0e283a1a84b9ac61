//! What a restart has to know: who was down. A file in the state folder.
//!
//! It is no more than a hint: without it, everybody is checked anew. So a file that cannot be read is as good as none,
//! and none is synced.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::checks::{Id, Picture};
use super::member::{Member, Now, State};

/// The file's name.
pub const FILE: &str = "health";

/// Who was down when the daemon ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept(BTreeMap<Id, Down>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Down {
    pool: Arc<str>,
    backend: SocketAddr,
    /// Seconds since 1970.
    since: u64,
    why: String,
    flaps: u64,
}

#[derive(Serialize, Deserialize)]
struct Contents {
    down: Vec<Down>,
}

impl Kept {
    /// Reads the file in a state folder; empty if there is none.
    pub fn read(folder: &Path) -> io::Result<Self> {
        let text = match fs::read(folder.join(FILE)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            other => other?,
        };
        let Contents { down } = serde_json::from_slice(&text)?;
        Ok(Self(down.into_iter().map(|down| ((Arc::clone(&down.pool), down.backend), down)).collect()))
    }

    /// What is to be kept of a picture.
    pub fn of(picture: &Picture) -> Self {
        let is_down = picture.iter().filter(|(_, portrait)| portrait.state == State::Down);
        let down = is_down.map(|(id, portrait)| {
            let why = portrait.cause.as_ref().map(ToString::to_string).unwrap_or_default();
            // Who is down over many restarts is not "as before the restart: as before the restart: …".
            let why = why.rsplit("as before the restart: ").next().unwrap_or_default().to_owned();
            let since = portrait.since.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
            let down = Down { pool: Arc::clone(&id.0), backend: id.1, since, why, flaps: portrait.flaps };
            (id.clone(), down)
        });
        Self(down.collect())
    }

    /// Writes the file, so that it is there whole or as it was.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let contents = Contents { down: self.0.values().cloned().collect() };
        let temporary = folder.join(format!("{FILE}.new"));
        fs::write(&temporary, serde_json::to_vec(&contents)?)?;
        fs::rename(temporary, folder.join(FILE))
    }

    /// A member as it begins: with what was kept of it.
    pub(super) fn member(&self, id: &Id, now: Now) -> Member {
        match self.0.get(id) {
            Some(Down { since, why, flaps, .. }) => {
                Member::down_before(now, UNIX_EPOCH + Duration::from_secs(*since), why, *flaps)
            }
            None => Member::new(now),
        }
    }
}
