//! What is where in the state folder.

use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use super::disk::Disk;

/// The paths in a state folder.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    path: PathBuf,
    generations: PathBuf,
}

/// A file that belongs to a state folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Entry {
    /// What was being written when the daemon ended.
    Temporary(OsString),
    Record(u64),
    Unconfirmed(u64),
    Damaged(u64),
}

impl Folder {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), generations: path.join("generations") }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.path.join("lock")
    }

    /// The folder that the records are in.
    pub(super) fn generations(&self) -> &Path {
        &self.generations
    }

    pub(super) fn record(&self, generation: u64) -> PathBuf {
        self.generations.join(generation.to_string())
    }

    pub(super) fn unconfirmed(&self, generation: u64) -> PathBuf {
        self.generations.join(format!("{generation}.unconfirmed"))
    }

    pub(super) fn damaged(&self, generation: u64) -> PathBuf {
        self.generations.join(format!("{generation}.damaged"))
    }

    pub(super) fn temporary(&self, generation: u64) -> PathBuf {
        self.generations.join(format!(".{generation}"))
    }

    /// Creates what is missing of the folders, durably.
    pub(super) fn create(&self, disk: &dyn Disk) -> io::Result<()> {
        if self.generations.is_dir() {
            return Ok(());
        }
        DirBuilder::new().recursive(true).mode(0o750).create(&self.generations)?;
        if let Some(parent) = self.path.parent() {
            // It may be somebody else's, who does not let us read it: no reason to do without a state.
            let _ = disk.sync_folder(parent);
        }
        disk.sync_folder(&self.path)
    }

    /// Can files be created in the folder, as far as one sees without creating one?
    pub(super) fn writable(&self) -> io::Result<()> {
        Ok(access(&self.generations, AccessFlags::R_OK | AccessFlags::W_OK | AccessFlags::X_OK)?)
    }

    /// What is there, by kind and number. Files that are none of ours are left out.
    pub(super) fn list(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.generations)? {
            entries.extend(Entry::from_name(entry?.file_name()));
        }
        entries.sort();
        Ok(entries)
    }
}

impl Entry {
    fn from_name(name: OsString) -> Option<Self> {
        let text = name.to_str()?;
        if text.starts_with('.') {
            return Some(Self::Temporary(name));
        }
        let (number, ending) = text.split_once('.').unwrap_or((text, ""));
        let generation: u64 = number.parse().ok()?;
        let entry = match ending {
            "" => Self::Record(generation),
            "unconfirmed" => Self::Unconfirmed(generation),
            "damaged" => Self::Damaged(generation),
            _ => return None,
        };
        // Such as "007", which `parse` takes.
        (generation.to_string() == number).then_some(entry)
    }
}
