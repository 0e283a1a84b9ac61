//! Generations out of their records.

use super::error::StateError;
use super::read::{self, Fault, PoolNames};
use super::record::Header;
use super::store::{Loaded, Store};
use crate::config::Config;

/// Why a generation cannot be had from the records.
enum Failure {
    /// This record, which it needs, is damaged.
    Damaged { record: u64, why: String },
    /// Something else.
    Other(StateError),
}

impl Store {
    /// The newest generation that can be had. Damaged records are put out of the way.
    pub fn newest(&mut self) -> Result<Option<Loaded>, StateError> {
        while let Some(header) = self.history.first().cloned() {
            match self.load(header.generation) {
                Ok(config) => return Ok(Some(Loaded { header, config })),
                Err(Failure::Damaged { record, why }) => self.set_aside(record, &why),
                Err(Failure::Other(error)) => return Err(error),
            }
        }
        Ok(None)
    }

    /// The configuration of a generation that is kept.
    pub fn config(&self, generation: u64) -> Result<Config, StateError> {
        self.header(generation)?;
        self.load(generation).map_err(|failure| match failure {
            Failure::Damaged { record, why } => {
                let (path, kept) = (self.folder.record(record), self.kept());
                StateError::Damaged { generation, path, why, kept }
            }
            Failure::Other(error) => error,
        })
    }

    /// Follows the bases to a whole record, and makes the changes, the oldest first.
    fn load(&self, generation: u64) -> Result<Config, Failure> {
        let mut names = PoolNames::default();
        let mut changes = Vec::new();
        let mut wanted = generation;
        let mut config = loop {
            let path = self.folder.record(wanted);
            let (header, entries) = read::record(&path, &mut names).map_err(|fault| match fault {
                Fault::Damaged(why) => Failure::Damaged { record: wanted, why },
                Fault::System(error) => Failure::Other(StateError::read(&path, &error)),
            })?;
            match header.base {
                None => break entries.into_config(),
                Some(base) if base < wanted => {
                    changes.push(entries.into_change());
                    wanted = base;
                }
                Some(base) => {
                    let why = format!("it needs generation {base}, which is newer");
                    return Err(Failure::Damaged { record: wanted, why });
                }
            }
        };
        while let Some(change) = changes.pop() {
            config.make(&change);
        }
        Ok(config)
    }

    /// The header of a record that is not in the history yet; or what is wrong with it.
    pub(super) fn header_of(&self, generation: u64) -> Result<Result<Header, String>, StateError> {
        let path = self.folder.record(generation);
        match read::header(&path) {
            Ok(header) if header.generation == generation => Ok(Ok(header)),
            Ok(header) => Ok(Err(format!("it is the record of generation {}", header.generation))),
            Err(Fault::Damaged(why)) => Ok(Err(why)),
            Err(Fault::System(error)) => Err(StateError::read(&path, &error)),
        }
    }
}
