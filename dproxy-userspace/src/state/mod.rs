//! The state folder: generations of the configuration, written down.
//!
//! ```text
//! FOLDER/lock                            held by the daemon that uses the folder
//! FOLDER/generations/17                  a record: what made generation 17, by whom, when
//! FOLDER/generations/18.unconfirmed      goes away unless it is confirmed
//! FOLDER/generations/16.damaged          could not be read; for a human to look at
//! FOLDER/generations/.19                 being written
//! ```
//!
//! A record gets its name only when all of it is on the disk, and it is in force for the next start only
//! when the folder is on the disk, too: see [`Store::write`] and [`Store::commit`].

mod disk;
mod error;
mod folder;
mod lineage;
mod load;
mod lock;
mod open;
mod read;
mod record;
mod retention;
mod store;
mod write;
mod written;

#[cfg(test)]
mod tests;

pub use error::StateError;
pub use record::{Content, Header, Kind, Record};
pub use store::{Loaded, Store};
pub use written::Written;
