//! Lists: of backends, listeners and interfaces.

use std::ops::Range;

use toml_edit::{Array, ArrayOfTables, Value};

use super::document::{Document, text_of, text_of_element};
use super::remove::{remove_elements, remove_table};
use super::table::{Form, Section, entries, header};

type Wanted<'c> = &'c [toml::Value];

impl Document<'_> {
    /// Makes a list `[…]` out of what it is.
    pub(super) fn change_array(&mut self, array: &Array, old: Wanted<'_>, new: Wanted<'_>) {
        let spans: Vec<_> = array.iter().filter_map(Value::span).collect();
        let kept = kept(old, new);
        let in_lines = spans.iter().any(|span| self.edits.has_own_lines(span));
        if kept.iter().all(Option::is_none) && !in_lines {
            if let Some(span) = array.span() {
                self.edits.replace(span, text_of_array(new));
            }
            return;
        }
        let gone: Vec<_> = (0..spans.len()).map(|index| !kept.contains(&Some(index))).collect();
        let first = gone.iter().position(|gone| !gone).unwrap_or_default();
        // In the order of the text, as edits at one place are made in the order in which they were noted.
        let (front, behind): (Vec<_>, Vec<_>) =
            additions(&kept, new, text_of_element).into_iter().partition(|(anchor, _)| anchor.is_none());
        for (_, texts) in front {
            self.add_in_front(&spans[first], &texts);
        }
        for (new, kept) in new.iter().zip(&kept) {
            if let Some((value, old)) = kept.and_then(|kept| array.get(kept).zip(old.get(kept))) {
                self.change_element(value, old, new);
            }
        }
        for (anchor, texts) in behind {
            self.add_behind(&spans[anchor.unwrap_or(first)], &texts);
        }
        remove_elements(&mut self.edits, &spans, &gone);
    }

    fn add_behind(&mut self, element: &Range<usize>, texts: &[String]) {
        if !self.edits.has_own_lines(element) {
            let texts: String = texts.iter().map(|text| format!(", {text}")).collect();
            return self.edits.insert(element.end, texts);
        }
        if self.edits.comma_behind(element.end).is_none() {
            self.edits.insert(element.end, ",");
        }
        let indent = self.edits.indent(element.start);
        let lines: Vec<_> = texts.iter().map(|text| format!("{indent}{text},")).collect();
        self.edits.insert_lines_behind(element.end, &lines.join("\n"));
    }

    fn add_in_front(&mut self, element: &Range<usize>, texts: &[String]) {
        if self.edits.has_own_lines(element) {
            let indent = self.edits.indent(element.start);
            let lines: String = texts.iter().map(|text| format!("{indent}{text},\n")).collect();
            self.edits.insert(self.edits.line_start(element.start), lines);
        } else {
            let texts: String = texts.iter().map(|text| format!("{text}, ")).collect();
            self.edits.insert(element.start, texts);
        }
    }

    fn change_element(&mut self, value: &Value, old: &toml::Value, new: &toml::Value) {
        let Some((old, new_table)) = old.as_table().zip(new.as_table()).filter(|(old, new)| old != new)
        else {
            return;
        };
        match (value.as_inline_table(), value.span()) {
            (Some(table), _) => {
                let section = Section::element("", table, Form::Braces(table));
                self.change_table(&section, old, new_table);
            }
            // An address alone is kept as it is written.
            (None, Some(span)) => {
                let others =
                    new_table.iter().filter(|(key, value)| *key != ADDRESS && old.get(*key) != Some(*value));
                let others: String =
                    others.map(|(key, value)| format!(", {key} = {}", text_of(value))).collect();
                self.edits.insert(span.start, format!("{{ {ADDRESS} = "));
                self.edits.insert(span.end, format!("{others} }}"));
            }
            (None, None) => {}
        }
    }

    /// The same for `[[…]]`. `path` is what stands between the brackets.
    pub(super) fn change_tables(
        &mut self,
        path: &str,
        tables: &ArrayOfTables,
        old: Wanted<'_>,
        new: Wanted<'_>,
    ) {
        let kept = kept(old, new);
        for (new, kept) in new.iter().zip(&kept) {
            let kept = kept.and_then(|kept| tables.get(kept).zip(old.get(kept)?.as_table()));
            if let Some(((table, old), new)) = kept.zip(new.as_table()) {
                self.change_table(&Section::element(path, table, Form::Lines(table)), old, new);
            }
        }
        for (anchor, additions) in additions(&kept, new, |value| table_text(path, value)) {
            match anchor.and_then(|anchor| tables.get(anchor)) {
                Some(table) => {
                    let ends = entries(table).into_iter().chain(header(table)).map(|span| span.end);
                    let lines = format!("\n{}", additions.join("\n\n"));
                    self.edits.insert_lines_behind(ends.max().unwrap_or_default(), &lines);
                }
                None => {
                    let first = tables.get(0).and_then(header).map(|header| header.start).unwrap_or_default();
                    let start = self.edits.line_start(first);
                    self.edits.insert(start, format!("{}\n\n", additions.join("\n\n")));
                }
            }
        }
        for (index, table) in tables.iter().enumerate() {
            if !kept.contains(&Some(index)) {
                remove_table(&mut self.edits, table);
            }
        }
    }
}

const ADDRESS: &str = "address";

/// What tells the elements of a list apart: the address, if they have one.
fn identity(value: &toml::Value) -> &toml::Value {
    value.get(ADDRESS).unwrap_or(value)
}

/// Which old element each new one is. Old ones that would have to move are not kept.
fn kept(old: Wanted<'_>, new: Wanted<'_>) -> Vec<Option<usize>> {
    let mut free = 0;
    let same = |value: &toml::Value| old.iter().position(|old| identity(old) == identity(value));
    new.iter()
        .map(|value| {
            let kept = same(value).filter(|&index| index >= free)?;
            free = kept + 1;
            Some(kept)
        })
        .collect()
}

/// The texts of the new elements, and the kept one that they stand behind; none if they stand at the front.
fn additions(
    kept: &[Option<usize>],
    new: Wanted<'_>,
    text: impl Fn(&toml::Value) -> String,
) -> Vec<(Option<usize>, Vec<String>)> {
    let mut additions: Vec<(Option<usize>, Vec<String>)> = Vec::new();
    let mut anchor = None;
    for (kept, value) in kept.iter().zip(new) {
        match (kept, additions.last_mut()) {
            (Some(kept), _) => anchor = Some(*kept),
            (None, Some((last, texts))) if *last == anchor => texts.push(text(value)),
            (None, _) => additions.push((anchor, vec![text(value)])),
        }
    }
    additions
}

/// A list in one line.
pub(super) fn text_of_array(values: Wanted<'_>) -> String {
    let values: Vec<_> = values.iter().map(text_of_element).collect();
    format!("[{}]", values.join(", "))
}

/// An element of a list as `[[…]]`.
fn table_text(path: &str, value: &toml::Value) -> String {
    let entries = value.as_table().into_iter().flatten();
    let lines: String = entries.map(|(key, value)| format!("\n{key} = {}", text_of(value))).collect();
    format!("[[{path}]]{lines}")
}
