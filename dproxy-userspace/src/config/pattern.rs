//! Name patterns: the left-hand side of a route.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::name::{Name, NameError, NameFault};

/// Which names a pattern applies to. In order of precedence: where several apply at one name, the
/// first wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PatternKind {
    /// `=www.example.org`: this name only.
    Exact,
    /// `*.dev.example`: all names below this one, at any depth, but not the name itself.
    Wildcard,
    /// `cryo.network`: this name and all names below it.
    Subtree,
}

/// What a route matches: a name, and whether it stands for itself, for the names below it, or for
/// both. Patterns are ordered by name, then by precedence.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern {
    /// The name without `=` or `*.`.
    pub name: Name,
    /// To which names it applies.
    pub kind: PatternKind,
}

impl FromStr for Pattern {
    type Err = NameError;

    /// Parses `=name`, `*.name` or `name`; `*.` and `*` are all names but the root. A name that begins
    /// with `=` itself is written `\=`, a label that is an asterisk `\042`.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let wrong = |fault| NameError { name: text.to_owned(), fault };
        let (kind, name) = match text.as_bytes() {
            b"*" | b"*." => (PatternKind::Wildcard, "."),
            b"*.." => return Err(wrong(NameFault::EmptyLabel)),
            [b'*', b'.', ..] => (PatternKind::Wildcard, &text[2..]),
            [b'=', ..] => (PatternKind::Exact, &text[1..]),
            _ => (PatternKind::Subtree, text),
        };
        if has_bare_asterisk(name) {
            return Err(wrong(NameFault::Asterisk));
        }
        let name = name.parse().map_err(|error: NameError| wrong(error.fault))?;
        Ok(Self { name, kind })
    }
}

/// Is there an asterisk without a backslash before it?
fn has_bare_asterisk(name: &str) -> bool {
    let mut escaped = false;
    name.bytes().any(|octet| {
        let bare = octet == b'*' && !escaped;
        escaped = octet == b'\\' && !escaped;
        bare
    })
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            PatternKind::Exact => write!(f, "={}", self.name),
            PatternKind::Wildcard if self.name.is_root() => f.write_str("*."),
            PatternKind::Wildcard => write!(f, "*.{}", self.name),
            PatternKind::Subtree => write!(f, "{}", self.name),
        }
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
