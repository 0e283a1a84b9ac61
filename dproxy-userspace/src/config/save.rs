//! What runs, written into the files: comments, order and form of everything that does not change are kept.
//!
//! The files are edited as texts, piece by piece at the places that a parse gives, so that all the rest stays as
//! it is, octet for octet. Whether the outcome says what it should is not proved but tried: it is loaded before
//! any of it is written.

mod document;
mod edits;
mod entries;
mod list;
mod plain;
mod remove;
mod table;
mod write;

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use super::change::Change;
use super::file::{self, ConfigError};
use super::model::Config;
use document::Document;
pub use write::write_files;

/// A file, and the text that it is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// The file.
    pub path: PathBuf,
    /// Its new text.
    pub text: String,
    /// What it had when that was made.
    before: String,
}

/// Why a configuration cannot be written into its files.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// The files that are there cannot be read, or have errors, and nobody should guess what was meant.
    #[error("the files that are there cannot be edited:\n{0}")]
    Unreadable(#[from] ConfigError),
    /// The files are of a form that the edits do not get right.
    #[error(
        "{}: the file cannot be edited so that it says what runs{}; allowed: the edit by hand, `dproxy plan` \
         says what differs; nothing was written",
        .path.display(),
        because(.error.as_ref())
    )]
    Unfit {
        /// The main file.
        path: PathBuf,
        /// What would be wrong with the edited files, unless they would just say something else.
        error: Option<ConfigError>,
    },
    /// Somebody else has written to a file in the meantime.
    #[error("{}: was changed by somebody else in the meantime; nothing was written, try again", .0.display())]
    Changed(PathBuf),
    /// A file cannot be written.
    #[error("{}: cannot be written: {error}", .path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

fn because(error: Option<&ConfigError>) -> String {
    error.map(|error| format!(": {error}")).unwrap_or_default()
}

impl Config {
    /// The files that must change, and how, so that the one at `path` and those that it includes say what this
    /// configuration says. New routes and pools go to the end of the main file.
    pub fn rewrites(&self, path: impl AsRef<Path>) -> Result<Vec<Rewrite>, SaveError> {
        let path = path.as_ref();
        let read = RefCell::new(Vec::new());
        let in_files = file::load(path, &|path| {
            let octets = file::read_octets(path)?;
            read.borrow_mut().push((path.to_owned(), octets.clone()));
            Ok(octets)
        })?;
        let change = Change::between(&in_files, self);
        if change.is_empty() {
            return Ok(Vec::new());
        }
        let difference = Difference { old: &in_files, new: self, change: &change };
        let mut rewrites = Vec::new();
        for (index, (path, octets)) in read.into_inner().into_iter().enumerate() {
            // It is UTF-8, as it was loaded. A file that cannot be edited is one that does not say what it should.
            if let Ok(before) = String::from_utf8(octets)
                && let Some(text) = rewritten(&path, &before, index == 0, &difference)
                && text != before
            {
                rewrites.push(Rewrite { path, text, before });
            }
        }
        self.try_out(path, &rewrites)?;
        Ok(rewrites)
    }

    /// Loads the files as they are to be.
    fn try_out(&self, path: &Path, rewrites: &[Rewrite]) -> Result<(), SaveError> {
        let texts: HashMap<_, _> =
            rewrites.iter().map(|Rewrite { path, text, .. }| (&**path, text)).collect();
        let loaded = file::load(path, &|path| match texts.get(path) {
            Some(text) => Ok(text.as_bytes().to_vec()),
            None => file::read_octets(path),
        });
        match loaded {
            Ok(config) if config == *self => Ok(()),
            Ok(_) => Err(SaveError::Unfit { path: path.to_owned(), error: None }),
            Err(error) => Err(SaveError::Unfit { path: path.to_owned(), error: Some(error) }),
        }
    }
}

/// What the files say, what they are to say, and how that differs.
struct Difference<'c> {
    old: &'c Config,
    new: &'c Config,
    change: &'c Change,
}

const BYTE_ORDER_MARK: &str = "\u{feff}";

/// The new text of a file; none if it cannot be edited.
fn rewritten(path: &Path, text: &str, is_main: bool, difference: &Difference<'_>) -> Option<String> {
    let (mark, text) = match text.strip_prefix(BYTE_ORDER_MARK) {
        Some(text) => (BYTE_ORDER_MARK, text),
        None => ("", text),
    };
    let new = if is_main || file::is_toml(path) {
        let parsed = toml_edit::Document::parse(text).ok()?;
        let mut document = Document::new(text, parsed.as_table());
        document.change(is_main, difference)?;
        document.edits.apply()
    } else {
        plain::edits(text, &difference.change.routes).apply()
    };
    Some(mark.to_owned() + &new)
}
