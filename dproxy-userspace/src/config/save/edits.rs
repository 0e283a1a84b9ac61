//! Edits of a text, and what lines and comments they meet there.

use std::ops::Range;

/// Edits of a text, each where it was found. They may touch each other, and what is removed may be removed twice.
pub(super) struct Edits<'t> {
    pub(super) text: &'t str,
    edits: Vec<(Range<usize>, String)>,
    /// What is added at the end.
    tail: String,
}

impl<'t> Edits<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        Self { text, edits: Vec::new(), tail: String::new() }
    }

    pub(super) fn replace(&mut self, range: Range<usize>, new: impl Into<String>) {
        self.edits.push((range, new.into()));
    }

    pub(super) fn remove(&mut self, range: Range<usize>) {
        self.replace(range, "");
    }

    pub(super) fn insert(&mut self, offset: usize, new: impl Into<String>) {
        self.replace(offset..offset, new);
    }

    /// Inserts whole lines behind the line that `offset` is in.
    pub(super) fn insert_lines_behind(&mut self, offset: usize, lines: &str) {
        let end = self.line_end(offset);
        if self.text[..end].ends_with('\n') {
            self.insert(end, format!("{lines}\n"));
        } else {
            self.insert(end, format!("\n{lines}"));
        }
    }

    /// Adds a section at the end.
    pub(super) fn append(&mut self, section: &str) {
        self.tail += &format!("\n{section}\n");
    }

    /// Removes all of the lines that a range touches.
    pub(super) fn remove_lines(&mut self, range: Range<usize>) {
        self.remove(self.line_start(range.start)..self.line_end(range.end));
    }

    pub(super) fn line_start(&self, offset: usize) -> usize {
        self.text[..offset].rfind('\n').map_or(0, |newline| newline + 1)
    }

    /// The end of a line is behind its newline.
    fn line_end(&self, offset: usize) -> usize {
        self.text[offset..].find('\n').map_or(self.text.len(), |newline| offset + newline + 1)
    }

    /// The blanks at the front of the line that `offset` is in.
    pub(super) fn indent(&self, offset: usize) -> &'t str {
        let line = &self.text[self.line_start(offset)..];
        &line[..line.len() - line.trim_start_matches(BLANKS).len()]
    }

    /// Has an element of a list its lines for itself, with a comma or a comment at most?
    pub(super) fn has_own_lines(&self, element: &Range<usize>) -> bool {
        let before = &self.text[self.line_start(element.start)..element.start];
        let behind = self.text[element.end..self.line_end(element.end)].trim();
        let behind = behind.strip_prefix(',').unwrap_or(behind).trim_start();
        before.trim().is_empty() && (behind.is_empty() || behind.starts_with('#'))
    }

    /// The next comma, if nothing but blanks, newlines and comments is in front of it.
    pub(super) fn comma_behind(&self, offset: usize) -> Option<usize> {
        let mut rest = &self.text[offset..];
        loop {
            rest = rest.trim_start();
            match rest.strip_prefix('#') {
                Some(comment) => rest = &comment[comment.find('\n')?..],
                None => return rest.starts_with(',').then(|| self.text.len() - rest.len()),
            }
        }
    }

    /// The text with all edits made.
    pub(super) fn apply(self) -> String {
        let Self { text, mut edits, tail } = self;
        edits.sort_by_key(|(range, _)| range.start);
        let mut edited = String::with_capacity(text.len() + tail.len());
        let mut done = 0;
        for (range, new) in edits {
            edited += text.get(done..range.start).unwrap_or_default();
            edited += &new;
            done = done.max(range.end);
        }
        edited += text.get(done..).unwrap_or_default();
        if !tail.is_empty() && !edited.is_empty() && !edited.ends_with('\n') {
            edited.push('\n');
        }
        edited + &tail
    }
}

const BLANKS: [char; 2] = [' ', '\t'];
