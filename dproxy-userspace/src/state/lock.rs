//! One daemon to a state folder.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use nix::fcntl::{Flock, FlockArg};

/// The right to use a folder, until it is dropped or the process ends.
///
/// The file is never removed: who removes a lock takes it from under a third one's feet.
#[derive(Debug)]
pub(super) struct Lock {
    _file: Flock<File>,
}

/// Why the lock was not taken.
#[derive(Debug)]
pub(super) enum LockError {
    /// Another process has it.
    Held(Option<i32>),
    /// The file cannot be opened.
    System(io::Error),
}

impl Lock {
    /// Takes the lock and notes in it who has it. A file that is there is enough on a disk that cannot be
    /// written.
    pub(super) fn take(path: &Path) -> Result<Self, LockError> {
        let mut options = OpenOptions::new();
        options.read(true);
        let file = options.clone().write(true).create(true).truncate(false).open(path);
        let file = file.or_else(|error| options.open(path).map_err(|_| error)).map_err(LockError::System)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut file) => {
                // For a message only: the lock holds without it.
                let _ = note(&mut file);
                Ok(Self { _file: file })
            }
            Err((file, nix::Error::EWOULDBLOCK)) => Err(LockError::Held(holder(file))),
            Err((_, error)) => Err(LockError::System(error.into())),
        }
    }
}

fn note(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())
}

fn holder(mut file: File) -> Option<i32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
