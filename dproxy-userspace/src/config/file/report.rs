//! What is wrong with a configuration file: one paragraph a problem.

use std::fmt;

use serde::Serialize;

use crate::config::wording::counted;

/// A configuration file that was refused, with everything that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    problems: Vec<FileProblem>,
}

/// One problem of a configuration file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileProblem {
    /// The file, as it was named.
    pub file: String,
    /// Where in the file, unless it concerns the file as a whole.
    #[serde(flatten)]
    pub position: Option<Position>,
    /// What is wrong, with the offending value.
    pub what: String,
    /// What would have been accepted.
    pub allowed: Option<String>,
}

/// A place in a text. Both count from 1; columns are characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Character in the line.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A text whose lines have been found.
pub(super) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        let after_newlines = text.match_indices('\n').map(|(newline, _)| newline + 1);
        Self { text, starts: std::iter::once(0).chain(after_newlines).collect() }
    }

    /// Where the octet at `offset` is, which must begin a character or be the end of the text.
    pub(super) fn position(&self, offset: usize) -> Position {
        let line = self.starts.partition_point(|&start| start <= offset);
        let before = self.text.get(self.starts[line - 1]..offset).unwrap_or_default();
        Position { line, column: before.chars().count() + 1 }
    }
}

impl ConfigError {
    /// All problems, in the order of the file.
    pub fn problems(&self) -> &[FileProblem] {
        &self.problems
    }

    pub(super) fn new(problems: Vec<FileProblem>) -> Self {
        Self { problems }
    }

    /// A problem of the file as a whole.
    pub(super) fn of_file(file: &str, what: String, allowed: &str) -> Self {
        let allowed = Some(allowed.to_owned());
        Self::new(vec![FileProblem { file: file.to_owned(), position: None, what, allowed }])
    }

    /// The first octet that is not UTF-8 is at `offset`.
    pub(super) fn not_utf8(file: &str, octets: &[u8], offset: usize) -> Self {
        let text = String::from_utf8_lossy(&octets[..offset]);
        let position = Some(Lines::of(&text).position(offset));
        Self::new(vec![FileProblem {
            file: file.to_owned(),
            position,
            what: format!("octet 0x{:02x} is not UTF-8", octets[offset]),
            allowed: Some("UTF-8 text, as TOML requires".to_owned()),
        }])
    }
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        if let Some(position) = self.position {
            write!(f, "{position}:")?;
        }
        write!(f, " {}", self.what)?;
        match &self.allowed {
            Some(allowed) => write!(f, "\n    allowed: {allowed}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(f, "{problem}")?;
        }
        write!(f, "{}; nothing was changed", counted(self.problems.len(), "problem"))
    }
}
