//! The tables of a document, in whichever form they are written.

use std::ops::Range;

use toml_edit::{InlineTable, Item, Table, TableLike};

/// A table: `[pools.cryo]` and the lines below it, `{ … }`, or what keys with dots say.
#[derive(Clone)]
pub(super) struct Section<'d> {
    pub(super) table: &'d dyn TableLike,
    /// The same, if it is not within braces.
    pub(super) lines: Option<&'d Table>,
    /// The braces around its entries, if there are any.
    pub(super) braces: Option<&'d InlineTable>,
    /// What a header of its own would say: `pools.cryo`.
    pub(super) path: String,
    /// What stands in front of the keys of its entries, if those are written with dots: `cryo.`.
    pub(super) prefix: String,
}

impl<'d> Section<'d> {
    pub(super) fn root(table: &'d Table) -> Self {
        Self { table, lines: Some(table), braces: None, path: String::new(), prefix: String::new() }
    }

    /// The table that an item is, if it is one; it is called `key` in this one.
    pub(super) fn child(&self, key: &str, item: &'d Item) -> Option<Self> {
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        let table = item.as_table_like()?;
        let prefix = if table.is_dotted() { format!("{}{key}.", self.prefix) } else { String::new() };
        let braces = item.as_inline_table().filter(|table| !table.is_dotted()).or(self.braces);
        Some(Self { table, lines: item.as_table(), braces, path, prefix })
    }

    /// The table of an element of a list.
    pub(super) fn element(path: &str, table: &'d dyn TableLike, form: Form<'d>) -> Self {
        let (lines, braces) = match form {
            Form::Lines(table) => (Some(table), None),
            Form::Braces(table) => (None, Some(table)),
        };
        Self { table, lines, braces, path: path.to_owned(), prefix: String::new() }
    }

    /// Where its entries are, those in tables with headers of their own aside.
    pub(super) fn entries(&self) -> Vec<Range<usize>> {
        entries(self.table)
    }

    /// Has it a header?
    pub(super) fn header(&self) -> Option<Range<usize>> {
        self.lines.and_then(header)
    }
}

/// How an element of a list is written.
pub(super) enum Form<'d> {
    Lines(&'d Table),
    Braces(&'d InlineTable),
}

/// Where a table's header is, if it has one.
pub(super) fn header(table: &Table) -> Option<Range<usize>> {
    table.span().filter(|_| !table.is_implicit() && !table.is_dotted())
}

/// From the front of the key to the end of the value.
pub(super) fn entries(table: &dyn TableLike) -> Vec<Range<usize>> {
    let values = table.get_values().into_iter();
    values.filter_map(|(keys, value)| Some(keys.first()?.span()?.start..value.span()?.end)).collect()
}
