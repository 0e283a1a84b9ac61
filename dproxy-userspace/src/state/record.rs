//! What is written down about a generation.

use serde::{Deserialize, Serialize};

use crate::config::{Change, Config};
use crate::daemon::Who;

/// Who made a generation, when and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Its number.
    pub generation: u64,
    /// The generation that the record is relative to; `None`: it is a whole configuration.
    pub base: Option<u64>,
    /// When it was written: RFC 3339, in UTC.
    pub at: String,
    /// Who asked for it.
    pub by: Who,
    /// The operation that made it.
    pub kind: Kind,
    /// What was done: a sentence an edit.
    pub what: Vec<String>,
    /// The generation that a rollback went back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back_to: Option<u64>,
}

/// The operation that made a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A start without a saved state.
    Start,
    /// A live edit, or several.
    Edit,
    /// A whole file.
    Apply,
    /// A switch from a pool to another.
    Switch,
    /// The way back to an earlier generation.
    Rollback,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Start => "start",
            Self::Edit => "edit",
            Self::Apply => "apply",
            Self::Switch => "switch",
            Self::Rollback => "rollback",
        })
    }
}

/// A generation to be written down.
#[derive(Clone, Debug)]
pub struct Record<'a> {
    /// Its number: that of [`Store::next_generation`](super::Store::next_generation).
    pub generation: u64,
    /// Who asked for it.
    pub by: Who,
    /// The operation that made it.
    pub kind: Kind,
    /// What was done: a sentence an edit.
    pub what: Vec<String>,
    /// The generation that a rollback goes back to.
    pub back_to: Option<u64>,
    /// Does it go away with a restart, unless it is confirmed?
    pub unconfirmed: bool,
    /// The configuration.
    pub content: Content<'a>,
}

/// A configuration, or what makes it out of another one.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// All of it.
    Whole(&'a Config),
    /// What is changed.
    Change {
        /// In which generation; there must be a record of it.
        base: u64,
        /// To what.
        change: &'a Change,
    },
}

impl Content<'_> {
    pub(super) fn base(self) -> Option<u64> {
        match self {
            Self::Whole(_) => None,
            Self::Change { base, change: _ } => Some(base),
        }
    }
}
