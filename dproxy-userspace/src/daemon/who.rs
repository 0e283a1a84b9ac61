//! Who changes the configuration.

use std::fmt;

use nix::unistd::{Uid, User};
use serde::{Deserialize, Serialize};

/// Who made a change, for the log and the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Who {
    /// A process on the control socket.
    Peer {
        /// Its user id.
        uid: u32,
        /// The user's name, if the host knows one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<String>,
        /// Its process id, unless it is of another process namespace.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        process: Option<i32>,
    },
    /// Whoever sent a SIGHUP.
    Signal,
    /// The daemon, by itself.
    Daemon,
}

impl Who {
    /// The process on the other side of the control socket.
    pub fn peer(uid: u32, process: Option<i32>) -> Self {
        let user = User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name);
        Self::Peer { uid, user, process }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer { uid, user, process } => {
                match user {
                    Some(user) => write!(f, "{user}")?,
                    None => write!(f, "uid {uid}")?,
                }
                process.map_or(Ok(()), |process| write!(f, " (process {process})"))
            }
            Self::Signal => f.write_str("SIGHUP"),
            Self::Daemon => f.write_str("dproxy"),
        }
    }
}
