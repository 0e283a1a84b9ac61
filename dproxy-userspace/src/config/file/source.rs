//! The texts that a configuration is read from.

use std::cell::OnceCell;

use super::report::Position;

/// A text, and what messages call it.
pub(super) struct Source {
    name: String,
    text: String,
    /// Found when they are needed: when something is wrong.
    line_starts: OnceCell<Vec<usize>>,
}

/// A place in one of several texts, in their order: a text as a whole stands in front of its parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    /// Which text.
    pub source: usize,
    /// Which octet of it, or none for all of it.
    pub offset: Option<usize>,
}

impl Source {
    pub(super) fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let mut text = text.into();
        // Some editors put a byte order mark at the front.
        if text.starts_with(BYTE_ORDER_MARK) {
            text.drain(..BYTE_ORDER_MARK.len_utf8());
        }
        Self { name: name.into(), text, line_starts: OnceCell::new() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Where the octet at `offset` is, which must begin a character or be the end of the text.
    pub(super) fn position(&self, offset: usize) -> Position {
        let starts = self.line_starts.get_or_init(|| {
            let after_newlines = self.text.match_indices('\n').map(|(newline, _)| newline + 1);
            std::iter::once(0).chain(after_newlines).collect()
        });
        let line = starts.partition_point(|&start| start <= offset);
        let before = self.text.get(starts[line - 1]..offset).unwrap_or_default();
        Position { line, column: before.chars().count() + 1 }
    }
}

const BYTE_ORDER_MARK: char = '\u{feff}';
