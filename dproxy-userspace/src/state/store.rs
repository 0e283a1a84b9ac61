//! The folder in use.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use super::disk::{Disk, System};
use super::error::StateError;
use super::folder::Folder;
use super::lineage::lineage;
use super::lock::Lock;
use super::record::{Content, Header, Record};
use super::retention;
use super::written::Written;
use crate::config::{Config, listed};
use crate::time::rfc3339;

/// So many damaged records are left lying about.
const DAMAGED: usize = 3;

/// The state folder. It belongs to this process until it is dropped.
#[derive(Debug)]
pub struct Store {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) folder: Folder,
    pub(super) lock: Option<Lock>,
    /// The newest first.
    pub(super) history: Vec<Header>,
    pub(super) unconfirmed: Option<Header>,
    /// The highest number that any file has, or had.
    pub(super) last: u64,
    pub(super) damaged: BTreeSet<u64>,
    pub(super) left_unconfirmed: Option<u64>,
    pub(super) read_only: Option<StateError>,
    /// Why the last record could not be written.
    pub(super) failure: Option<StateError>,
    pub(super) warnings: Vec<String>,
}

/// A generation as it was written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Who made it, when and how.
    pub header: Header,
    /// The configuration.
    pub config: Config,
}

impl Store {
    /// Makes the folder ours, creates what is missing, and removes what an earlier daemon did not complete.
    /// A folder that cannot be written is no error yet: see [`Store::read_only`].
    pub fn open(folder: &Path) -> Result<Self, StateError> {
        Self::open_on(Arc::new(System), folder)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Why nothing can be written, if that was so when the folder was opened. It is tried again with each
    /// record.
    pub fn read_only(&self) -> Option<&StateError> {
        self.read_only.as_ref()
    }

    /// Why nothing can be written, as far as it is known: if the last attempt failed, or there was none yet.
    pub fn problem(&self) -> Option<&StateError> {
        self.failure.as_ref().or(self.read_only.as_ref())
    }

    /// The generation that was not confirmed when the daemon before this one ended.
    pub fn left_unconfirmed(&self) -> Option<u64> {
        self.left_unconfirmed
    }

    /// What the operator should know of, such as damaged records. Each is returned once.
    pub fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// The generations that are kept, the newest first.
    pub fn history(&self) -> &[Header] {
        &self.history
    }

    /// What the newest generation is made of, the newest first: see [`lineage`].
    pub fn lineage(&self) -> impl Iterator<Item = &Header> {
        lineage(&self.history)
    }

    /// The generation that waits for its confirmation.
    pub fn unconfirmed(&self) -> Option<&Header> {
        self.unconfirmed.as_ref()
    }

    /// The number of the next generation. None has had it, not even one that was taken back.
    pub fn next_generation(&self) -> u64 {
        self.last + 1
    }

    /// How many changes lie between the last whole record and the newest generation.
    pub fn chain_length(&self) -> usize {
        let mut wanted = self.history.first().and_then(|newest| newest.base);
        let mut length = 0;
        for header in &self.history {
            if wanted == Some(header.generation) {
                (wanted, length) = (header.base, length + 1);
            }
        }
        length
    }

    /// Writes a record under a temporary name: whatever takes room or time. It is not in force yet.
    pub fn write(&mut self, record: Record<'_>) -> Result<Written, StateError> {
        self.try_to_write(record).inspect_err(|error| self.failure = Some(error.clone()))
    }

    fn try_to_write(&mut self, record: Record<'_>) -> Result<Written, StateError> {
        if self.read_only.is_some() {
            self.open_again()?;
        }
        let Record { generation, by, kind, what, back_to, unconfirmed, content } = record;
        if generation <= self.last {
            return Err(StateError::Taken { generation, next: self.next_generation() });
        }
        let base = content.base();
        if let Some(base) = base {
            self.header(base)?;
        }
        let header = Header { generation, base, at: rfc3339(SystemTime::now()), by, kind, what, back_to };
        let mut written = self.write_out(header, content)?;
        written.unconfirmed = unconfirmed;
        Ok(written)
    }

    fn write_out(&self, header: Header, content: Content<'_>) -> Result<Written, StateError> {
        let temporary = self.folder.temporary(header.generation);
        Written::new(&self.disk, temporary, header, content).map_err(self.cannot_write())
    }

    /// Puts a record in force for the next start: when this returns, and not before. If it fails, the record
    /// is gone.
    pub fn commit(&mut self, written: Written) -> Result<(), StateError> {
        let committed = self.try_to_commit(written);
        self.failure = committed.clone().err();
        committed
    }

    fn try_to_commit(&mut self, mut written: Written) -> Result<(), StateError> {
        let generation = written.header.generation;
        let path = match written.unconfirmed {
            true => self.folder.unconfirmed(generation),
            false => self.folder.record(generation),
        };
        written.rename(&path).map_err(self.cannot_write())?;
        self.sync().inspect_err(|_| {
            // It may be there after a power cut, or not. The edit is refused, so it had better not.
            let _ = self.disk.remove(&path);
            let _ = self.sync();
        })?;
        self.last = self.last.max(generation);
        let header = written.header.clone();
        match written.unconfirmed {
            true => self.unconfirmed = Some(header),
            false => self.history.insert(0, header),
        }
        Ok(())
    }

    /// Keeps a generation that waited for its confirmation.
    pub fn confirm(&mut self, generation: u64) -> Result<(), StateError> {
        let header = self.waiting(generation)?;
        let (from, to) = (self.folder.unconfirmed(generation), self.folder.record(generation));
        self.disk.rename(&from, &to).map_err(self.cannot_write())?;
        self.sync().inspect_err(|_| {
            let _ = self.disk.rename(&to, &from);
        })?;
        self.unconfirmed = None;
        let newer = self.history.partition_point(|kept| kept.generation > generation);
        self.history.insert(newer, header);
        Ok(())
    }

    /// Removes a generation that waited for its confirmation. It waits no more, even if its file stays, which the
    /// next start removes.
    pub fn discard(&mut self, generation: u64) -> Result<(), StateError> {
        self.waiting(generation)?;
        self.unconfirmed = None;
        self.disk.remove(&self.folder.unconfirmed(generation)).map_err(self.cannot_write())
    }

    fn waiting(&self, generation: u64) -> Result<Header, StateError> {
        let waiting = self.unconfirmed.clone().filter(|header| header.generation == generation);
        waiting.ok_or(StateError::NotUnconfirmed(generation))
    }

    /// Replaces the record of a generation by a whole one: `config` must be that generation.
    pub fn make_whole(&mut self, generation: u64, config: &Config) -> Result<(), StateError> {
        let header = Header { base: None, ..self.header(generation)?.clone() };
        let mut written = self.write_out(header, Content::Whole(config))?;
        written.rename(&self.folder.record(generation)).map_err(self.cannot_write())?;
        // Until it is on the disk, the old one may come back and must find its base.
        self.sync()?;
        let whole = self.history.iter_mut().find(|header| header.generation == generation);
        whole.into_iter().for_each(|header| header.base = None);
        Ok(())
    }

    /// Removes the generations that nobody will want to go back to.
    pub fn prune(&mut self) -> Result<(), StateError> {
        let kept = retention::kept(&self.history, self.unconfirmed.as_ref());
        let all = self.history.iter().map(|header| header.generation);
        // From the newest on, so that none is ever without its base.
        for generation in all.filter(|generation| !kept.contains(generation)).collect::<Vec<_>>() {
            self.remove(&self.folder.record(generation))?;
            self.history.retain(|header| header.generation != generation);
        }
        while self.damaged.len() > DAMAGED {
            let Some(oldest) = self.damaged.first().copied() else { break };
            self.remove(&self.folder.damaged(oldest))?;
            self.damaged.remove(&oldest);
        }
        Ok(())
    }

    /// Removes a file that may be gone.
    fn remove(&self, path: &Path) -> Result<(), StateError> {
        match self.disk.remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.cannot_write()(error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn sync(&self) -> Result<(), StateError> {
        self.disk.sync_folder(self.folder.generations()).map_err(self.cannot_write())
    }

    fn cannot_write(&self) -> impl Fn(io::Error) -> StateError + use<> {
        let folder = self.folder.path().to_owned();
        move |error| StateError::write(&folder, &error)
    }

    pub(super) fn header(&self, generation: u64) -> Result<&Header, StateError> {
        let header = self.history.iter().find(|header| header.generation == generation);
        header.ok_or_else(|| StateError::NotKept { generation, kept: self.kept() })
    }

    /// The numbers of the kept generations, for messages.
    pub(super) fn kept(&self) -> String {
        let numbers: Vec<String> = self.history.iter().map(|header| header.generation.to_string()).collect();
        if numbers.is_empty() { "none".to_owned() } else { listed(numbers.iter().map(String::as_str)) }
    }
}
