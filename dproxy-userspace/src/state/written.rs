//! A record that has no name yet.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::Disk;
use super::record::{Content, Header};
use super::write::write;

/// A record that is on the disk under a temporary name. Dropped, it is removed.
#[derive(Debug)]
#[must_use = "it is removed unless it is committed"]
pub struct Written {
    disk: Arc<dyn Disk>,
    temporary: PathBuf,
    named: bool,
    pub(super) header: Header,
    pub(super) unconfirmed: bool,
}

impl Written {
    /// Writes a record and waits until it is on the disk.
    pub(super) fn new(
        disk: &Arc<dyn Disk>,
        temporary: PathBuf,
        header: Header,
        content: Content<'_>,
    ) -> io::Result<Self> {
        // Made before anything can fail, so that the file is removed then, too.
        let written = Self { disk: Arc::clone(disk), temporary, named: false, header, unconfirmed: false };
        let mut output = disk.create(&written.temporary)?;
        write(output.as_mut(), &written.header, content)?;
        output.sync()?;
        Ok(written)
    }

    /// Gives it its name, which is not on the disk yet.
    pub(super) fn rename(&mut self, name: &Path) -> io::Result<()> {
        self.disk.rename(&self.temporary, name)?;
        self.named = true;
        Ok(())
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        if !self.named {
            // If that fails, the next start tries again.
            let _ = self.disk.remove(&self.temporary);
        }
    }
}
