//! Taking possession of the folder, and stock of what is in it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::disk::Disk;
use super::error::StateError;
use super::folder::{Entry, Folder};
use super::lock::{Lock, LockError};
use super::record::Header;
use super::store::Store;

impl Store {
    pub(super) fn open_on(disk: Arc<dyn Disk>, folder: &Path) -> Result<Self, StateError> {
        let folder = Folder::new(folder);
        let created = folder.create(disk.as_ref());
        let (lock, locked) = match Lock::take(&folder.lock()) {
            Ok(lock) => (Some(lock), Ok(())),
            Err(LockError::Held(process)) => {
                return Err(StateError::Locked { folder: folder.path().to_owned(), process });
            }
            Err(LockError::System(error)) => (None, Err(error)),
        };
        let writable = created.and(locked).and_then(|()| folder.writable());
        let read_only = writable.err().map(|error| StateError::write(folder.path(), &error));
        let mut store = Self {
            disk,
            folder,
            lock,
            history: Vec::new(),
            unconfirmed: None,
            last: 0,
            damaged: BTreeSet::new(),
            left_unconfirmed: None,
            read_only,
            failure: None,
            warnings: Vec::new(),
        };
        store.take_stock()?;
        Ok(store)
    }

    /// Finds what is there, and removes what was not completed.
    fn take_stock(&mut self) -> Result<(), StateError> {
        let entries = match self.folder.list() {
            Ok(entries) => entries,
            // There is nothing to be had from a folder that is not there.
            Err(_) if self.read_only.is_some() => return Ok(()),
            Err(error) => return Err(StateError::read(self.folder.generations(), &error)),
        };
        let mut orphans = Vec::new();
        for entry in entries {
            match entry {
                Entry::Temporary(name) => self.sweep(&self.folder.generations().join(name)),
                // The oldest first.
                Entry::Record(generation) => orphans.extend(self.enlist(generation)?),
                Entry::Unconfirmed(generation) => {
                    self.sweep(&self.folder.unconfirmed(generation));
                    self.left_unconfirmed = Some(generation);
                    self.last = self.last.max(generation);
                }
                Entry::Damaged(generation) => {
                    self.damaged.insert(generation);
                    self.last = self.last.max(generation);
                }
            }
        }
        self.leave_out(orphans);
        Ok(())
    }

    /// Removes what an earlier daemon left. What stays is ignored all the same.
    fn sweep(&self, path: &Path) {
        if self.read_only.is_none() {
            let _ = self.disk.remove(path);
        }
    }

    /// Takes a record into the history: a newer one than all that are in it. Returns it if its base is not.
    fn enlist(&mut self, generation: u64) -> Result<Option<Header>, StateError> {
        self.last = self.last.max(generation);
        match self.header_of(generation)? {
            Ok(header) if header.base.is_some_and(|base| self.header(base).is_err()) => {
                return Ok(Some(header));
            }
            Ok(header) => self.history.insert(0, header),
            Err(why) => self.set_aside(generation, &why),
        }
        Ok(None)
    }

    /// Leaves out records whose bases are not there.
    fn leave_out(&mut self, orphans: Vec<Header>) {
        for Header { generation, base, .. } in orphans {
            if self.history.first().is_some_and(|newest| generation < newest.generation) {
                // It was to be removed together with its base. A power cut does not keep the order.
                self.sweep(&self.folder.record(generation));
            } else {
                let base = base.unwrap_or_default();
                self.set_aside(generation, &format!("it needs generation {base}, which is not there"));
            }
        }
    }

    /// Puts a damaged record out of the way, and all that are relative to it.
    pub(super) fn set_aside(&mut self, generation: u64, why: &str) {
        let (path, aside) = (self.folder.record(generation), self.folder.damaged(generation));
        let renamed = self.read_only.is_none() && self.disk.rename(&path, &aside).is_ok();
        let place = if renamed { &aside } else { &path };
        self.warnings.push(format!("generation {generation} is left out: {}: {why}", place.display()));
        if renamed {
            self.damaged.insert(generation);
        }
        self.history.retain(|header| header.generation != generation);
        let needs = |header: &&Header| header.base == Some(generation);
        while let Some(next) = self.history.iter().rfind(needs).map(|header| header.generation) {
            self.set_aside(next, &format!("it needs generation {generation}, which is left out"));
        }
    }

    /// Perhaps it can be written by now.
    pub(super) fn open_again(&mut self) -> Result<(), StateError> {
        // Two locks exclude each other within a process, too.
        self.lock = None;
        let mut again = Self::open_on(Arc::clone(&self.disk), self.folder.path())?;
        if let Some(error) = again.read_only {
            (self.lock, self.read_only) = (again.lock, Some(error.clone()));
            return Err(error);
        }
        // Damaged records had to stay where they are until now.
        again.newest()?;
        // What runs did not come from there, and must not become a change of it.
        if again.history != self.history {
            return Err(StateError::Changed(self.folder.path().to_owned()));
        }
        *self = Self { last: again.last.max(self.last), ..again };
        Ok(())
    }
}
