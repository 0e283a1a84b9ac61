//! What there is to say about a conversion: notes, and mistakes that prevent it.

use std::fmt;
use std::path::PathBuf;

use crate::config::{Pattern, counted};

/// A line of one of the original's files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// The file, relative to the folder that holds `config.gcfg`.
    pub file: String,
    /// The line, counted from 1; 0 is the file as a whole.
    pub line: usize,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // File names may hold anything, and end up in comments and on terminals.
        let shown = |character: char| match character.is_control() {
            true => character.escape_default().to_string(),
            false => character.to_string(),
        };
        f.write_str(&self.file.chars().map(shown).collect::<String>())?;
        if self.line > 0 { write!(f, ":{}", self.line) } else { Ok(()) }
    }
}

/// The part of the converted configuration that a note belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// All of it.
    Whole,
    /// `[listen]`.
    Listen,
    /// One pool, by name.
    Pool(String),
    /// One route.
    Route(Pattern),
    /// Something in the original's files that became no route.
    LeftOut,
}

/// Something that the operator should know: here it is not as it was there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What it belongs to.
    pub about: About,
    /// The line that it comes from, if there is one.
    pub origin: Option<Origin>,
    /// One or two sentences.
    pub text: String,
}

impl Note {
    pub(super) fn new(about: About, origin: &Origin, text: impl Into<String>) -> Self {
        Self { about, origin: Some(origin.clone()), text: text.into() }
    }

    /// A note that is true of every conversion.
    pub(super) fn general(about: About, text: &str) -> Self {
        Self { about, origin: None, text: text.to_owned() }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Some(origin) => write!(f, "{origin}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

/// Something in the original's files that cannot be converted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where it is; `None`: not in the files, but in what was asked for.
    pub origin: Option<Origin>,
    /// What is wrong, with the value.
    pub what: String,
    /// What would have been accepted.
    pub allowed: String,
}

impl Mistake {
    pub(super) fn new(origin: &Origin, what: impl Into<String>, allowed: impl Into<String>) -> Self {
        Self { origin: Some(origin.clone()), what: what.into(), allowed: allowed.into() }
    }
}

/// A configuration that cannot be converted, with everything that prevents it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ImportError {
    /// The folder that holds `config.gcfg`.
    pub folder: PathBuf,
    /// At least one.
    pub mistakes: Vec<Mistake>,
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Mistake { origin, what, allowed } in &self.mistakes {
            match origin {
                Some(origin) => write!(f, "{}", self.folder.join(origin.to_string()).display())?,
                None => f.write_str("the converted configuration")?,
            }
            writeln!(f, ": {what}\n    allowed: {allowed}")?;
        }
        write!(f, "{}; nothing was written", counted(self.mistakes.len(), "problem"))
    }
}
