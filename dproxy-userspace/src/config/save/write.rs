//! Writes files so that each has its old text or its new one, whatever happens.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use super::{Rewrite, SaveError};

/// Writes what [`Config::rewrites`](crate::config::Config::rewrites) gave. Mode and owner of the files stay. None
/// is touched before all new texts are safe on the disk.
pub fn write_files(rewrites: &[Rewrite]) -> Result<(), SaveError> {
    let mut prepared = Vec::new();
    for Rewrite { path, text, before } in rewrites {
        let unwritable = |error| SaveError::Unwritable { path: path.clone(), error };
        if fs::read(path).map_err(unwritable)? != before.as_bytes() {
            return Err(SaveError::Changed(path.clone()));
        }
        prepared.push(Prepared::new(path, text).map_err(unwritable)?);
    }
    for (prepared, Rewrite { path, .. }) in prepared.iter_mut().zip(rewrites) {
        prepared.put().map_err(|error| SaveError::Unwritable { path: path.clone(), error })?;
    }
    Ok(())
}

/// A new text beside the file that it is for; removed if it does not get there.
struct Prepared {
    temporary: PathBuf,
    file: PathBuf,
    in_place: bool,
}

impl Prepared {
    fn new(path: &Path, text: &str) -> io::Result<Self> {
        // A link stays a link.
        let file = fs::canonicalize(path)?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        // Hidden, so that no `include` finds it.
        let temporary = file.with_file_name(format!(".{name}.{}", std::process::id()));
        // One that is there was left behind by a predecessor of the same number that was killed.
        let _ = fs::remove_file(&temporary);
        let mut new = File::options().write(true).create_new(true).mode(0o600).open(&temporary)?;
        let prepared = Self { temporary, file, in_place: false };
        let old = fs::metadata(&prepared.file)?;
        new.write_all(text.as_bytes())?;
        let made = new.metadata()?;
        if (made.uid(), made.gid()) != (old.uid(), old.gid()) {
            fchown(&new, Some(old.uid()), Some(old.gid()))?;
        }
        // Behind the owner, whose change may clear bits of it.
        new.set_permissions(old.permissions())?;
        new.sync_all()?;
        Ok(prepared)
    }

    fn put(&mut self) -> io::Result<()> {
        fs::rename(&self.temporary, &self.file)?;
        self.in_place = true;
        let folder = self.file.parent().unwrap_or(Path::new("/"));
        File::open(folder)?.sync_all()
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        if !self.in_place {
            // It is in nobody's way if that fails.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}
