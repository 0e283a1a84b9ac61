//! The files that a configuration was read from: are they still the same?

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::include;

/// The files that a configuration was read from, as they were just before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    pub(super) versions: Vec<(PathBuf, Option<Version>)>,
    pub(super) matched: Vec<Matched>,
}

/// What becomes another when a file is written to, or replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version {
    written: Option<SystemTime>,
    length: u64,
    inode: u64,
}

/// A pattern of `include`, and the files that matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Matched {
    pub(super) pattern: String,
    pub(super) files: Vec<PathBuf>,
}

impl Files {
    /// Is none of them another by now, and would `include` still find these and no others?
    pub fn are_the_same(&self) -> bool {
        let is_same =
            |(path, version): &(PathBuf, Option<Version>)| Version::of(path).as_ref() == version.as_ref();
        let still_match =
            |Matched { pattern, files }: &Matched| include::expand(pattern).as_ref() == Ok(files);
        self.versions.iter().all(is_same) && self.matched.iter().all(still_match)
    }
}

impl Version {
    /// That of a file as it is now; none if there is no such file.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self { written: metadata.modified().ok(), length: metadata.len(), inode: metadata.ino() })
    }
}
