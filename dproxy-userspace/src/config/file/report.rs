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

impl ConfigError {
    /// All problems, in the order of the files.
    pub fn problems(&self) -> &[FileProblem] {
        &self.problems
    }

    pub(super) fn new(problems: Vec<FileProblem>) -> Self {
        Self { problems }
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
