//! Why the state folder cannot be used.

use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

/// What went wrong with the state folder. The text says where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Another daemon uses the folder.
    #[error(
        "state folder {} is in use by {}; stop that one, or name another folder with --state",
        .folder.display(), .process.map_or_else(|| "another dproxy".to_owned(), |id| format!("process {id}"))
    )]
    Locked {
        /// The folder.
        folder: PathBuf,
        /// The daemon's process, if it is known.
        process: Option<i32>,
    },
    /// Nothing can be written there.
    #[error("cannot write in {}: {cause}; {advice}", .folder.display())]
    Write {
        /// The folder.
        folder: PathBuf,
        /// Why it failed.
        cause: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// The folder could not be used at first, and has a history of its own.
    #[error(
        "state folder {} has turned up with generations that dproxy did not start with; restart dproxy to go \
         on with those, or name another folder with --state", .0.display()
    )]
    Changed(PathBuf),
    /// Something cannot be read that may well be in order.
    #[error("cannot read {}: {cause}; make it readable for dproxy, or move it away", .path.display())]
    Read {
        /// What was to be read.
        path: PathBuf,
        /// Why it failed.
        cause: String,
    },
    /// A record cannot be used.
    #[error("generation {generation} is damaged: {}: {why}; go back to another one: {kept}", .path.display())]
    Damaged {
        /// The generation that was asked for.
        generation: u64,
        /// The record that it needs.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
        /// The generations that are kept.
        kept: String,
    },
    /// There is no record of the generation, or none any more.
    #[error("generation {generation} is not kept; kept are: {kept}")]
    NotKept {
        /// The generation that was asked for.
        generation: u64,
        /// Those that are kept.
        kept: String,
    },
    /// A generation has the number already.
    #[error("generation {generation} cannot be written: the next one is {next}")]
    Taken {
        /// The number that was to be used.
        generation: u64,
        /// The number to use.
        next: u64,
    },
    /// There is no such generation to confirm or to discard.
    #[error("generation {0} does not wait for its confirmation; nothing to do")]
    NotUnconfirmed(u64),
}

impl StateError {
    pub(super) fn write(folder: &Path, error: &io::Error) -> Self {
        let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        let advice = match full {
            true => "edits are refused until there is room; make some, or name another folder with --state",
            false => "edits are refused until the folder can be written, or name another with --state",
        };
        Self::Write { folder: folder.to_owned(), cause: cause(error), advice }
    }

    pub(super) fn read(path: &Path, error: &io::Error) -> Self {
        Self::Read { path: path.to_owned(), cause: cause(error) }
    }
}

/// The cause without the number that the standard library puts behind it.
pub(super) fn cause(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => Errno::from_raw(number).desc().to_owned(),
        None => error.to_string(),
    }
}
