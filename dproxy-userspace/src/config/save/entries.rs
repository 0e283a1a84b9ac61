//! Entries of a table that go, and new ones.

use std::ops::Range;

use toml_edit::Item;

use super::edits::Edits;
use super::remove::{remove_elements, remove_item};
use super::table::{Section, entries};

/// What is to become of a table's entries, all at once: where commas go depends on all of them.
#[derive(Default)]
pub(super) struct Changes {
    /// The keys of those that go.
    pub(super) removed: Vec<String>,
    /// New ones, `key = value`.
    pub(super) added: Vec<String>,
}

impl Changes {
    /// Makes them. New entries stand behind those that are there.
    pub(super) fn make(self, edits: &mut Edits<'_>, section: &Section<'_>) {
        match section.braces {
            Some(_) => self.make_in_braces(edits, section),
            None => self.make_in_lines(edits, section),
        }
    }

    fn make_in_lines(self, edits: &mut Edits<'_>, section: &Section<'_>) {
        for (key, item) in self.removed.iter().filter_map(|key| section.table.get_key_value(key)) {
            if let Some(span) = key.span() {
                remove_item(edits, span.start, item);
            }
        }
        let Self { added, .. } = self;
        if added.is_empty() {
            return;
        }
        let last = section.entries().into_iter().max_by_key(|entry| entry.end);
        match (last, section.header()) {
            (Some(last), _) => {
                let indent = edits.indent(last.start);
                let line = |entry: &String| format!("{indent}{}{entry}", section.prefix);
                let lines: Vec<_> = added.iter().map(line).collect();
                edits.insert_lines_behind(last.end, &lines.join("\n"));
            }
            (None, Some(header)) => edits.insert_lines_behind(header.end, &added.join("\n")),
            (None, None) => edits.append(&format!("[{}]\n{}", section.path, added.join("\n"))),
        }
    }

    fn make_in_braces(self, edits: &mut Edits<'_>, section: &Section<'_>) {
        let Self { removed, added } = self;
        let Some((braces, span)) = section.braces.and_then(|braces| Some((braces, braces.span()?))) else {
            return;
        };
        let added: Vec<_> = added.iter().map(|entry| format!("{}{entry}", section.prefix)).collect();
        let mut ends: Vec<_> =
            removed.iter().filter_map(|key| section.table.get(key)).flat_map(ends).collect();
        ends.sort_unstable();
        let inside = apart(edits, entries(braces));
        let gone: Vec<_> = inside.iter().map(|entry| ends.binary_search(&entry.end).is_ok()).collect();
        // Behind the last one of the table, which within braces need not be the last one there.
        let own: Vec<_> = section.entries().iter().map(|entry| entry.end).collect();
        let stays = |(entry, gone): &(&Range<usize>, &bool)| !**gone && own.contains(&entry.end);
        match inside.iter().zip(&gone).rfind(stays) {
            _ if added.is_empty() => {}
            Some((last, _)) => edits.insert(last.end, format!(", {}", added.join(", "))),
            None if gone.iter().all(|gone| *gone) => {
                return edits.replace(span, format!("{{ {} }}", added.join(", ")));
            }
            None => edits.insert(span.start + 1, format!(" {},", added.join(", "))),
        }
        remove_elements(edits, &inside, &gone);
    }
}

/// Entries whose keys begin alike, `a.x = 1, a.y = 2`, are all said to begin where the first of them does. Each
/// begins behind the comma in front of it.
fn apart(edits: &Edits<'_>, mut entries: Vec<Range<usize>>) -> Vec<Range<usize>> {
    entries.sort_unstable_by_key(|entry| entry.end);
    for index in 1..entries.len() {
        let before = entries[index - 1].end;
        if entries[index].start < before {
            let comma = edits.comma_behind(before).map_or(before, |comma| comma + 1);
            let blanks = edits.text[comma..].len() - edits.text[comma..].trim_start().len();
            entries[index].start = comma + blanks;
        }
    }
    entries
}

/// Where the values end that an item within braces has.
fn ends(item: &Item) -> Vec<usize> {
    match item.as_inline_table() {
        Some(table) if table.is_dotted() => entries(table).into_iter().map(|entry| entry.end).collect(),
        _ => item.span().map(|span| span.end).into_iter().collect(),
    }
}
