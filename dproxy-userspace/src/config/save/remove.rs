//! What goes, goes with its own lines; comments on other lines stay.

use std::ops::Range;

use toml_edit::{Item, Table};

use super::edits::Edits;
use super::table::header;

/// Removes an entry that is not within braces; `start` is that of its key.
pub(super) fn remove_item(edits: &mut Edits<'_>, start: usize, item: &Item) {
    match item {
        Item::None => {}
        Item::Value(value) => {
            if let Some(span) = value.span() {
                edits.remove_lines(start..span.end);
            }
        }
        Item::Table(table) => remove_table(edits, table),
        Item::ArrayOfTables(tables) => {
            for table in tables {
                remove_table(edits, table);
            }
        }
    }
}

/// Removes a table, its header and all that is below it.
pub(super) fn remove_table(edits: &mut Edits<'_>, table: &Table) {
    if let Some(header) = header(table) {
        edits.remove_lines(header);
    }
    for (key, item) in table {
        if let Some(start) = table.key(key).and_then(|key| key.span()).map(|span| span.start) {
            remove_item(edits, start, item);
        }
    }
}

/// Removes those elements of a list, or of a table within braces, that are `gone`.
pub(super) fn remove_elements(edits: &mut Edits<'_>, elements: &[Range<usize>], gone: &[bool]) {
    let last_kept = gone.iter().rposition(|gone| !gone);
    for (index, element) in elements.iter().enumerate().filter(|(index, _)| gone[*index]) {
        if edits.has_own_lines(element) {
            edits.remove_lines(element.clone());
        } else if last_kept.is_some_and(|kept| kept < index) {
            // With the comma in front: none that is kept follows.
            edits.remove(elements[index - 1].end..element.end);
        } else if let Some(next) = elements.get(index + 1) {
            edits.remove(element.start..next.start);
        } else {
            edits.remove(
                element.start..edits.comma_behind(element.end).map_or(element.end, |comma| comma + 1),
            );
        }
    }
}
