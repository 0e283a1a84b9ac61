//! The lines of the route files, read as the original reads them.
//!
//! It knows no syntax beyond the line: one with a `#` anywhere is skipped, one with `=` sets a field of the
//! name above it, and any other is a name. Brackets, blanks and tabs are taken out wherever they are. Fields
//! of a name that is there twice overwrite each other.

use std::collections::HashMap;

use super::note::{About, Note, Origin};
use crate::config::Quoted;

/// All that the route files say, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Entries {
    /// In the order of their first lines.
    pub(super) list: Vec<Entry>,
    by_key: HashMap<String, usize>,
    current: Option<usize>,
}

/// What they say about one name.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The name as the original looks it up: `*.cryo.network.`
    pub(super) key: String,
    /// Where the name stands first.
    pub(super) origin: Origin,
    /// The value of `address`.
    pub(super) address: Option<Field>,
    /// The value of `port`.
    pub(super) port: Option<Field>,
}

/// A value, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) value: String,
    pub(super) origin: Origin,
}

impl Entries {
    /// The entry that is looked up by this text.
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.by_key.get(key).and_then(|&index| self.list.get(index))
    }

    /// Reads one more file.
    pub(super) fn read(&mut self, file: &str, text: &str, notes: &mut Vec<Note>) {
        self.current = None;
        if text.contains("\r\n") {
            let whole = Origin { file: file.to_owned(), line: 0 };
            let says = "lines end with CR LF, and the original took the CR as part of names and values, so \
                        that nothing in this file had any effect; it is converted as meant.";
            notes.push(Note::new(About::Whole, &whole, says));
        }
        for (index, line) in text.split('\n').enumerate() {
            let origin = Origin { file: file.to_owned(), line: index + 1 };
            let line = line.strip_suffix('\r').unwrap_or(line);
            notes.extend(self.line(line, origin));
        }
    }

    fn line(&mut self, line: &str, origin: Origin) -> Option<Note> {
        let note = |text: String| Some(Note::new(About::LeftOut, &origin, text));
        if line.contains('#') {
            if line.trim_start().starts_with('#') {
                return None;
            }
            let says = "is skipped as a whole because of its #, there and here: what it says has no effect.";
            return note(format!("{} {says}", Quoted(line.trim())));
        }
        if line.is_empty() {
            return None;
        }
        let line = line.replace('\t', "");
        let strip = |text: &str| text.replace(['[', ' ', ']'], "");
        let mut parts = line.split('=');
        let (field, value) = (parts.next().unwrap_or_default(), parts.next());
        let Some(value) = value else {
            return match strip(&line) {
                name if name.is_empty() => {
                    note("is blank but not empty, at which the original ended; it is ignored.".to_owned())
                }
                name => self.name(name, line.contains('['), origin),
            };
        };
        // Only blanks are taken out of a field's name.
        self.field(&field.replace(' ', ""), strip(value), origin)
    }

    /// Further lines are about this name.
    fn name(&mut self, name: String, in_brackets: bool, origin: Origin) -> Option<Note> {
        let key = if name.ends_with('.') { name } else { format!("{name}.") };
        let says = format!("{} is taken for a name, there and here: it has neither [ nor =.", Quoted(&key));
        let note = (!in_brackets).then(|| Note::new(About::LeftOut, &origin, says));
        let index = *self.by_key.entry(key.clone()).or_insert(self.list.len());
        if index == self.list.len() {
            self.list.push(Entry { key, origin, address: None, port: None });
        }
        self.current = Some(index);
        note
    }

    fn field(&mut self, field: &str, value: String, origin: Origin) -> Option<Note> {
        let note = |text: String| Some(Note::new(About::LeftOut, &origin, text));
        let Some(entry) = self.current.and_then(|index| self.list.get_mut(index)) else {
            return note(format!("{} stands before any name: it had no effect.", Quoted(field)));
        };
        let slot = match field {
            "address" => &mut entry.address,
            "port" => &mut entry.port,
            _ => {
                let text = "is neither address nor port (in lower case): it had no effect, and is dropped.";
                return note(format!("{} {text}", Quoted(field)));
            }
        };
        let earlier = slot.replace(Field { value: value.clone(), origin: origin.clone() })?;
        if earlier.value == value {
            return None;
        }
        let order = match earlier.origin.file == origin.file {
            true => "the last one counts, there and here.",
            false => "there the file counts that its folder happens to list last, here the last by its name.",
        };
        let (key, earlier) =
            (Quoted(&entry.key), format!("{} of {}", Quoted(&earlier.value), earlier.origin));
        note(format!("{field} {} of {key} replaces {earlier}: {order}", Quoted(&value)))
    }
}
